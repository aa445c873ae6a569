/** `moec compile --generate` in other hands: one call of onnxruntime for Python writes what `transformers` writes. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { moec } from '../terminal.ts';

const python = process.env['MOEC_PYTHON'] ?? 'python3';
const here = fileURLToPath(new URL('.', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'moec-generate-'));
const families = ['llama', 'mistral', 'gpt2'];

beforeAll(() => {
  execFileSync(python, [join(here, 'make_checkpoints.py'), root, ...families], { stdio: 'pipe' });
}, 300_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

type Report = Readonly<Record<'greedy' | 'stopped' | 'penalised', { readonly ours: readonly (readonly number[])[]; readonly theirs: readonly (readonly number[])[] }>>;

describe.each(families)('%s', (family) => {
  let report: Report;
  beforeAll(async () => {
    const out = join(root, `${family}-compiled`);
    const { code, err } = await moec(['compile', join(root, family), '--generate', '-o', out]);
    if (code !== 0) throw new Error(err);
    report = JSON.parse(
      execFileSync(python, [join(here, 'generate.py'), out, join(root, family)], { encoding: 'utf8' })
        .trim()
        .split('\n')
        .at(-1) ?? '',
    );
  }, 120_000);

  test('continues two prompts of different lengths as transformers does', () => {
    expect(report.greedy.ours).toEqual(report.greedy.theirs);
    expect(report.greedy.ours.map((row) => row.length)).toEqual([16, 16]);
    // A continuation that repeats one token could agree by chance.
    expect(new Set(report.greedy.ours.flat()).size).toBeGreaterThan(3);
  });

  test('ends a row at a stop token and fills it up', () => {
    expect(report.stopped.ours).toEqual(report.stopped.theirs);
    expect(report.stopped.ours).not.toEqual(report.greedy.ours);
  });

  test('penalises repetition as transformers does', () => {
    expect(report.penalised.ours).toEqual(report.penalised.theirs);
    expect(report.penalised.ours).not.toEqual(report.greedy.ours);
  });
});
