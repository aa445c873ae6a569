/** One round of `build`: prints its seconds as JSON. */

import { count } from '../../src/graph/nd-array.ts';
import { bytesOf } from '../../src/graph/type.ts';
import { buildModel, loadProgram } from '../../src/model/index.ts';
import { exportModel } from '../../src/onnx/export.ts';
import { ort } from '../../src/targets/ort.ts';
import { lowerModel } from '../../src/targets/pipeline.ts';
import { repositoryReader } from '../repository.ts';

const began = performance.now();
const program = loadProgram('models/llama.moe', repositoryReader);
const { model, diagnostics } = buildModel(program, { model: 'Llama' });
if (!model) throw new Error(diagnostics.map(({ message }) => message).join('\n'));
const built = performance.now();
const lowered = await lowerModel(model.graph, { target: ort, form: 'step', storage: 'written' });
if (!lowered.ok) throw new Error('it does not lower');
const low = performance.now();
const { graph } = lowered.value;
let offset = 0;
const bytes = exportModel(graph, {
  opset: ort.opset,
  ir: ort.ir,
  place: ({ source }) => {
    const length = count(source.dims) * bytesOf[source.dtype];
    offset += length;
    return { kind: 'external', location: 'model.onnx.data', offset: offset - length, length };
  },
});
const done = performance.now();
const parameters = graph.weights.reduce((sum, { source }) => sum + count(source.dims), 0);
console.log(
  JSON.stringify({
    build: (built - began) / 1000,
    lower: (low - built) / 1000,
    serialise: (done - low) / 1000,
    all: (done - began) / 1000,
    nodes: graph.nodes.length,
    parameters,
    bytes: bytes.length,
  }),
);
