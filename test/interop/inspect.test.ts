/** What `moec inspect` says of experts, against numpy and scipy on the tensors as the checkpoints name them. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inspectExperts, type MixtureReport } from '../../src/inspect/experts.ts';
import { checkpointModel } from '../running.ts';

const python = process.env['MOEC_PYTHON'] ?? 'python3';
const here = fileURLToPath(new URL('.', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'moec-inspect-'));
const families = { mixtral: 3, gpt_oss: 4, jetmoe: 3 } as const;

/** Agreement of cosines, correlations and τ, absolute: both sides compute in f64 from the same f32. */
const tolerance = 1e-9;

interface Wanted {
  readonly path: string;
  readonly name: string;
  readonly whole: readonly (readonly number[])[];
  readonly averaged: readonly (readonly number[])[];
  /** Cosine and τ by `i,j`. */
  readonly pairs: Readonly<Record<string, readonly [number, number]>>;
  readonly gate: readonly (readonly number[])[];
  readonly r: number;
}

beforeAll(() => {
  execFileSync(python, [join(here, 'make_moe_checkpoints.py'), root, ...Object.keys(families)], { stdio: 'pipe' });
}, 300_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

function reportsOf(folder: string): readonly MixtureReport[] {
  const found = checkpointModel(folder);
  const reports = [...inspectExperts(found.model.graph, found.checkpoint)];
  found.checkpoint?.close();
  return reports;
}

/** The largest difference between what moec says and what numpy says; infinite where they speak of different matrices. */
function disagreement(reports: readonly MixtureReport[], wanted: readonly Wanted[]): number {
  const said = reports.flatMap((report) => report.matrices.map((matrix) => ({ report, matrix })));
  if (said.length !== wanted.length || said.length === 0) return Number.POSITIVE_INFINITY;
  const differences = said.flatMap(({ report, matrix }) => {
    const one = wanted.find(({ path, name }) => path === report.path && name === matrix.name);
    if (!one || !matrix.reordered || !report.gate) return [Number.POSITIVE_INFINITY];
    const { similarity, tau } = matrix.reordered;
    const tables = [
      [matrix.whole, one.whole],
      [matrix.averaged, one.averaged],
      [report.gate, one.gate],
    ] as const;
    return [
      Math.abs((matrix.gateCorrelation ?? Number.NaN) - one.r),
      ...tables.flatMap(([a, b]) => a.flatMap((row, i) => row.map((value, j) => Math.abs(value - (b[i]?.[j] ?? Number.NaN))))),
      ...Object.entries(one.pairs).flatMap(([key, [cosine, order]]) => {
        const [i = 0, j = 0] = key.split(',').map(Number);
        return [Math.abs((similarity[i]?.[j] ?? Number.NaN) - cosine), Math.abs((tau[j]?.[i] ?? Number.NaN) - order)];
      }),
    ];
  });
  return differences.some(Number.isNaN) ? Number.POSITIVE_INFINITY : Math.max(...differences);
}

describe.each(Object.entries(families))('%s', (family, layers) => {
  const folder = join(root, family);
  const wanted = (): readonly Wanted[] =>
    JSON.parse(execFileSync(python, [join(here, 'expert_likeness.py'), folder, family, String(layers)], { encoding: 'utf8' })) as readonly Wanted[];

  test('says what numpy says', () => {
    expect(disagreement(reportsOf(folder), wanted())).toBeLessThan(tolerance);
  });

  test('and not of other weights', () => {
    const before = wanted();
    const file = join(folder, 'model.safetensors');
    const bytes = readFileSync(file);
    // One number of one expert.
    const header = Number(bytes.readBigUInt64LE(0));
    const tensors = JSON.parse(bytes.toString('utf8', 8, 8 + header)) as Readonly<Record<string, { readonly data_offsets?: readonly [number, number] }>>;
    const [, place] = Object.entries(tensors).find(([name]) => /experts.*(w2|down_proj|output_linear)/.test(name)) ?? [];
    bytes.writeFloatLE(3, 8 + header + (place?.data_offsets?.[0] ?? 0));
    writeFileSync(file, bytes);
    expect(disagreement(reportsOf(folder), before)).toBeGreaterThan(1e-4);
  });
});
