/** Derived models: what is to be done to a graph, as data, held against what the finder of feed-forwards sees in it. */

import { describe, expect, test } from 'vitest';
import { libraryFile } from '../src/cli/package.ts';
import { renderDiagnostics } from '../src/diagnostics/render.ts';
import { buildModel, emergentSettingsOf, filesNamed, loadProgram, type Model, type Program } from '../src/model/index.ts';
import type { BuildOptions } from '../src/model/model.ts';
import { emergentWords } from '../src/passes/emergent/read-settings.ts';
import type { EmergentSettings } from '../src/passes/emergent/settings.ts';
import { findFeedForwards } from '../src/passes/feed-forwards.ts';
import { repositoryReader } from './repository.ts';

/** A program of texts in memory, with the library and the models of moec beside them. */
function load(texts: Readonly<Record<string, string>>): Program {
  return loadProgram('main.moe', {
    read: (path) => texts[path] ?? repositoryReader.read(path),
    resolve: (from, spec) => (libraryFile(spec) === undefined ? `${spec.replace('./', '')}.moe` : repositoryReader.resolve(from, spec)),
  });
}

function build(main: string, options: BuildOptions = {}, files: Readonly<Record<string, string>> = {}): Model {
  const { model, diagnostics } = buildModel(load({ 'main.moe': main, ...files }), options);
  if (!model) throw new Error(diagnostics.map(({ message }) => message).join('\n'));
  return model;
}

const base = `import { SwiGLU } from "std/layers"
dim B
param D = 8
param L = 4 from config "layers"
layer Block() {
  ffn = SwiGLU(D, 16)
  forward(x: [B, D]) -> [B, D] { return x + ffn(x) }
  weights { ffn <- "mlp" }
}
/// Four of them.
model Base for "toy" {
  require L > 1
  blocks = repeat L of Block()
  forward(x: [B, D]) -> y: [B, D] { return blocks(x) }
  weights from "base.safetensors" { blocks[i] <- "layers.{i}" }
}
`;

const pathsOf = ({ derivations }: Model): readonly string[] => derivations.flatMap(({ targets }) => targets.map(({ path }) => path));
const defaults: EmergentSettings = {
  experts: 4,
  shared: 0,
  picks: 2,
  group: { kind: 'balanced_kmeans', of: 'keys', restarts: 1 },
  score: { kind: 'mean_key' },
  repair: { kind: 'none' },
  seed: 0,
  pad: false,
  untie: false,
  inOrder: false,
  tokens: 16_384,
};

describe('derivations', () => {
  test('targets and settings, each with the values of its own indices', () => {
    const { derivations } = build(`${base}param E = 4\nmodel M from Base { emergent blocks[i in 1..L].ffn { experts = E * i  pick = top(i + 1)  seed = i } }`, { model: 'M' });
    expect(derivations.map(({ pass, targets, files }) => ({ pass, targets, files }))).toEqual([
      {
        pass: 'emergent',
        files: [],
        targets: [1, 2, 3].map((i) => ({ path: `blocks.${i}.ffn`, settings: { ...defaults, experts: 4 * i, picks: i + 1, seed: i } })),
      },
    ]);
  });

  test('targets are called as the finder calls what it finds in the graph', () => {
    const sizes = { D: '16', H: '32', V: '64', L: '3', N: '2' };
    const model = build('import { Llama } from "zoo/llama"\nmodel M from Llama { emergent body.blocks[..].ffn { experts = 4  pick = top(2) } }', { set: sizes });
    expect(pathsOf(model)).toEqual(findFeedForwards(model.graph).found.map(({ path }) => path));
    expect(pathsOf(model).length).toBe(3);
    const tied = build(
      `import { Embedding, SwiGLU } from "std/layers"
dim B, S
layer Block() {
  mlp = SwiGLU(8, 16)
  forward(x: [B, S, 8]) -> [B, S, 8] { return x + mlp(x) }
}
model Tied {
  embed  = Embedding(32, 8)
  block  = Block()
  blocks = repeat 3 of block
  forward(input_ids: i64[B, S]) -> y: [B, S, 8] { return blocks(embed(input_ids)) }
}
model M from Tied { emergent blocks[i].mlp { experts = 4  pick = top(2) } }`,
      { model: 'M' },
    );
    expect(pathsOf(tied)).toEqual(findFeedForwards(tied.graph).found.map(({ path }) => path));
  });

  test('a chain, its merges, and what a derived model takes from its base', () => {
    const files = { 'base.moe': base };
    const main = `import { Base } from "./base"
model A from Base { emergent blocks[..].ffn { experts = 4  pick = top(2) }  weights from "tuned.safetensors" }
model B from A {
  merge blocks[..2].ffn {}
  emergent blocks[0].ffn { experts = 8  pick = top(2) }
}
model C from B { merge blocks[..1].ffn {}  merge blocks[2..].ffn {} }`;
    const models = ['A', 'B', 'C'].map((model) => build(main, { model, config: { model_type: 'toy', layers: 4 } }, files));
    expect(models.map(pathsOf)).toEqual([[0, 1, 2, 3].map((i) => `blocks.${i}.ffn`), ['blocks.2.ffn', 'blocks.3.ffn', 'blocks.0.ffn'], []]);
    for (const model of models)
      expect(model).toMatchObject({ families: ['toy'], doc: 'Four of them.', base: { kind: 'model', name: 'Base' }, weightsFrom: { path: 'tuned.safetensors' } });
    expect(models[1]?.graph.name).toBe('B');
    const own = build(base);
    expect(own).toMatchObject({ base: { kind: 'own' }, derivations: [], weightsFrom: { path: 'base.safetensors', span: { file: 'main.moe' } } });
  });

  test("a base's requirements and weights hold for what is derived from it", () => {
    const program = load({ 'main.moe': `${base}model M from Base { emergent blocks[0].ffn { experts = 4  pick = top(2) } }` });
    expect(buildModel(program, { model: 'M', config: { layers: 1 } }).diagnostics.map(({ code }) => code)).toContain('require-failed');
    const tensors = new Map(
      [0, 1, 2, 3].flatMap((i) =>
        ['gate', 'up', 'down'].map((name) => [`layers.${i}.mlp.${name}_proj.weight`, { dtype: 'f32' as const, dims: name === 'down' ? [8, 16] : [16, 8] }]),
      ),
    );
    expect(buildModel(program, { model: 'M', tensors }).model?.graph.weights.length).toBe(12);
    tensors.delete('layers.2.mlp.up_proj.weight');
    expect(buildModel(program, { model: 'M', tensors }).diagnostics.map(({ code }) => code)).toContain('tensor-missing');
  });

  test('a grouping from a file needs nothing else, and the file is named', () => {
    const [derivation] = build(`${base}model M from Base { emergent blocks[..].ffn { group = from "m.experts.safetensors"  text = "a.txt" } }`, { model: 'M' }).derivations;
    expect(derivation?.targets[3]?.settings).toMatchObject({ group: { kind: 'stored', file: 'm.experts.safetensors' }, experts: 0, picks: 0 });
    expect(derivation?.files).toMatchObject([{ path: 'm.experts.safetensors', span: { file: 'main.moe' } }]);
    const [calibrated] = build(`${base}model M from Base { emergent blocks[..].ffn { experts = 4  pick = top(2)  text = "a.txt" } }`, { model: 'M' }).derivations;
    const fitted = {
      group: { kind: 'coactivation' },
      score: { kind: 'decisive', features: 0, penalty: 1e-2 },
      repair: { kind: 'dropped_means' },
      inOrder: true,
    };
    expect(calibrated?.targets[0]?.settings).toEqual({ ...defaults, text: 'a.txt', ...fitted });
    expect(calibrated?.files.map(({ path }) => path)).toEqual(['a.txt']);
  });

  test('of an ONNX file: the graph that was read, and places as its finder names them', () => {
    const program = load({ 'main.moe': 'model M from onnx "x.onnx" { emergent ffn[i in 1..3] { experts = 4  pick = top(i) } }' });
    expect(filesNamed(program, {})).toMatchObject({ onnx: { path: 'x.onnx', span: { file: 'main.moe' } } });
    const { graph } = build(base);
    const { model } = buildModel(program, { imported: { graph, places: ['ffn.0', 'ffn.1', 'ffn.2'] } });
    expect(model?.graph).toBe(graph);
    expect(model && pathsOf(model)).toEqual(['ffn.1', 'ffn.2']);
    expect(model).toMatchObject({ name: 'M', base: { kind: 'onnx', file: { path: 'x.onnx' } } });
    const few = buildModel(program, { imported: { graph, places: ['ffn.0', 'ffn.1'] } });
    expect(few.model).toBeUndefined();
    expect(few.diagnostics.map(({ code, message }) => [code, message])).toEqual([['index-out-of-range', '`[1..3]` is out of range: there are 2, counted from 0']]);
    const none = buildModel(program, { imported: { graph, places: ['blocks.0.ffn'] } });
    expect(none.diagnostics.map(({ code }) => code)).toEqual(['path-unknown']);
    const other = buildModel(load({ 'main.moe': 'model M from onnx "x.onnx" { emergent mlp { experts = 4  pick = top(2) } }' }), {
      imported: { graph, places: ['ffn.0', 'ffn.1'] },
    });
    expect(renderDiagnostics(other.diagnostics, () => undefined)).toContain('error[path-unknown]: `x.onnx` has no `mlp`');
  });

  test('the files that a model names are known before it is built', () => {
    const program = load({ 'main.moe': `${base}model M from Base { weights from "tuned" }` });
    expect(filesNamed(program, {}).weights).toMatchObject({ path: 'base.safetensors' });
    expect(filesNamed(program, { model: 'M' }).weights).toMatchObject({ path: 'tuned' });
    expect(filesNamed(program, { model: 'N' })).toEqual({});
  });
});

describe('settings as texts, as the command line has them', () => {
  const read = (texts: Readonly<Record<string, string>>) => emergentSettingsOf(texts, (name) => `--${name}`);

  test('are read by the grammar and the table of the language', () => {
    const given = {
      experts: '16',
      pick: 'top(8)',
      group: 'balanced_kmeans(of: activations, seed: 3)',
      score: 'fitted(64, penalty: 1e-2)',
      repair: 'low_rank(4)',
      text: '"a.txt"',
    };
    expect(read(given)).toEqual({
      ok: true,
      diagnostics: [],
      value: {
        ...defaults,
        experts: 16,
        picks: 8,
        group: { kind: 'balanced_kmeans', of: 'activations', restarts: 1 },
        seed: 3,
        repair: { kind: 'low_rank', rank: 4 },
        text: 'a.txt',
        score: { kind: 'fitted', features: 64, penalty: 1e-2 },
        inOrder: true,
      },
    });
  });

  test.each([
    [{ experts: '16', pick: 'top(8)', group: 'balanced_kmeans(of: acts' }, ['unclosed-bracket']],
    [{ experts: '16', pick: 'top(8)', group: 'random random' }, ['unexpected-token']],
    [{ experts: '16', pick: 'top(17)' }, ['picks-out-of-range']],
    [{ experts: '16', pick: 'top(4 + 4)', group: 'from "x"', score: 'mean' }, ['setting-word-unknown']],
    [{ experts: '', pick: 'top(8)' }, ['unexpected-token']],
    [{ pick: 'top(8)' }, ['setting-missing']],
    [{ experts: '16', pick: 'threshold(0.5, most: 7)' }, ['setting-out-of-range']],
    [{ experts: '16', pick: 'top(8)', score: 'representative', repair: 'dropped_means' }, ['setting-invalid']],
  ])('%j: %j', (texts, codes) => {
    const outcome = read(texts as Readonly<Record<string, string>>);
    expect(outcome.ok).toBe(false);
    expect(outcome.diagnostics.map(({ code }) => code)).toEqual(codes);
  });

  test('plain means stand in where a score is no product of the input', () => {
    const repairs = ['decisive', 'fitted', 'mean_key', 'representative', 'oracle'].map((score) => {
      const outcome = read({ experts: '16', pick: 'top(8)', score, text: '"a.txt"' });
      return outcome.ok && outcome.value.repair.kind;
    });
    expect(repairs).toEqual(['dropped_means', 'dropped_means', 'dropped_means', 'means', 'means']);
  });

  test('say where in the text the fault is', () => {
    const texts: Readonly<Record<string, string>> = { experts: '16', pick: 'top(8)', group: 'balanced_kmeans(of: values)' };
    expect(renderDiagnostics(read(texts).diagnostics, (file) => texts[file.slice(2)])).toBe(`error[setting-word-unknown]: \`of\` knows no \`values\`
  ╭─ --group:1:21
 1│ balanced_kmeans(of: values)
  │                     ^^^^^^
  = it is one of \`keys\`, \`activations\`

1 error`);
  });
});

test('words of the settings are known as such', () => {
  for (const word of ['balanced_kmeans', 'keys', 'top', 'one', 'low_rank', 'fitted', 'oracle']) expect(emergentWords.has(word)).toBe(true);
  expect(emergentWords.has('experts')).toBe(false);
});
