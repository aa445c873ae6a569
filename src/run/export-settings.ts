/** How a lowered graph is written as a model: what the target says, and for a model of ONNX what its file said beside the graph. */

import type { Graph, Value } from '../graph/graph.ts';
import type { DType } from '../graph/type.ts';
import { dtypeOf } from '../onnx/dtype.ts';
import type { ExportOptions } from '../onnx/export.ts';
import { carried } from '../onnx/extras.ts';
import type { Target } from '../targets/target.ts';
import type { Found } from './find-model.ts';

/** Versions, domains and extras of the file; `graph` is what is written. */
export function exportSettings({ imported, model }: Found, target: Target, graph?: Graph): Pick<ExportOptions, 'opset' | 'ir' | 'domains' | 'extras' | 'types'> {
  if (!imported) return { opset: target.opset, ir: target.ir, domains: target.domains };
  return {
    opset: Math.max(target.opset, imported.opset),
    ir: Math.max(target.ir, imported.ir),
    domains: { ...target.domains, ...imported.domains },
    extras: graph ? carried(imported.extras, model.graph, graph) : imported.extras,
    types: new Set(valuesOf(model.graph)),
  };
}

/** The results of all nodes, in the graphs inside too: what the file said the types of. Lowerings note types of their own, which say nothing of how many rows there are. */
function valuesOf({ nodes }: Graph): readonly Value[] {
  return nodes.flatMap(({ outputs, bodies }) => [...outputs, ...Object.values(bodies ?? {}).flatMap(valuesOf)]);
}

/** A model of ONNX, as far as it says what its inputs and results are. */
interface Unranked {
  readonly model: Pick<Found['model'], 'graph'>;
  readonly imported?: Pick<NonNullable<Found['imported']>, 'extras'>;
}

/** The element type of an input or a result of a model of ONNX that does not say its rank; undefined where it is no tensor of the language. */
export function unrankedType({ imported, model }: Unranked, name: string): DType | undefined {
  const value = model.graph.inputs.find((input) => input.name === name) ?? model.graph.outputs.find((output) => output.name === name)?.value;
  return dtypeOf((value && imported?.extras.values.get(value))?.type?.tensorType?.elemType ?? 0);
}
