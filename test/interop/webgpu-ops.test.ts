/** Every sample of every op on the target `webgpu`, through SwiftShader: no node left to the CPU, the numbers of the reference. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Graph } from '../../src/graph/graph.ts';
import type { NdArray } from '../../src/graph/nd-array.ts';
import { ops } from '../../src/ops/index.ts';
import { webgpu } from '../../src/targets/webgpu.ts';
import { evaluated, feedsOf, graphOf, inputsOf, modelOf, openSizes, settingsOf, typeOfArray } from '../ops/harness.ts';
import { environment, hasDriver, program } from './swiftshader.ts';

/** Samples that leave the device where even heads, widths and numbers of picks are known only at run time, as in no model. */
const beyond = ['slice 1', 'repeat_axis 1', 'repeat_axis 2', 'scatter_add 1', 'top 2', 'rope 0', 'rope 1', 'rope 2', 'rope 3', 'rope 4', 'attend 2', 'attend 4', 'attend 5'];
const known = new Set(beyond.map((label) => `${label}, sizes known at run time: leaves the device`));

const written = ({ dtype, dims, data }: NdArray) => ({ dtype, dims, data: Array.from(data, (x) => String(x).replace('Infinity', 'inf')) });

test.runIf(hasDriver)('every op stays on the device and agrees with the reference', () => {
  const folder = mkdtempSync(join(tmpdir(), 'moec-webgpu-ops-'));
  try {
    const samples = [...ops.values()].flatMap((op) =>
      op.samples.flatMap((sample, i) => {
        const arrays = inputsOf(op, sample);
        const types = arrays.map((array) => array && typeOfArray(array));
        const attrs = settingsOf(op, sample);
        const inputs = Object.fromEntries(Object.entries(feedsOf(arrays)).map(([name, array]) => [name, written(array)]));
        const outputs = evaluated(graphOf(op, types, attrs), arrays).map(written);
        const modelFile = (label: string, graph: Graph) => {
          const model = `${label}.onnx`;
          writeFileSync(join(folder, model), modelOf(graph, webgpu));
          return { label, model, inputs, outputs };
        };
        const opened = openSizes(op, arrays, attrs);
        const open = opened.open ? [modelFile(`${op.name} ${i}, sizes known at run time`, graphOf(op, opened.types, opened.attrs))] : [];
        return [modelFile(`${op.name} ${i}`, graphOf(op, types, attrs)), ...open];
      }),
    );
    writeFileSync(join(folder, 'samples.json'), JSON.stringify(samples));
    const { stdout, stderr } = spawnSync('npx', ['tsx', program('webgpu-samples-child.ts'), folder], { encoding: 'utf8', env: environment });
    const said = stdout.trim().split('\n');
    expect(said.at(-1), stderr).toBe('done');
    expect(said.slice(0, -1).filter((line) => !known.has(line))).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
