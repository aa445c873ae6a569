/** One round of `load`: seconds to open a session, and the memory it takes over the bytes of its weights, as JSON. */

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { modelOfSource } from '../../src/run/find-model.ts';
import { dataFile } from '../../src/run/place-weights.ts';
import { prepare } from '../../src/run/prepare.ts';
import { ort } from '../../src/targets/ort.ts';
import { loweringNames } from '../../src/targets/target.ts';
import { repository, repositoryReader } from '../repository.ts';
import { must } from '../running.ts';

const [, , name = 'chosen', given = '{}'] = process.argv;
const { D, H, E, L } = JSON.parse(given) as { readonly D: number; readonly H: number; readonly E: number; readonly L: number };
const text = `import { SwiGLU } from "std/layers"\ndim B, S\nlayer Block() {\n  ffn = mixture ${E} of SwiGLU(${D}, ${H}) { score = linear  pick = top(8)  weigh = softmax(picked) }\n  forward(x: [B, S, ${D}]) -> [B, S, ${D}] { return x + ffn(x) }\n}\nmodel M {\n  blocks = repeat ${L} of Block()\n  forward(x: [B, S, ${D}]) -> y: [B, S, ${D}] { return blocks(x) }\n}\n`;
const reader = { ...repositoryReader, read: (path: string) => (path === 'test/bench.moe' ? text : repositoryReader.read(path)) };
const found = must(modelOfSource('test/bench.moe', { reader, zoo: repository, seed: 1 }));
const lowering = loweringNames.find((one) => one === name);
const { model, dispose } = must(await prepare(found, { target: ort, version: 'bench', form: 'whole', ...(lowering ? { lowering: { few: lowering, many: lowering } } : {}) }));
if (model.kind !== 'bytes') throw new Error('a model that is not in memory');
const bytes = statSync(join(model.dataFolder, dataFile)).size;
const before = process.memoryUsage().rss;
const began = performance.now();
const session = await InferenceSession.create(model.bytes, {
  intraOpNumThreads: 2,
  logSeverityLevel: 3,
  extra: { session: { model_external_initializers_file_folder_path: model.dataFolder } },
});
const load = (performance.now() - began) / 1000;
await session.run({ x: new Tensor('float32', new Float32Array(D).fill(0.5), [1, 1, D]) });
const memory = (process.memoryUsage().rss - before) / bytes;
dispose?.();
console.log(JSON.stringify({ load, memory }));
