/** `moec check` of a file of 300 lines, in a cold process. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from '../../src/run/bench.ts';
import { cli, table, timed } from './rounds.ts';

const limit = 0.5;
const folder = mkdtempSync(join(tmpdir(), 'moec-bench-'));
const file = join(folder, 'long.moe');
writeFileSync(file, program(300));
const seconds = Array.from({ length: 9 }, () => timed([...cli, 'check', file]));
rmSync(folder, { recursive: true });
table([
  ['check, 300 lines, cold process', 'median s', 'limit s'],
  ['', median(seconds), limit],
]);
process.exitCode = median(seconds) < limit ? 0 : 1;

/** A model of `lines` lines: many layers that differ, all used. */
function program(lines: number): string {
  const layers = Math.floor((lines - 30) / 9);
  const each = Array.from(
    { length: layers },
    (_, i) => `/// Layer ${i}.
layer Part${i}(D: int, H: int) {
  weight up: [D, H]
  weight down: [H, D]
  forward(x: [.., D]) -> [.., D] {
    h = gelu(x @ up)
    return x + h @ down
  }
}
`,
  );
  const parts = Array.from({ length: layers }, (_, i) => `Part${i}(D, ${64 + i})`).join(', ');
  return `import { Embedding, RmsNorm, Rotation, Attention } from "std/layers"\n\ndim B, S\nparam D = 64\n\n${each.join('')}
model Long {
  embed  = Embedding(256, D)
  turn   = Rotation(16, theta: 10_000.0)
  attn   = Attention(D, heads: 4, kv_heads: 2, width: 16, rotation: turn)
  blocks = [${parts}]
  norm   = RmsNorm(D, eps: 1e-5)
  forward(input_ids: i64[B, S]) -> logits: [B, S, 256] {
    x = embed(input_ids)
    return norm(blocks(x + attn(x))) @ embed.table.T
  }
}
`;
}
