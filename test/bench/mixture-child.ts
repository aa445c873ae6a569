/** One contender of `mixture` in a process of its own: prints median milliseconds as JSON. */

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { graphBuilder } from '../../src/graph/builder.ts';
import { dim, symbol } from '../../src/graph/dim.ts';
import { foreign } from '../../src/graph/foreign.ts';
import { type Graph, type Value, value } from '../../src/graph/graph.ts';
import { float } from '../../src/graph/onnx.ts';
import { tensor } from '../../src/graph/type.ts';
import { exportModel } from '../../src/onnx/export.ts';
import { modelOfSource } from '../../src/run/find-model.ts';
import { placeWeights, planWeights } from '../../src/run/place-weights.ts';
import { prepare } from '../../src/run/prepare.ts';
import { temporaryFolder } from '../../src/run/temporary.ts';
import { ort } from '../../src/targets/ort.ts';
import { type LoweringName, loweringNames } from '../../src/targets/target.ts';
import { repository, repositoryReader } from '../repository.ts';
import { must } from '../running.ts';

interface Shape {
  readonly D: number;
  readonly H: number;
  readonly E: number;
  readonly k: number;
  /** Layers, each on top of the one before. */
  readonly L: number;
}

const [, , name = 'chosen', given = '{}'] = process.argv;
const shape = JSON.parse(given) as Shape;
const { model, folder, dispose } = name === 'MoE' ? await bare(shape) : await ours(shape);
const began = performance.now();
const session = await InferenceSession.create(model, { intraOpNumThreads: 2, logSeverityLevel: 3, extra: { session: { model_external_initializers_file_folder_path: folder } } });
const figures: Record<string, number> = { load: (performance.now() - began) / 1000 };
for (const tokens of [1, 16, 256]) figures[`t${tokens}`] = await median(tokens);
dispose();
console.log(JSON.stringify(figures));

/** The median milliseconds of some runs, each of other tokens. */
async function median(tokens: number): Promise<number> {
  const inputs = Array.from(
    { length: 8 },
    (_, turn) =>
      new Tensor(
        'float32',
        Float32Array.from({ length: tokens * shape.D }, (_, i) => Math.sin((i + 1) * 12.9898 + turn)),
        [1, tokens, shape.D],
      ),
  );
  const taken: number[] = [];
  const until = performance.now() + 2000;
  for (let turn = 0; turn < 8 || performance.now() < until; turn++) {
    const start = performance.now();
    await session.run({ x: inputs[turn % inputs.length] as Tensor });
    if (turn >= 2) taken.push(performance.now() - start);
  }
  return taken.sort((a, b) => a - b)[taken.length >> 1] ?? Number.NaN;
}

interface Made {
  readonly model: Uint8Array;
  readonly folder: string;
  dispose(): void;
}

/** The mixtures in a lowering of ours, or dense layers. */
async function ours({ D, H, E, k, L }: Shape): Promise<Made> {
  const layer = name === 'dense' ? `SwiGLU(${D}, ${H * k})` : `mixture ${E} of SwiGLU(${D}, ${H}) { score = linear  pick = top(${k})  weigh = softmax(picked) }`;
  const block = `layer Block() {\n  norm = RmsNorm(${D}, 1e-5)\n  ffn = ${layer}\n  forward(x: [.., ${D}]) -> [.., ${D}] { return x + ffn(norm(x)) }\n}\n`;
  const text = `import { RmsNorm, SwiGLU } from "std/layers"\ndim B, S\n${block}model M {\n  blocks = repeat ${L} of Block()\n  forward(x: [B, S, ${D}]) -> y: [B, S, ${D}] { return blocks(x) }\n}\n`;
  const reader = { ...repositoryReader, read: (path: string) => (path === 'test/bench.moe' ? text : repositoryReader.read(path)) };
  const found = must(modelOfSource('test/bench.moe', { reader, zoo: repository, seed: 1 }));
  const lowering = loweringNames.find((one): one is LoweringName => one === name);
  const { model: made, dispose } = must(
    await prepare(found, { target: ort, version: 'bench', form: 'whole', ...(lowering ? { lowering: { few: lowering, many: lowering } } : {}) }),
  );
  if (made.kind !== 'bytes') throw new Error('a model that is not in memory');
  return { model: made.bytes, folder: made.dataFolder, dispose: () => dispose?.() };
}

/** The operator alone in each layer, behind the product of its router. */
async function bare({ D, H, E, k, L }: Shape): Promise<Made> {
  const build = graphBuilder();
  const x = value('x', tensor('f32', [symbol('B'), symbol('S'), D]));
  const random = (path: string, ...dims: number[]) => ({
    value: value(path, { dtype: 'f32', dims: dims.map((size) => dim(size)) }),
    path,
    storage: 'constant' as const,
    source: { kind: 'random' as const, path, seed: 1, deviation: 1 / Math.sqrt(dims.at(-1) ?? 1), dims, dtype: 'f32' as const },
  });
  const weights: ReturnType<typeof random>[] = [];
  const held = (path: string, ...dims: number[]): Value => {
    const made = random(path, ...dims);
    weights.push(made);
    return made.value;
  };
  const only = (values: readonly Value[]): Value => {
    if (!values[0]) throw new Error('no result');
    return values[0];
  };
  const type = tensor('f32', [symbol('B'), symbol('S'), D]);
  const ones = build.constant({ dims: [D], data: new Float64Array(D).fill(1), dtype: 'f32' }, 'ones');
  const shape = build.constant({ dims: [2], data: Float64Array.of(-1, E), dtype: 'i64' }, 'shape');
  const settings = { k, activation_type: 'swiglu', normalize_routing_weights: 1, swiglu_fusion: 1, activation_alpha: float(1), activation_beta: float(0) };
  let y: Value = x;
  for (let l = 0; l < L; l++) {
    const norm = only(build.foreign(foreign('RMSNormalization'), [y, ones], { axis: -1, epsilon: float(1e-5) }, [{ name: `${l}.norm` }]));
    const logits = only(build.foreign(foreign('MatMul'), [norm, held(`${l}.router`, D, E)], {}, [{ name: `${l}.logits` }]));
    const flat = only(build.foreign(foreign('Reshape'), [logits, shape], {}, [{ name: `${l}.flat` }]));
    const matrices = [held(`${l}.fc1`, E, 2 * H, D), undefined, held(`${l}.fc2`, E, D, H)];
    const mixed = only(build.foreign(foreign('MoE', 'com.microsoft'), [norm, flat, ...matrices], settings, [{ name: `${l}.mixed` }]));
    y = only(build.foreign(foreign('Add'), [y, mixed], {}, [{ name: `${l}.y`, type }]));
  }
  const graph: Graph = build.finish({ name: 'bare', inputs: [x], outputs: [{ name: 'y', value: y }], weights });
  const plan = planWeights([graph], 'written', undefined);
  const temporary = temporaryFolder();
  const placed = must(await placeWeights(temporary.path, plan));
  return { model: exportModel(graph, { opset: ort.opset, ir: ort.ir, place: placed.place }), folder: temporary.path, dispose: temporary.remove };
}
