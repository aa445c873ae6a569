/** Lowers a graph of moec's ops to one of ONNX nodes: each op by its standard lowering, or by what the target does better. */

import { Bug } from '../diagnostics/bug.ts';
import { type GraphBuilder, graphBuilder } from '../graph/builder.ts';
import { constant } from '../graph/constant.ts';
import { show } from '../graph/dim.ts';
import { type Graph, type Node, type Unit, type Value, value, type Weight } from '../graph/graph.ts';
import type { Onnx } from '../graph/onnx.ts';
import { replaceOuter } from '../graph/rewrite.ts';
import type { TensorType } from '../graph/type.ts';
import { removeDead } from '../passes/drop-dead.ts';
import { expertWeights, liftedWeights } from '../passes/expert-weights.ts';
import { removeDuplicates } from '../passes/share-duplicates.ts';
import type { Device } from './device-builder.ts';
import { onnxBuilder } from './onnx-builder.ts';
import { type Storage, storeWeights } from './store.ts';
import type { LoweringContext, Target } from './target.ts';

/** What one graph, and the graphs inside it, share while they are lowered. */
interface Run {
  readonly target: Target;
  readonly storage: Storage;
  /** Stand-ins that carry a type, for values that lowerings made without one. */
  readonly typed: Map<Value, Value>;
  readonly device: Device | undefined;
  readonly transposes: Map<Value, Value>;
  path: string;
  /** The layer whose nodes are being lowered, where viewers are shown it as one. */
  unit: Unit | undefined;
}

/** What lowering asks of a place beyond what lowerings may: where nodes of ONNX go as they are. */
interface Place extends LoweringContext {
  readonly build: GraphBuilder;
  readonly around: Around;
}

/** The same meaning in nodes of ONNX alone. Those that are there already stay what they are, with the values they make. */
export function lowerGraph(graph: Graph, target: Target, storage: Storage): Graph {
  const build = graphBuilder();
  const sized = [...graph.inputs];
  const plain = onnxBuilder(
    ofUnit(build, () => run.unit),
    target.opset,
    sized,
    () => run.path,
  );
  const device = target.device?.(plain, graph.inputs);
  const run: Run = { target, storage, typed: new Map(), device, transposes: new Map(), path: '', unit: undefined };
  const onnx = device?.onnx ?? plain;
  const became = new Map<Value, Value>();
  const weights = store(graph.weights, became, plain, { ...run, device: undefined });
  const experts = expertWeights(graph);
  const lifted = liftedWeights(graph);
  const more: Weight[] = [];
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((one) => [one, node] as const)));
  const around: Around = { expertWeight: (lifted, e) => experts.weightOf(lifted, e), lifted: (one) => lifted.get(one), makers, became };
  const context = contextOf(onnx, run, around, more, build);
  const named = new Set(graph.inputs.flatMap(({ type }) => type?.dims ?? []).map(show));
  lowerNodes(graph.nodes, became, context, run, (node) => sized.push(...newlySized(node, named)));
  const resultOf = (old: Value): Value => {
    const now = became.get(old) ?? old;
    return device?.result(now, old.type) ?? now;
  };
  const lowered = build.finish({
    name: graph.name,
    ...(graph.doc === undefined ? {} : { doc: graph.doc }),
    inputs: graph.inputs,
    outputs: graph.outputs.map((output) => ({ name: output.name, value: resultOf(output.value) })),
    weights: [...weights, ...more],
  });
  return removeDead(removeDuplicates(replaceValues(lowered, run.typed)));
}

/** A builder whose nodes of ONNX belong to the layer being lowered. */
function ofUnit(build: GraphBuilder, current: () => Unit | undefined): GraphBuilder {
  return {
    ...build,
    foreign(op, inputs, attrs, outputs, bodies) {
      const unit = current();
      const made = outputs.map(({ name, type }) => value(name, type));
      build.push({ op, inputs, outputs: made, attrs, ...(bodies ? { bodies } : {}), ...(unit ? { unit } : {}) });
      return made;
    },
  };
}

/** Lays out weights; `became` learns what stands for them. */
function store(weights: readonly Weight[], became: Map<Value, Value>, onnx: Onnx, run: Run): readonly Weight[] {
  const stored = storeWeights(weights, run.storage, onnx);
  for (const { value: held } of weights) {
    const now = stored.became.get(held) ?? held;
    const turned = stored.transposes.get(now);
    const one = withType(now, held.type, run);
    became.set(held, one);
    if (turned) run.transposes.set(one, turned);
  }
  return stored.weights;
}

function withType(lowered: Value, type: TensorType | undefined, { typed, device }: Run): Value {
  if (lowered.type || !type) return lowered;
  const known = typed.get(lowered) ?? value(lowered.name, device?.typeOn(type) ?? type);
  typed.set(lowered, known);
  device?.alias(known, lowered);
  return known;
}

/** What lowerings may ask of the graph around all others. */
interface Around {
  readonly expertWeight: LoweringContext['expertWeight'];
  readonly lifted: LoweringContext['weightOf'];
  readonly makers: ReadonlyMap<Value, Node>;
  readonly became: Map<Value, Value>;
}

/** A context whose nodes go to `onnx`, and whose weights go to `held`. */
function contextOf(onnx: Onnx, run: Run, around: Around, held: Weight[], build: GraphBuilder): Place {
  const context: Place = {
    onnx,
    build,
    around,
    transposeOf: (one) => run.transposes.get(one),
    typed: (one, type) => withType(one, type, run),
    expertWeight: around.expertWeight,
    weightOf: around.lifted,
    lowered: (old) => around.became.get(old) ?? old,
    madeBy: (old) => old && around.makers.get(old),
    becomes: (old, now) => void around.became.set(old, withType(now, old.type, run)),
    store(weight) {
      const became = new Map<Value, Value>();
      held.push(...store([weight], became, onnx, run));
      return became.get(weight.value) ?? weight.value;
    },
    apply(node, inputs) {
      const results = lowerNode(node, { ...node, inputs }, context, run);
      return node.outputs.map((old, i) => withType(present(results[i], node), old.type, run));
    },
    branch(name, write, inputs = []) {
      const inside = graphBuilder();
      const own = onnxBuilder(inside, run.target.opset, [], () => run.path, onnx);
      const weights: Weight[] = [];
      const results = write(contextOf(own, run, around, weights, inside));
      return inside.finish({ name, inputs, outputs: results.map((one, i) => ({ name: `${name}/${i}`, value: one })), weights });
    },
  };
  return context;
}

function present(result: Value | undefined, { op }: Node): Value {
  if (!result) throw new Bug(`${op.name} lowers to too few results`);
  return result;
}

/** Results of a node of ONNX with a size that no value before it has: from their shapes such sizes are read. */
function newlySized({ op, outputs }: Node, named: Set<string>): readonly Value[] {
  if (!op.foreign) return [];
  return outputs.filter(({ type }) => {
    const fresh = (type?.dims ?? []).map(show).filter((size) => !named.has(size));
    for (const size of fresh) named.add(size);
    return fresh.length > 0;
  });
}

/** Lowers nodes in order; `made` hears of each. */
function lowerNodes(nodes: readonly Node[], became: Map<Value, Value>, context: Place, run: Run, made?: (node: Node) => void): void {
  const of = (old: Value): Value => became.get(old) ?? old;
  for (const node of nodes) {
    run.path = node.outputs[0]?.name ?? node.op.name;
    run.unit = node.unit;
    const moved: Node = { ...node, inputs: node.inputs.map((one) => one && of(one)) };
    const results = lowerNode(node, moved, context, run);
    node.outputs.forEach((old, i) => became.set(old, withType(present(results[i], node), old.type, run)));
    made?.(node);
    const [from] = moved.inputs;
    const [to] = node.outputs;
    if (node.op.name === 'transpose' && from && to && to.type?.dims.length === 2) run.transposes.set(of(to), from);
  }
}

function lowerNode(old: Node, node: Node, context: Place, run: Run): readonly Value[] {
  const { onnx } = context;
  const { target } = run;
  if (node.op.foreign) {
    const bodies = node.bodies && Object.fromEntries(Object.entries(node.bodies).map(([name, body]) => [name, lowerBody(body, context, run)]));
    context.build.push(bodies ? { ...node, bodies } : node);
    return node.outputs;
  }
  if (node.op === constant) return node.op.lower(node.inputs, onnx, node.attrs, node.outputs);
  return target.lowerings.get(node.op.name)?.(node, context, old) ?? node.op.lower(node.inputs, onnx, node.attrs, node.outputs);
}

/** A graph inside a node of ONNX: as it is but for what it reads from around, unless it holds ops of moec. */
function lowerBody(body: Graph, context: Place, run: Run): Graph {
  const { became } = context.around;
  const of = (old: Value): Value => became.get(old) ?? old;
  if (isForeign(body)) return replaceOuter(body, of);
  const inside = graphBuilder();
  const own = onnxBuilder(inside, run.target.opset, [], () => run.path, context.onnx);
  lowerNodes(body.nodes, became, contextOf(own, run, context.around, [], inside), run);
  const { nodes: _, ...rest } = body;
  return inside.finish({ ...rest, outputs: body.outputs.map((output) => ({ ...output, value: of(output.value) })) });
}

/** Whether a graph holds nodes of ONNX and constants alone. */
function isForeign({ nodes }: Graph): boolean {
  return nodes.every((node) => node.op === constant || (node.op.foreign && Object.values(node.bodies ?? {}).every(isForeign)));
}

/** The graph with values replaced wherever they stand but among its inputs, in the graphs inside too. */
export function replaceValues(graph: Graph, by: ReadonlyMap<Value, Value>): Graph {
  const of = (old: Value): Value => by.get(old) ?? old;
  return {
    ...graph,
    nodes: graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map((one) => one && of(one)),
      outputs: node.outputs.map(of),
      ...(node.bodies ? { bodies: Object.fromEntries(Object.entries(node.bodies).map(([name, body]) => [name, replaceValues(body, by)])) } : {}),
    })),
    outputs: graph.outputs.map((output) => ({ ...output, value: of(output.value) })),
  };
}
