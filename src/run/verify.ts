/** Two models on the same inputs, or one and the f64 reference: their results, and what they compute on the way by the author's names. */

import { diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import { evaluateGraph } from '../graph/eval.ts';
import type { Graph, Value } from '../graph/graph.ts';
import { count, type NdArray, ndArray } from '../graph/nd-array.ts';
import { nameGraph } from '../onnx/names.ts';
import { sourceArray } from '../weights/source.ts';
import { agrees, type Comparison, compare } from './compare.ts';
import type { Executable } from './executable.ts';
import type { Found } from './find-model.ts';
import { valuesIn, withResults } from './instrument.ts';
import type { Tensors } from './protocol.ts';
import { inSession, type Session, type SessionOptions } from './session.ts';
import { runInSteps } from './step-run.ts';
import { toNdArray } from './tensor.ts';

/** One of the two that are compared. */
export interface Side {
  /** Whether its values have the names of the language, or those of a file of ONNX: `PATH/TYPE` for what moec has written. */
  readonly named: 'by-author' | 'by-file';
  /** What it computes inside, by name, in order; of those of one path only the last with `paths`, and none where that may be another's. */
  values(paths: boolean): readonly string[];
  /** The results for feeds by name; feeds it does not take are left out. With `inside`, the values of those names as well. */
  run(feeds: Tensors, inside?: readonly string[]): Promise<Outcome<Arrays>>;
}

/** Numbers by name. */
export type Arrays = Readonly<Record<string, NdArray>>;

/** A graph in the language, and how a changed one becomes something to open. */
export interface Remade {
  readonly graph: Graph;
  prepare(graph: Graph): Promise<Outcome<Executable>>;
}

/** A model in a session. One with a cache runs in two steps, so that the cache is held to the rest. */
export function sessionSide(session: Session, options: SessionOptions, again?: Remade): Side {
  const { executable } = session;
  const paths = again ? undefined : lastOfPaths(valuesIn(executable.model));
  const known = again ? namedValues(again.graph) : undefined;
  const instrumented = async (inside: readonly string[]): Promise<Outcome<Executable>> => {
    if (again && known) return again.prepare(withOutputs(again.graph, known, inside));
    // What was made for the model is removed by who opened the session.
    const { dispose: _, ...rest } = executable;
    return {
      ok: true,
      value: {
        ...rest,
        model: withResults(
          executable.model,
          inside.map((name) => paths?.get(name) ?? name),
        ),
      },
      diagnostics: [],
    };
  };
  return {
    named: again ? 'by-author' : 'by-file',
    values: (alone) => (known ? namesOf(known, alone) : alone ? [...(paths?.keys() ?? [])] : valuesIn(executable.model)),
    async run(feeds, inside) {
      if (!inside) return answer(executable.form === 'step' ? runInSteps : (to, given) => to.run(given), session, feeds);
      const model = await instrumented(inside);
      if (!model.ok) return model;
      const found = await inSession(model.value, options, (opened) => answer((to, given) => to.run(given), opened, feeds));
      if (!found.ok || !paths) return found;
      const renamed = inside.flatMap((name) => (found.value[paths.get(name) ?? name] ? [[name, found.value[paths.get(name) ?? name]] as const] : []));
      return { ...found, value: { ...found.value, ...Object.fromEntries(renamed) } as Arrays };
    },
  };
}

async function answer(run: (session: Session, feeds: Tensors) => Promise<Outcome<Tensors>>, session: Session, feeds: Tensors): Promise<Outcome<Arrays>> {
  const results = await run(session, Object.fromEntries(session.inputs.flatMap(({ name }) => (feeds[name] ? [[name, feeds[name]]] : []))));
  return results.ok ? { ...results, value: Object.fromEntries(Object.entries(results.value).map(([name, one]) => [name, toNdArray(one)])) } : results;
}

/** The last value of each path of a file that moec wrote, where no op type stands twice under it: that may be another node of the same name. */
function lastOfPaths(values: readonly string[]): ReadonlyMap<string, string> {
  const last = new Map<string, string>();
  const twice = new Set<string>();
  for (const name of values) {
    const at = name.lastIndexOf('/');
    if (at < 0) continue;
    const path = name.slice(0, at);
    if (/\.\d+$/.test(name.slice(at))) twice.add(path);
    last.set(path, name);
  }
  return new Map([...last].filter(([path]) => !twice.has(path)));
}

/** Numbers of a model that the reference can take: all are held in f64, and every product is a plain loop. */
const mostForReference = 1 << 26;

/** A model by the f64 reference: op by op as defined, every expert on every token. */
export function referenceSide({ model: { graph, name }, checkpoint, imported }: Found): Outcome<Side> {
  const parameters = graph.weights.reduce((sum, { source }) => sum + count(source.dims), 0);
  const reason = imported
    ? 'only a runtime knows what the nodes of ONNX do'
    : parameters > mostForReference
      ? `it has ${parameters} parameters, more than ${mostForReference}`
      : undefined;
  if (reason !== undefined) return { ok: false, diagnostics: [diagnose('no-reference', { name, reason }, { fixes: [{ text: 'name a second model to compare it with' }] })] };
  const weights = new Map<string, NdArray>();
  const weight = (path: string): NdArray => weights.get(path) ?? ndArray([0], []);
  for (const { path, source } of graph.weights) weights.set(path, sourceArray(source, checkpoint));
  const known = namedValues(graph);
  const side: Side = {
    named: 'by-author',
    values: (alone) => namesOf(known, alone),
    async run(feeds, inside = []) {
      const arrays = Object.fromEntries(Object.entries(feeds).map(([input, one]) => [input, toNdArray(one)]));
      return { ok: true, value: evaluateGraph(withOutputs(graph, known, inside), arrays, weight), diagnostics: [] };
    },
  };
  return { ok: true, value: side, diagnostics: [] };
}

/** Values of floats by the names they are written under, and whether such a name is one value's alone. */
type Named = ReadonlyMap<string, { readonly value: Value; readonly alone: boolean }>;

function namedValues(graph: Graph): Named {
  const names = nameGraph(graph);
  const values = graph.nodes.flatMap(({ outputs }) => outputs).filter(({ name, type }) => name !== '' && type !== undefined && /^b?f\d/.test(type.dtype));
  const times = new Map<string, number>();
  for (const { name } of values) times.set(name, (times.get(name) ?? 0) + 1);
  const results = new Set(graph.outputs.map(({ value }) => value));
  return new Map(values.filter((value) => !results.has(value)).map((value) => [names.of(value), { value, alone: times.get(value.name) === 1 }]));
}

const namesOf = (known: Named, alone: boolean): readonly string[] => [...known].filter(([, one]) => one.alone || !alone).map(([name]) => name);

function withOutputs(graph: Graph, known: Named, names: readonly string[]): Graph {
  const more = names.flatMap((name) => {
    const value = known.get(name)?.value;
    return value ? [{ name, value }] : [];
  });
  return { ...graph, outputs: [...graph.outputs, ...more] };
}

/** What came out. */
export interface Verdict {
  /** Results that both have. */
  readonly results: readonly Comparison[];
  /** Values inside that both have, in the order of the first. */
  readonly inside: readonly Comparison[];
  /** Whether all results agree. */
  readonly ok: boolean;
}

/** Compares a with b, the reference. */
export async function verify(a: Side, b: Side, feeds: Tensors, tolerance: number): Promise<Outcome<Verdict>> {
  const [left, right] = [await a.run(feeds), await b.run(feeds)];
  if (!left.ok) return left;
  if (!right.ok) return right;
  const names = Object.keys(right.value).filter((name) => left.value[name]);
  if (names.length === 0)
    return { ok: false, diagnostics: [diagnose('nothing-in-common', { first: Object.keys(left.value).join(', '), second: Object.keys(right.value).join(', ') })] };
  const results: Comparison[] = [];
  for (const name of names) {
    const [one, other] = [left.value[name], right.value[name]];
    const found = one && other && compare(name, one, other, { tolerance, rows: name === 'logits' || names.length === 1 });
    if (!found) return { ok: false, diagnostics: [diagnose('results-have-other-sizes', { name, first: `[${one?.dims.join(', ')}]`, second: `[${other?.dims.join(', ')}]` })] };
    results.push(found);
  }
  const inside = await compareInside(a, b, feeds, tolerance, new Set(names));
  return inside.ok ? { ...inside, value: { results, inside: inside.value, ok: results.every((one) => agrees(one, tolerance)) } } : inside;
}

/** Floats that both compute under one name and in one shape. */
async function compareInside(a: Side, b: Side, feeds: Tensors, tolerance: number, results: ReadonlySet<string>): Promise<Outcome<readonly Comparison[]>> {
  const paths = a.named !== b.named;
  const known = new Set(b.values(paths));
  const names = a.values(paths).filter((name) => known.has(name) && !results.has(name));
  if (names.length === 0) return { ok: true, value: [], diagnostics: [] };
  const [left, right] = [await a.run(feeds, names), await b.run(feeds, names)];
  if (!left.ok) return left;
  if (!right.ok) return right;
  const found = names.flatMap((name) => {
    const [one, other] = [left.value[name], right.value[name]];
    return (one && other && /^b?f\d/.test(one.dtype) && compare(name, one, other, { tolerance, rows: false })) || [];
  });
  return { ok: true, value: found, diagnostics: [] };
}
