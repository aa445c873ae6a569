/** Which parts of an expert are per token and per expert, and which stand between: the analysis behind `cut-mixtures`. */

import { Bug } from '../diagnostics/bug.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { type Dim, same, symbolsOf } from '../graph/dim.ts';
import { TypeFault } from '../graph/fail.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import { unsqueeze } from '../ops/shape.ts';
import { elementwise, rowsOf, whyNotStepped } from './stepping.ts';

/** A part of an expert that needs other tokens where it must not. */
export class NotPerToken extends Error {
  readonly node: Node;

  constructor(node: Node, why: string) {
    super(why);
    this.node = node;
  }
}

/** One kind of expert, once what all experts share stands in the graph around. */
export interface Expert {
  /** Nodes that depend on an expert's own weights or on what the router handed it, in order. */
  readonly nodes: readonly Node[];
  readonly result: Value;
  /** From a weight of the body to the weights of all experts, with an expert axis in front. */
  readonly weights: ReadonlyMap<Value, Value>;
  /** Values of the body that have an axis of slots in front, in the graph around. */
  readonly slotted: ReadonlyMap<Value, Value>;
  /** From values of the body to those of the graph around: arguments and what was hoisted. */
  readonly outside: ReadonlyMap<Value, Value>;
  readonly count: number;
}

/** What a body is given. */
export interface Given {
  readonly args: readonly Value[];
  readonly extras: ReadonlyMap<Value, Value>;
  readonly weights: ReadonlyMap<Value, Value>;
  readonly count: number;
  /** Sizes of the tokens' axes. */
  readonly lead: readonly Dim[];
}

/** Hoists what does not depend on an expert into `build`, and keeps the rest. */
export function expertOf(body: Graph, { args, extras, weights, count }: Given, build: GraphBuilder): Expert {
  const outside = new Map<Value, Value>();
  args.forEach((arg, i) => {
    const input = body.inputs[i];
    if (input) outside.set(input, arg);
  });
  const own = new Set<Value>([...extras.keys(), ...weights.keys()]);
  const lifted = new Map(weights);
  const nodes: Node[] = [];
  for (const node of body.nodes) {
    if (liftedAlone(node, lifted)) {
      const results = lift(node, lifted, outside, build);
      node.outputs.forEach((old, i) => {
        const now = results[i];
        if (now) lifted.set(old, now);
        own.add(old);
      });
      continue;
    }
    if (node.inputs.some((one) => one && own.has(one))) {
      for (const one of node.outputs) own.add(one);
      nodes.push(node);
      continue;
    }
    const results = build.add(
      node.op,
      node.inputs.map((one) => one && (outside.get(one) ?? one)),
      node.attrs,
      { name: node.outputs[0]?.name ?? node.op.name, ...(node.span ? { span: node.span } : {}), ...(node.bodies ? { bodies: node.bodies } : {}) },
    );
    node.outputs.forEach((old, i) => {
      const now = results[i];
      if (now) outside.set(old, now);
    });
  }
  const result = body.outputs[0]?.value;
  if (!result) throw new Bug('an expert without a result');
  return { nodes, result, weights: lifted, slotted: extras, outside, count };
}

/** Whether a node computes one of an expert's weights from others, and can do so for all experts at once. */
function liftedAlone({ op, inputs }: Node, lifted: ReadonlyMap<Value, Value>): boolean {
  return (
    (op.name === 'transpose' || (elementwise.has(op.name) && inputs.every((one) => !one || lifted.has(one) || one.type?.dims.length === 0))) &&
    inputs.some((one) => one && lifted.has(one))
  );
}

/** The node over weights with an expert axis in front; those of fewer axes than the result get more after it. */
function lift(node: Node, lifted: ReadonlyMap<Value, Value>, outside: ReadonlyMap<Value, Value>, build: GraphBuilder): readonly Value[] {
  const rank = (node.outputs[0]?.type?.dims.length ?? 0) + 1;
  const inputs = node.inputs.map((one) => {
    const all = one && lifted.get(one);
    if (!all) return one && (outside.get(one) ?? one);
    return Array.from({ length: Math.max(0, rank - (all.type?.dims.length ?? 0)) }).reduce<Value>((wide) => build.one(unsqueeze, [wide], { axis: 1 }), all);
  });
  return build.add(node.op, inputs, node.attrs, { name: node.outputs[0]?.name ?? node.op.name, ...(node.span ? { span: node.span } : {}) });
}

/** A run of nodes: per token and expert (`rows`), with the values later stages read; or between two such runs. */
export type Stage =
  | { readonly kind: 'rows'; readonly nodes: readonly Node[]; readonly results: ReadonlySet<Value> }
  | { readonly kind: 'between'; readonly nodes: readonly Node[] };

/** The stages of an expert, in order. An expert of nothing (it returns what it is given) has one stage without nodes. */
export function stagesOf(expert: Expert, lead: readonly Dim[]): readonly Stage[] {
  const at = new Map<Value, { readonly level: number; readonly rows: boolean }>();
  const levels: { rows: Node[]; between: Node[] }[] = [];
  const levelOf = (i: number): { rows: Node[]; between: Node[] } => {
    while (levels.length <= i) levels.push({ rows: [], between: [] });
    return levels[i] ?? { rows: [], between: [] };
  };
  for (const node of expert.nodes) {
    const reads = node.inputs.flatMap((one) => (one && at.has(one) ? [at.get(one) ?? { level: 0, rows: true }] : []));
    const rows = isPerToken(node, expert, lead);
    if (!rows) refuseMixing(node, expert, at, lead);
    const level = reads.reduce((most, one) => Math.max(most, rows && !one.rows ? one.level + 1 : one.level), 0);
    levelOf(level)[rows ? 'rows' : 'between'].push(node);
    for (const one of node.outputs) at.set(one, { level, rows });
  }
  if (levels.length === 0) return [{ kind: 'rows', nodes: [], results: new Set([expert.result]) }];
  return levels.flatMap((level): readonly Stage[] => stagesOfLevel(level, expert)).filter((stage) => stage.nodes.length > 0);
}

function stagesOfLevel({ rows, between }: { readonly rows: readonly Node[]; readonly between: readonly Node[] }, expert: Expert): readonly Stage[] {
  const owns = rows.some((node) => node.inputs.some((one) => one && expert.weights.has(one)));
  if (!owns) return [{ kind: 'between', nodes: [...rows, ...between] }];
  const inside = new Set(rows);
  const read = new Set(expert.nodes.filter((node) => !inside.has(node)).flatMap((node) => node.inputs));
  const results = new Set(rows.flatMap((node) => node.outputs).filter((one) => read.has(one) || one === expert.result));
  return [
    { kind: 'rows', nodes: rows, results },
    { kind: 'between', nodes: between },
  ];
}

/** Between segments each slot holds rows of several experts: what reads other tokens there would read what other experts made of them. */
function refuseMixing(node: Node, expert: Expert, at: ReadonlyMap<Value, unknown>, lead: readonly Dim[]): void {
  if (node.op.name === 'attend') refuseOwnKeys(node, expert, at);
  else
    for (const name of new Set(lead.flatMap(symbolsOf))) {
      const why = whyNotStepped(node, rowsOf(name));
      if (why !== undefined) throw new NotPerToken(node, why);
    }
  if (node.inputs.some((one) => one && expert.weights.has(one))) throw new NotPerToken(node, 'it reads a weight of each expert where the axes of tokens do not come first');
}

/** Keys and values of an expert's own would have to be those of every token, picked or not. */
function refuseOwnKeys(node: Node, expert: Expert, at: ReadonlyMap<Value, unknown>): void {
  const own = node.inputs.slice(1, 3).some((one) => one && (at.has(one) || expert.weights.has(one)));
  if (own) throw new NotPerToken(node, 'its keys or values come from weights of each expert, and attention needs those of every token: mark them `shared`');
}

/** Ops that work along the last axis, when they do. */
const alongLast: ReadonlySet<string> = new Set(['softmax', 'log_softmax', 'sum', 'mean', 'max', 'min', 'concat', 'split', 'slice', 'cumsum']);

/** Whether the node treats each token on its own, so that rows may be gathered before it. */
function isPerToken(node: Node, expert: Expert, lead: readonly Dim[]): boolean {
  const { name } = node.op;
  const fits = (one: Value | undefined): boolean => !one || isRows(one, lead) || isPlain(one, lead) || expert.weights.has(one);
  if (!node.inputs.every(fits) || !node.outputs.every((one) => isRows(one, lead))) return false;
  if (elementwise.has(name) || name === 'rms_norm' || name === 'layer_norm') return true;
  if (name === 'matmul') return isRows(node.inputs[0], lead) && (node.inputs[1]?.type?.dims.length ?? 0) === 2 && !isRows(node.inputs[1], lead);
  if (name === 'unsqueeze' || name === 'squeeze') return Number(node.attrs['axis']) < 0 || Number(node.attrs['axis']) >= lead.length;
  return alongLast.has(name) && lastAxis(node);
}

function lastAxis({ attrs, inputs }: Node): boolean {
  const rank = inputs[0]?.type?.dims.length ?? 0;
  const axis = Number(attrs['axis'] ?? -1);
  return axis === -1 || axis === rank - 1;
}

const isRows = (one: Value | undefined, lead: readonly Dim[]): boolean => lead.every((size, i) => same(size, one?.type?.dims[i] ?? -1));

/** A value that is the same for every token. */
function isPlain(one: Value, lead: readonly Dim[]): boolean {
  const names = new Set(lead.flatMap(symbolsOf));
  return (one.type?.dims ?? []).every((size) => symbolsOf(size).every((name) => !names.has(name)));
}

/** Runs nodes once with the axis of slots in front; `slotted` learns their results. */
export function inSlots(build: GraphBuilder, nodes: readonly Node[], slotted: Map<Value, Value>, outside: ReadonlyMap<Value, Value> = new Map()): void {
  for (const node of nodes) {
    const inputs = node.inputs.map((one) => one && (slotted.get(one) ?? outside.get(one) ?? one));
    try {
      const results = build.add(node.op, inputs, shifted(node), { name: node.outputs[0]?.name ?? node.op.name, ...(node.span ? { span: node.span } : {}) });
      node.outputs.forEach((old, i) => {
        const now = results[i];
        if (now) slotted.set(old, now);
      });
    } catch (fault) {
      if (fault instanceof TypeFault) throw new NotPerToken(node, 'it cannot be computed for several experts at once');
      throw fault;
    }
  }
}

/** Settings with axes counted from the front moved past the axis of slots. */
function shifted(node: Node): Node['attrs'] {
  const axis = node.attrs['axis'];
  return typeof axis === 'number' && axis >= 0 ? { ...node.attrs, axis: axis + 1 } : node.attrs;
}
