/** A node again with something about it changed, under the names and at the place it had. */

import { type GraphBuilder, withDefaults } from '../graph/builder.ts';
import { type Node, type Value, value } from '../graph/graph.ts';
import type { Attr, Op } from '../graph/op.ts';

/** What is different about the node. */
export interface Change {
  readonly op?: Op;
  readonly inputs?: readonly (Value | undefined)[];
  readonly attrs?: Readonly<Record<string, Attr>>;
}

/** Adds the changed node; its results keep their names, their types are inferred again. */
export function rebuild(build: GraphBuilder, node: Node, { op = node.op, inputs = node.inputs, attrs = node.attrs }: Change): readonly Value[] {
  const settings = withDefaults(op, attrs);
  const types = op.type(
    inputs.map((one) => one?.type),
    settings,
  );
  const outputs = types.map((type, i) => value(node.outputs[i]?.name ?? `${op.name}.${i}`, type));
  build.push({
    op,
    inputs,
    outputs,
    attrs: settings,
    ...(node.bodies ? { bodies: node.bodies } : {}),
    ...(node.span ? { span: node.span } : {}),
    ...(node.unit ? { unit: node.unit } : {}),
  });
  return outputs;
}
