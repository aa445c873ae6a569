/** One contender of `mixture` in a process of its own: prints milliseconds as JSON, the least of its runs, since everything else on the machine only adds to them. */

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { graphBuilder } from '../../src/graph/builder.ts';
import { dim, symbol } from '../../src/graph/dim.ts';
import { foreign } from '../../src/graph/foreign.ts';
import { type Graph, value } from '../../src/graph/graph.ts';
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
}

const [, , name = 'chosen', given = '{}'] = process.argv;
const shape = JSON.parse(given) as Shape;
const { model, folder, dispose } = name === 'MoE' ? await bare(shape) : await ours(shape);
const began = performance.now();
const session = await InferenceSession.create(model, { intraOpNumThreads: 2, logSeverityLevel: 3, extra: { session: { model_external_initializers_file_folder_path: folder } } });
const figures: Record<string, number> = { load: (performance.now() - began) / 1000 };
for (const tokens of [1, 16, 256]) figures[`t${tokens}`] = await least(tokens);
dispose();
console.log(JSON.stringify(figures));

/** The least milliseconds of some runs: several tokens are others each time; one is always the same, so that its experts are as warm in the caches as a dense layer is. */
async function least(tokens: number): Promise<number> {
  const inputs = Array.from(
    { length: 8 },
    (_, turn) =>
      new Tensor(
        'float32',
        Float32Array.from({ length: tokens * shape.D }, (_, i) => Math.sin((i + 1) * 12.9898 + (tokens === 1 ? 0 : turn))),
        [1, tokens, shape.D],
      ),
  );
  let most = Number.POSITIVE_INFINITY;
  const until = performance.now() + 1500;
  for (let turn = 0; turn < 6 || performance.now() < until; turn++) {
    const x = inputs[turn % inputs.length];
    if (!x) break;
    const start = performance.now();
    await session.run({ x });
    if (turn >= 2) most = Math.min(most, performance.now() - start);
  }
  return most;
}

interface Made {
  readonly model: Uint8Array;
  readonly folder: string;
  dispose(): void;
}

/** The mixture in a lowering of ours, or the dense layer. */
async function ours({ D, H, E, k }: Shape): Promise<Made> {
  const layer = name === 'dense' ? `SwiGLU(${D}, ${H * k})` : `mixture ${E} of SwiGLU(${D}, ${H}) { score = linear  pick = top(${k})  weigh = softmax(picked) }`;
  const text = `import { SwiGLU } from "std/layers"\ndim B, S\nmodel M {\n  ffn = ${layer}\n  forward(x: [B, S, ${D}]) -> y: [B, S, ${D}] { return ffn(x) }\n}\n`;
  const reader = { ...repositoryReader, read: (path: string) => (path === 'test/bench.moe' ? text : repositoryReader.read(path)) };
  const found = must(modelOfSource('test/bench.moe', { reader, zoo: repository, seed: 1 }));
  const lowering = loweringNames.find((one): one is LoweringName => one === name);
  const { model: made, dispose } = must(
    await prepare(found, { target: ort, version: 'bench', form: 'whole', ...(lowering ? { lowering: { few: lowering, many: lowering } } : {}) }),
  );
  if (made.kind !== 'bytes') throw new Error('a model that is not in memory');
  return { model: made.bytes, folder: made.dataFolder, dispose: () => dispose?.() };
}

/** The operator alone, behind the product of its router. */
async function bare({ D, H, E, k }: Shape): Promise<Made> {
  const build = graphBuilder();
  const x = value('x', tensor('f32', [symbol('B'), symbol('S'), D]));
  const random = (path: string, ...dims: number[]) => ({
    value: value(path, { dtype: 'f32', dims: dims.map((size) => dim(size)) }),
    path,
    storage: 'constant' as const,
    source: { kind: 'random' as const, path, seed: 1, deviation: 1 / Math.sqrt(dims.at(-1) ?? 1), dims, dtype: 'f32' as const },
  });
  const [router, fc1, fc2] = [random('router', D, E), random('fc1', E, 2 * H, D), random('fc2', E, D, H)];
  const [logits] = build.foreign(foreign('MatMul'), [x, router.value], {}, [{ name: 'logits' }]);
  const shape = build.constant({ dims: [2], data: Float64Array.of(-1, E), dtype: 'i64' }, 'shape');
  const [flat] = build.foreign(foreign('Reshape'), [logits, shape], {}, [{ name: 'flat' }]);
  const settings = { k, activation_type: 'swiglu', normalize_routing_weights: 1, swiglu_fusion: 1, activation_alpha: float(1), activation_beta: float(0) };
  const [y] = build.foreign(foreign('MoE', 'com.microsoft'), [x, flat, fc1.value, undefined, fc2.value], settings, [
    { name: 'y', type: tensor('f32', [symbol('B'), symbol('S'), D]) },
  ]);
  if (!y) throw new Error('no result');
  const graph: Graph = build.finish({ name: 'bare', inputs: [x], outputs: [{ name: 'y', value: y }], weights: [router, fc1, fc2] });
  const plan = planWeights([graph], 'written', undefined);
  const temporary = temporaryFolder();
  const placed = must(await placeWeights(temporary.path, plan));
  return { model: exportModel(graph, { opset: ort.opset, ir: ort.ir, place: placed.place }), folder: temporary.path, dispose: temporary.remove };
}
