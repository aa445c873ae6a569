/** Decoders that come as files of ONNX, with a cache or without: they continue texts, become experts on text, and say the same as the model they were made from. */

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TensorProto } from '../src/onnx/messages.ts';
import { decodeModel, encodeModel } from '../src/onnx/wire.ts';
import { makeBert, makeLlama } from './checkpoints.ts';
import { node } from './onnx-messages.ts';
import { moec } from './terminal.ts';

const scratch = mkdtempSync(join(tmpdir(), 'moec-decoders-'));
afterAll(() => rmSync(scratch, { recursive: true }));

async function call(...words: readonly string[]): Promise<string> {
  const { code, out, err } = await moec(words, { cwd: scratch });
  expect(code, err || out).toBe(0);
  return out;
}

/** What a model writes after the prompt. */
async function continued(target: string, ...more: readonly string[]): Promise<unknown> {
  const { texts } = JSON.parse(await call('run', target, ...more, '--prompt', 'abc', '--max-tokens', '12', '--json')) as { texts: readonly { tokens: unknown }[] };
  return texts[0]?.tokens;
}

/** The model of a compiled folder and its data under `onnx/`, the rest of the checkpoint above, as hubs have it. */
function asHub(compiled: string, name: string): string {
  const folder = join(scratch, name);
  mkdirSync(join(folder, 'onnx'), { recursive: true });
  for (const file of readdirSync(join(scratch, compiled)))
    if (file !== 'moec.json') cpSync(join(scratch, compiled, file), join(folder, file.startsWith('model.') ? 'onnx' : '', file));
  return join(name, 'onnx/model.onnx');
}

/** The model with an input that says of how many last tokens logits are wanted, 0 for all. */
function asking(file: string): void {
  const model = decodeModel(readFileSync(file));
  const graph = model.graph ?? {};
  const [first] = graph.output ?? [];
  const renamed = (graph.node ?? []).map((one) => ({ ...one, output: (one.output ?? []).map((name) => (name === first?.name ? 'logits_of_all' : name)) }));
  const whole = (name: string, value: number): TensorProto => ({ name, dims: [1], dataType: 7, int64Data: [value] });
  const nodes = [
    node('Neg', ['num_logits_to_keep'], ['from']),
    node('Reshape', ['from', 'one'], ['starts']),
    node('Slice', ['logits_of_all', 'starts', 'end', 'one'], [first?.name ?? '']),
  ];
  writeFileSync(
    file,
    encodeModel({
      ...model,
      graph: {
        ...graph,
        input: [...(graph.input ?? []), { name: 'num_logits_to_keep', type: { tensorType: { elemType: 7, shape: { dim: [] } } } }],
        node: [...renamed, ...nodes],
        initializer: [...(graph.initializer ?? []), whole('one', 1), whole('end', 2 ** 40)],
      },
    }),
  );
}

let wanted: unknown;
beforeAll(async () => {
  makeLlama(join(scratch, 'llama'));
  writeFileSync(join(scratch, 'text.txt'), 'The sea was calm that day, and nobody spoke of the storm. '.repeat(12));
  wanted = await continued('llama');
  expect(wanted).toHaveLength(12);
}, 60_000);

interface Case {
  readonly name: string;
  readonly how?: readonly string[];
  readonly change?: (file: string) => void;
}

const cases: readonly Case[] = [
  { name: 'with a cache' },
  { name: 'with a cache, in standard ops', how: ['--target', 'portable'] },
  { name: 'with a cache, asking for how many logits', change: asking },
  { name: 'without a cache', how: ['--no-cache'] },
  { name: 'without a cache, asking for how many logits', how: ['--no-cache'], change: asking },
];

describe.each(cases)('$name', ({ name, how = [], change }) => {
  const folder = name.replaceAll(/\W+/g, '-');
  let file = '';
  beforeAll(async () => {
    await call('compile', 'llama', ...how, '-o', folder);
    file = asHub(folder, `hub-${folder}`);
    change?.(join(scratch, file));
  }, 60_000);

  test('it continues a text, and compiled again too', async () => {
    expect(await continued(file)).toEqual(wanted);
    expect(await continued(file, '--no-cache')).toEqual(wanted);
    await call('compile', file, '-o', `again-${folder}`);
    expect(await continued(`again-${folder}`)).toEqual(wanted);
    expect(JSON.parse(readFileSync(join(scratch, `again-${folder}`, 'moec.json'), 'utf8'))).toMatchObject({ form: how.includes('--no-cache') ? 'whole' : 'step' });
  });

  test('it becomes experts on text, measured as a model that writes, and with all of them it writes the same', async () => {
    const all = ['--experts', '4', '--top', '4', '--repair', 'none', '--speed', 'none', '--evaluate', '64'];
    const said = JSON.parse(await call('emerge', file, ...all, '--calibrate', 'text.txt', '-o', `experts-${folder}`, '--json')) as {
      metric: unknown;
      lines: readonly { name: string; value: number }[];
    };
    expect(said.metric).toMatchObject({ kind: 'perplexity' });
    const of = (line: string): number => said.lines.find((one) => one.name === line)?.value ?? Number.NaN;
    expect(of('asked') / of('dense')).toBeCloseTo(1, 5);
    expect(await continued(`experts-${folder}`)).toEqual(wanted);
  });

  test('it becomes experts on listed inputs that leave out the past', async () => {
    const rows = Array.from({ length: 4 }, (_, i) => ({ input_ids: [Array.from({ length: 16 }, (_, j) => (i * 31 + j * 7) % 256)] }));
    writeFileSync(join(scratch, 'rows.json'), JSON.stringify(rows));
    await call('emerge', file, '--experts', '4', '--top', '2', '--speed', 'none', '--calibrate', 'rows.json', '-o', `listed-${folder}`);
  });
});

test('a model that reads from both sides continues nothing', async () => {
  makeBert(join(scratch, 'bert'));
  await call('compile', 'bert', '-o', 'both');
  const { code, err } = await moec(['run', asHub('both', 'hub-both'), '--prompt', 'abc'], { cwd: scratch });
  expect([code, err]).toEqual([1, expect.stringContaining('error[cannot-generate]: ')]);
});
