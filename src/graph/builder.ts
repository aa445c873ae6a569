/** Builds a graph node by node; types are inferred by each op's own rule. */

import { Bug } from '../diagnostics/bug.ts';
import { constant } from './constant.ts';
import { type Graph, type Node, type Output, type Value, value, type Weight } from './graph.ts';
import type { NdArray } from './nd-array.ts';
import type { Attr, Builder, Op } from './op.ts';
import type { TensorType } from './type.ts';

/** A builder that also takes nodes as they are, and ends in a graph. */
export interface GraphBuilder extends Builder {
  /** A node of ONNX with these results; absent types are not known. */
  foreign(
    op: Op,
    inputs: readonly (Value | undefined)[],
    attrs: Readonly<Record<string, Attr>>,
    outputs: readonly { readonly name: string; readonly type?: TensorType }[],
    bodies?: Node['bodies'],
  ): readonly Value[];
  /** Appends a finished node. */
  push(node: Node): void;
  readonly nodes: readonly Node[];
  finish(rest: {
    readonly name: string;
    readonly doc?: string;
    readonly inputs: readonly Value[];
    readonly outputs: readonly Output[];
    readonly weights: readonly Weight[];
  }): Graph;
}

/** An empty builder. Names of new values start with `prefix` where none is given. */
export function graphBuilder(prefix = ''): GraphBuilder {
  const nodes: Node[] = [];
  const add: Builder['add'] = (op, inputs, attrs = {}, options = {}) => {
    const settings = withDefaults(op, attrs);
    const types = op.type(
      inputs.map((one) => one?.type),
      settings,
    );
    const base = options.name ?? prefix + op.name;
    const outputs = types.map((type, i) => value(types.length === 1 ? base : `${base}.${resultName(op, i)}`, type));
    nodes.push({
      op,
      inputs,
      outputs,
      attrs: settings,
      ...(options.bodies ? { bodies: options.bodies } : {}),
      ...(options.span ? { span: options.span } : {}),
      ...(options.unit ? { unit: options.unit } : {}),
    });
    return outputs;
  };
  const one: Builder['one'] = (op, inputs, attrs, name) => {
    const [first] = add(op, inputs, attrs, name === undefined ? {} : { name });
    if (!first) throw new Bug(`${op.name} has no result`);
    return first;
  };
  return {
    add,
    one,
    constant: (array: NdArray, name?: string) => one(constant, [], { array }, name ?? `${prefix}constant`),
    foreign(op, inputs, attrs, outputs, bodies) {
      const values = outputs.map(({ name, type }) => value(name, type));
      nodes.push({ op, inputs, outputs: values, attrs, ...(bodies ? { bodies } : {}) });
      return values;
    },
    push: (node) => void nodes.push(node),
    nodes,
    finish: (rest) => ({ ...rest, nodes: [...nodes] }),
  };
}

/** What result i is called: by the op, or by its place where the op has any number of them. */
function resultName(op: Op, i: number): string {
  return op.outputs[0]?.endsWith('*') ? String(i) : (op.outputs[i] ?? String(i));
}

/** The settings with defaults filled in; a missing or unknown one is a `Bug`. */
export function withDefaults(op: Op, attrs: Readonly<Record<string, Attr>>): Readonly<Record<string, Attr>> {
  if (op.foreign) return attrs;
  const unknown = Object.keys(attrs).find((name) => !(name in op.attrs));
  if (unknown !== undefined) throw new Bug(`${op.name} has no setting ${unknown}`);
  return Object.fromEntries(
    Object.entries(op.attrs).map(([name, spec]) => {
      const given = attrs[name] ?? spec.default;
      if (given === undefined && !spec.optional) throw new Bug(`${op.name} needs the setting ${name}`);
      return [name, given];
    }),
  );
}
