/** Writes one segment: its nodes as a body over gathered rows, and the node that carries it. */

import { Bug } from '../diagnostics/bug.ts';
import { type GraphBuilder, graphBuilder } from '../graph/builder.ts';
import { type Dim, same, symbol } from '../graph/dim.ts';
import { TypeFault } from '../graph/fail.ts';
import { type Graph, type Node, type Value, value } from '../graph/graph.ts';
import { segment } from '../ops/routing.ts';
import { removeDead } from './drop-dead.ts';
import { type Expert, NotPerToken } from './segments.ts';

/** Who is picked, in the graph around. */
export interface Routing {
  /** i64 [tokens.., k]. */
  readonly experts: Value;
  /** f32 [tokens.., k]; absent where every weight is one. */
  readonly weights: Value | undefined;
  readonly n: number;
  /** Sizes of the tokens' axes. */
  readonly lead: readonly Dim[];
  readonly slots: Dim;
}

/** The name of the number of gathered rows in a body. */
export const rowsName = 'rows';

/** The segment of some kinds of experts: summed by weight, or one result a slot. */
export function emitSegments(build: GraphBuilder, experts: readonly Expert[], routing: Routing, name: string, summed = true): Value {
  const { lead } = routing;
  const rows = rowArguments(experts, lead);
  const bodies = experts.map((expert) => bodyOf(expert, rows, lead));
  const [first] = bodies;
  if (!first) throw new Bug('a segment without experts');
  const out = first.graph.outputs[0]?.value.type?.dims.slice(1) ?? [];
  const args = rows.map(({ around }) => around);
  const attrs = { n: routing.n, rows: rows.length, slotted: rows.map(({ slotted }) => (slotted ? 1 : 0)), counts: experts.map(({ count }) => count), summed, out };
  const graphs = Object.fromEntries(bodies.map(({ graph }, i) => [i === 0 ? 'expert' : `expert${i}`, graph]));
  const [result] = build.add(segment, [routing.experts, routing.weights, ...args, ...bodies.flatMap(({ owned }) => owned)], attrs, { name, bodies: graphs });
  if (!result) throw new Bug('a segment without a result');
  return result;
}

/** A value of tokens that a segment reads: in the graph around, and what stands for it in each body. */
interface RowArgument {
  readonly around: Value;
  readonly slotted: boolean;
}

/** Every value of tokens that the experts read, each once. */
function rowArguments(experts: readonly Expert[], lead: readonly Dim[]): readonly RowArgument[] {
  const found = new Map<Value, RowArgument>();
  for (const expert of experts) {
    const made = new Set(expert.nodes.flatMap((node) => node.outputs));
    for (const one of [...expert.nodes.flatMap((node) => node.inputs), expert.result]) {
      if (!one || made.has(one) || expert.weights.has(one)) continue;
      const slotted = expert.slotted.get(one);
      const around = slotted ?? expert.outside.get(one) ?? one;
      if (slotted || isRows(around, lead)) found.set(around, { around, slotted: slotted !== undefined });
    }
  }
  return [...found.values()];
}

const isRows = (one: Value, lead: readonly Dim[]): boolean => lead.length > 0 && lead.every((size, i) => same(size, one.type?.dims[i] ?? -1));

/** The nodes over rows: tokens' axes become one. */
function bodyOf(expert: Expert, rows: readonly RowArgument[], lead: readonly Dim[]): { readonly graph: Graph; readonly owned: readonly Value[] } {
  const build = graphBuilder();
  const inputs = rows.map(({ around, slotted }) => rowsOf(around, slotted ? lead.length + 1 : lead.length));
  const stands = new Map<Value, Value>(rows.map(({ around }, i) => [around, inputs[i] ?? around]));
  const used = [...expert.weights].filter(([one]) => expert.nodes.some((node) => node.inputs.includes(one)));
  const names = new Set(inputs.map(({ name }) => name));
  const owned = new Map(used.map(([one], i) => [one, ownInput(one, i, names)] as const));
  const became = new Map<Value, Value>();
  const of = (one: Value): Value => {
    const around = expert.slotted.get(one) ?? expert.outside.get(one) ?? one;
    return became.get(one) ?? stands.get(around) ?? owned.get(one) ?? around;
  };
  for (const node of expert.nodes) {
    try {
      const results = build.add(
        node.op,
        node.inputs.map((one) => one && of(one)),
        fromTheEnd(node),
        { name: node.outputs[0]?.name ?? node.op.name, ...(node.span ? { span: node.span } : {}) },
      );
      node.outputs.forEach((old, i) => became.set(old, results[i] ?? old));
    } catch (fault) {
      if (fault instanceof TypeFault) throw new NotPerToken(node, 'it cannot be computed for some tokens alone');
      throw fault;
    }
  }
  const whole = build.finish({ name: expert.result.name, inputs: [...inputs, ...owned.values()], outputs: [{ name: 'y', value: of(expert.result) }], weights: [] });
  return { graph: removeDead(whole), owned: used.map(([, all]) => all) };
}

/** An input for a weight; those that are computed may share a name, and get a number. */
function ownInput(weight: Value, i: number, taken: Set<string>): Value {
  const name = taken.has(weight.name) ? `${weight.name}.${i}` : weight.name;
  taken.add(name);
  return name === weight.name ? weight : value(name, weight.type);
}

/** [tokens.., rest] → [rows, rest]. */
function rowsOf(one: Value, drop: number): Value {
  if (!one.type) throw new Bug(`${one.name} has no type`);
  return value(one.name, { dtype: one.type.dtype, dims: [symbol(rowsName), ...one.type.dims.slice(drop)] });
}

/** Settings with axes counted from the end, which stay right when the tokens' axes become one. A new axis is counted in the result. */
function fromTheEnd({ op, attrs, inputs, outputs }: Node): Node['attrs'] {
  const { axis } = attrs;
  const [counted] = op.name === 'unsqueeze' ? outputs : inputs;
  return typeof axis === 'number' && axis >= 0 ? { ...attrs, axis: axis - (counted?.type?.dims.length ?? 0) } : attrs;
}
