/** `moec compile --in-place` of an f32 checkpoint of 2 GB: seconds and peak memory. */

import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from '../../src/run/bench.ts';
import { cli, table } from './rounds.ts';

const limits = { seconds: 2, megabytes: 400 };
const shape = { V: 32_000, D: 2_048, H: 5_504, L: 10, N: 16 };
const folder = join(mkdtempSync(join(tmpdir(), 'moec-bench-')), 'checkpoint');
mkdirSync(folder);
const size = writeCheckpoint();
const rounds = Array.from({ length: 5 }, compileOnce);
rmSync(join(folder, '..'), { recursive: true });
const seconds = median(rounds.map((round) => round.seconds));
const megabytes = median(rounds.map((round) => round.megabytes));
table([
  [`compile --in-place, ${(size / 1e9).toFixed(2)} GB`, 'median s', 'limit s', 'peak MB', 'limit MB'],
  ['', seconds, limits.seconds, megabytes, limits.megabytes],
]);
process.exitCode = seconds < limits.seconds && megabytes < limits.megabytes ? 0 : 1;

function compileOnce(): { readonly seconds: number; readonly megabytes: number } {
  const [node = 'node', main = ''] = cli;
  const peak = `process.on('exit', () => process.stderr.write('peak ' + process.resourceUsage().maxRSS + '\\n'))`;
  const began = performance.now();
  const { status, stderr } = spawnSync(node, ['--import', `data:text/javascript,${encodeURIComponent(peak)}`, main, 'compile', folder, '--in-place'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return { seconds: (performance.now() - began) / 1000, megabytes: Number(/peak (\d+)/.exec(stderr)?.[1]) / 1024 };
}

/** A Llama of this shape whose numbers are zeros in a sparse file: nothing reads them. */
function writeCheckpoint(): number {
  const { V, D, H, L, N } = shape;
  const tensors: Record<string, readonly number[]> = { 'model.embed_tokens.weight': [V, D], 'model.norm.weight': [D], 'lm_head.weight': [V, D] };
  for (let i = 0; i < L; i++) {
    const at = `model.layers.${i}`;
    for (const name of ['q', 'k', 'v', 'o']) tensors[`${at}.self_attn.${name}_proj.weight`] = [D, D];
    for (const name of ['gate', 'up']) tensors[`${at}.mlp.${name}_proj.weight`] = [H, D];
    tensors[`${at}.mlp.down_proj.weight`] = [D, H];
    for (const name of ['input_layernorm', 'post_attention_layernorm']) tensors[`${at}.${name}.weight`] = [D];
  }
  let offset = 0;
  const entries = Object.entries(tensors).map(([name, dims]) => {
    const length = dims.reduce((product, one) => product * one, 4);
    offset += length;
    return [name, { dtype: 'F32', shape: dims, data_offsets: [offset - length, offset] }];
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const file = openSync(join(folder, 'model.safetensors'), 'w');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeSync(file, length);
  writeSync(file, header);
  ftruncateSync(file, 8 + header.length + offset);
  closeSync(file);
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({
      model_type: 'llama',
      vocab_size: V,
      hidden_size: D,
      intermediate_size: H,
      num_hidden_layers: L,
      num_attention_heads: N,
      num_key_value_heads: N,
      tie_word_embeddings: false,
    }),
  );
  return offset;
}
