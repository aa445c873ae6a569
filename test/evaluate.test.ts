/** `moec eval`: what is scored, and the figures against a numpy implementation, the f64 reference and counts by hand. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluateGraph } from '../src/graph/eval.ts';
import { ndArray } from '../src/graph/nd-array.ts';
import { windowsOf } from '../src/run/evaluate.ts';
import { modelOfSource } from '../src/run/find-model.ts';
import { sourceArray } from '../src/weights/source.ts';
import { makeBert, makeLlama } from './checkpoints.ts';
import { defined } from './definition.ts';
import { fixture } from './fixtures.ts';
import { repositoryReader } from './repository.ts';
import { must, zooModel } from './running.ts';
import { moec } from './terminal.ts';

const classes = `dim B, S
model Classes {
  weight table: [258, 8]
  weight head: [8, 3]
  forward(input_ids: i64[B, S]) -> logits: [B, 3] { return mean(gather(table, input_ids), axis: 1) @ head }
  weights { table <- "classes.table"  head <- "classes.head" }
}
`;

let scratch = '';
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'moec-eval-'));
  writeFileSync(join(scratch, 'classes.moe'), classes);
  makeBert(join(scratch, 'bert'));
  // A folder with a tokenizer over bytes, whose 256 begins and 257 ends a text.
  makeLlama(join(scratch, 'weights'), { shapes: { 'classes.table': [258, 8], 'classes.head': [8, 3] } });
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A file of the scratch folder. */
function file(name: string, text: string): string {
  writeFileSync(join(scratch, name), text);
  return join(scratch, name);
}

async function evaluated(...call: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  const { code, out } = await moec(['eval', ...call, '--threads', '1', '--json']);
  expect([code, out.slice(0, 400)]).toEqual([0, expect.anything()]);
  return JSON.parse(out) as Readonly<Record<string, unknown>>;
}

describe('windows', () => {
  it('score every token but the first once, after as many others as promised', () => {
    const cut = fc.record({ length: fc.integer({ min: 2, max: 60 }), context: fc.integer({ min: 1, max: 20 }), part: fc.double({ min: 0.01, max: 1, noNaN: true }) });
    fc.assert(
      fc.property(cut, ({ length, context, part }) => {
        const stride = Math.max(1, Math.floor(context * part));
        const tokens = Array.from({ length }, (_, i) => i);
        const windows = windowsOf(tokens, { context, stride });
        expect(windows.flatMap(({ targets }) => targets)).toEqual(tokens.slice(1));
        for (const { inputs, targets } of windows) {
          expect(inputs.length).toBeLessThanOrEqual(context);
          expect(targets.at(-1)).toBe((inputs.at(-1) ?? Number.NaN) + 1);
          for (const target of targets) expect(target - (inputs[0] ?? Number.NaN)).toBeGreaterThanOrEqual(Math.min(target, context - stride + 1));
        }
      }),
    );
  });
});

describe('perplexity', () => {
  const text = 'It was the best of times.';

  it.each([
    [8, 8],
    [8, 3],
    [5, 1],
    [512, 512],
  ])('of windows of %d tokens, stride %d, is what the f64 reference says token by token, 1e-5', async (context, stride) => {
    const tokens = [...Buffer.from(text)];
    const { graph } = zooModel('tiny').model;
    const surprises = tokens.slice(1).map((token, i) => {
      // The first window that reaches the token begins here; it reads all up to the one before it.
      const begin = Math.max(0, Math.ceil((i + 1 - context) / stride)) * stride;
      const seen = tokens.slice(begin, i + 1);
      const { logits } = defined(graph, { input_ids: ndArray([1, seen.length], seen, 'i64') });
      const row = (logits?.data ?? new Float64Array()).subarray(-256);
      return Math.log(row.reduce((sum, one) => sum + Math.exp(one), 0)) - (row[token] ?? Number.NaN);
    });
    const wanted = Math.exp(surprises.reduce((sum, one) => sum + one, 0) / surprises.length);
    const found = await evaluated('models/tiny.moe', '--text', file('text.txt', text), '--context', String(context), '--stride', String(stride));
    expect(found).toMatchObject({ task: 'perplexity', tokens: tokens.length - 1, context, stride });
    expect(Math.abs(Number(found['perplexity']) / wanted - 1)).toBeLessThan(1e-5);
  });

  it('of a compiled folder is that of its model, and a beginning can be asked for', async () => {
    const at = file('text.txt', text);
    expect((await moec(['compile', 'models/tiny.moe', '-o', join(scratch, 'tiny')])).code).toBe(0);
    const [whole, compiled, part, short] = [
      await evaluated('models/tiny.moe', '--text', at),
      await evaluated(join(scratch, 'tiny'), '--text', at),
      await evaluated('models/tiny.moe', '--text', at, '--tokens', '10'),
      await evaluated('models/tiny.moe', '--text', file('short.txt', text.slice(0, 11))),
    ];
    expect(Math.abs(Number(compiled['perplexity']) / Number(whole['perplexity']) - 1)).toBeLessThan(1e-6);
    expect([part['tokens'], part['perplexity']]).toEqual([10, short['perplexity']]);
  });

  it('is said in words, with the next step', async () => {
    const { code, out, err } = await moec(['eval', 'models/tiny.moe', '--text', '-', '--context', '16', '--stride', '8'], { stdin: text });
    expect(code).toBe(0);
    expect(out).toMatch(/^perplexity [\d.]+, [\d.]+ nats a token\n24 tokens of - scored in 2 windows of 16 tokens at most, stride 8; \d+ tokens a second\n$/);
    expect(err).toMatch(/next: moec bench models\/tiny.moe\n$/);
  });
});

const stories = fixture('stories260k');
describe.skipIf(stories === undefined)('stories260k (skipped where the fixture is absent)', () => {
  const texts = (stories === undefined ? [] : JSON.parse(readFileSync(`${stories}/expected.json`, 'utf8'))).filter((one: object) => 'perplexity' in one);
  it.each<{ readonly text: string; readonly perplexity: number; readonly ids: readonly number[] }>(texts)(
    'perplexity of "$text" is what numpy found, 1e-4',
    async ({ text, perplexity, ids }) => {
      const found = await evaluated(stories ?? '', '--text', file('story.txt', text));
      expect(found['tokens']).toBe(ids.length - 1);
      expect(Math.abs(Number(found['perplexity']) / perplexity - 1)).toBeLessThan(1e-4);
    },
  );
});

const albert = fixture('rxn-albert');
describe.skipIf(albert === undefined)('rxn-albert (skipped where the fixture is absent)', () => {
  it('recovers as many masked tokens as recorded, from a list and from lines', async () => {
    const recorded = JSON.parse(readFileSync(`${albert}/expected.json`, 'utf8'));
    const found = await evaluated(albert ?? '', '--text', `${albert}/expected.json`);
    expect(found).toMatchObject({ task: 'masked', right: recorded.masked_top1, total: recorded.masked_total });
    const [first] = recorded.reactions as readonly { readonly ids: readonly number[]; readonly masked_top1: number }[];
    const lines = file('lines.jsonl', [JSON.stringify({ ids: first?.ids }), JSON.stringify({ ids: first?.ids, mask: [1, 2] })].join('\n'));
    const { rows } = await evaluated(albert ?? '', '--text', lines, '--mask-token', '14');
    expect(rows).toEqual([
      { right: first?.masked_top1, total: 21 },
      { right: expect.any(Number), total: 2 },
    ]);
  });
});

describe('classes', () => {
  it('are right where the f64 reference has its largest logit', async () => {
    const target = [join(scratch, 'classes.moe'), '--weights', join(scratch, 'weights')];
    const texts = ['good', 'very good', 'bad', 'not at all', 'fine', 'awful', 'so so', 'ok'];
    const { model, checkpoint } = must(modelOfSource(join(scratch, 'classes.moe'), { reader: repositoryReader, zoo: '', weights: join(scratch, 'weights') }));
    const numbers = new Map(model.graph.weights.map(({ path, source }) => [path, sourceArray(source, checkpoint)]));
    const answers = texts.map((text) => {
      const bytes = [...Buffer.from(text)];
      const results = evaluateGraph(model.graph, { input_ids: ndArray([1, bytes.length], bytes, 'i64') }, (path) => numbers.get(path) ?? ndArray([0], []));
      const row = [...(results['logits']?.data ?? [])];
      return row.indexOf(Math.max(...row));
    });
    expect(new Set(answers).size).toBeGreaterThan(1);
    const labels = answers.map((answer, i) => (i % 3 === 0 ? (answer + 1) % 3 : answer));
    const table = file('rows.tsv', `sentence\tlabel\n${texts.map((text, i) => `${text}\t${labels[i]}`).join('\n')}\n`);
    const bare = file('bare.tsv', texts.map((text, i) => `${text}\t${labels[i]}\n`).join(''));
    for (const rows of [table, bare]) expect(await evaluated(...target, '--text', rows)).toMatchObject({ task: 'classes', right: 5, total: 8, accuracy: 5 / 8 });
    const { out } = await moec(['eval', ...target, '--text', table]);
    expect(out).toBe('accuracy 62.50 %: 5 of 8 texts, 8 rows\n');
  });
});

describe('refused', () => {
  const rows = 'row 1: ';
  it.each<readonly [string, string, string, readonly string[], number, string]>([
    ['an empty text', 'models/tiny.moe', '', [], 1, 'error[text-too-short]: the text of'],
    ['a text of one token', 'models/tiny.moe', 'a', [], 1, 'has too few tokens: 1, where at least 2 are needed'],
    ['a stride that leaves tokens out', 'models/tiny.moe', 'abc', ['--context', '4', '--stride', '5'], 2, '--stride 5 leaves out what lies between windows of 4 tokens'],
    ['picks of a model without mixtures', 'models/tiny.moe', 'abc', ['--active', '2'], 1, 'error[no-picks-to-set]'],
    ['a window of rows', 'classes.moe', 'abc\t1', ['--context', '4'], 2, "error: option '--context' says nothing of the task classes\n"],
    ['a stride of rows', 'bert', '{"ids": [1, 2, 3]}', ['--task', 'masked', '--stride', '4'], 2, "error: option '--stride' says nothing of the task masked\n"],
    ['a mask for a text', 'models/tiny.moe', 'abc', ['--mask-token', '4'], 2, "error: option '--mask-token' says nothing of the task perplexity\n"],
    [
      'a model without logits',
      'bert',
      '{"ids": [1, 2, 3]}',
      ['--task', 'masked', '--mask-token', '3'],
      1,
      'error[cannot-evaluate]: this model cannot be evaluated on text: it has no result `logits`',
    ],
    ['a class for each token', 'models/tiny.moe', 'abc\t1', ['--task', 'classes'], 1, '`logits` has 3 axes, not 2: one answer for each text'],
    ['a mask nobody names', 'bert', '{"ids": [1, 2, 3]}', ['--task', 'masked'], 1, 'error[mask-token-missing]: no file of'],
    ['rows that are no JSON', 'bert', '[{"ids": [1, 2]', ['--task', 'masked', '--mask-token', '3'], 1, 'error[rows-unreadable]'],
    ['rows without a text', 'classes.moe', '{"label": 1}', [], 1, `${rows}it has neither \`text\` nor \`ids\``],
    ['a class the model does not have', 'classes.moe', '{"ids": [1], "label": 3}', [], 1, `${rows}its label is 3; the model has 3 classes`],
    ['words without a tokenizer', 'classes.moe', 'abc\t1', [], 1, 'error[tokenizer-missing]'],
    ['a label that is a word', 'classes.moe', 'abc\tgood', [], 1, `${rows}its label is "good", not the number of a class`],
    ['a row without a label', 'classes.moe', '{"ids": [1]}', [], 1, `${rows}it has no label`],
    ['a row that masks nothing', 'bert', '{"ids": [1, 2, 3], "mask": []}', ['--task', 'masked', '--mask-token', '3'], 1, `${rows}it masks no position`],
    ['a row of the first and the last token', 'bert', '{"ids": [1, 2]}', ['--task', 'masked', '--mask-token', '3'], 1, `${rows}it has no token but the first and the last`],
    ['a position beyond the text', 'bert', '{"ids": [1, 2], "mask": [2]}', ['--task', 'masked', '--mask-token', '3'], 1, `${rows}it masks position 2 of 2 tokens`],
    [
      'a text longer than the model reads',
      'bert',
      `{"ids": [${new Array(13).fill(1).join()}]}`,
      ['--task', 'masked', '--mask-token', '3'],
      1,
      'it has 13 tokens; the model looks at 12 at most',
    ],
  ])('%s', async (_, model, text, more, code, said) => {
    const target = model.startsWith('models/') ? model : join(scratch, model);
    const found = await moec(['eval', target, '--text', file('given.txt', text), ...more]);
    expect([found.code, found.out]).toEqual([code, '']);
    expect(found.err).toContain(said);
  });

  it('a text that is not there, or not text', async () => {
    expect((await moec(['eval', 'models/tiny.moe', '--text', '/nowhere.txt'])).err).toContain('error[target-missing]: there is no file or folder /nowhere.txt');
    writeFileSync(join(scratch, 'binary'), Uint8Array.of(0xff, 0xfe, 0xff));
    expect((await moec(['eval', 'models/tiny.moe', '--text', join(scratch, 'binary')])).err).toContain('error[cannot-read]');
  });
});
