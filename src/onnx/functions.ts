/** Functions of a model: a graph with a name and a domain, called by foreign nodes. Written as FunctionProto. */

import { Bug } from '../diagnostics/bug.ts';
import type { Graph } from '../graph/graph.ts';
import type { ForeignAttrs } from '../graph/onnx.ts';
import { attributeOf } from './attributes.ts';
import { emitNodes, type Scope } from './emit.ts';
import type { Extras } from './extras.ts';
import type { FunctionProto, OperatorSetIdProto } from './messages.ts';
import { directResults, nameGraph, passesOn } from './names.ts';

/** A function local to a model. A node calls it by `foreign(name, domain)`. */
export interface FunctionGraph {
  readonly domain: string;
  /** Unique in the model, whatever the domain; `name:overload` where it is one of several. Never the name of a standard op: runtimes would take that. */
  readonly name: string;
  /** Without weights: functions take everything through their inputs. */
  readonly graph: Graph;
  /** Names of attributes every call gives; the body reads them by `reference`. */
  readonly attributes?: readonly string[];
  /** Attributes a call may leave out. */
  readonly defaults?: ForeignAttrs;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Versions of the domains its nodes are from; the model's own where left out. Some runtimes hold bodies to the model's versions whatever stands here. */
  readonly opsets?: Readonly<Record<string, number>>;
  /** What an imported file says beyond this. */
  readonly extra?: Partial<FunctionProto>;
}

/** The function as onnx.proto has it, with the domains it uses. */
export function emitFunction(fn: FunctionGraph, opsets: (domains: ReadonlySet<string>) => readonly OperatorSetIdProto[], extras: Extras, all: Set<string>): FunctionProto {
  const { graph } = fn;
  if (graph.weights.length > 0) throw new Bug(`${fn.name} has weights of its own: a function takes them as inputs`);
  const names = nameGraph(graph);
  const domains = new Set<string>();
  const refuse = (): never => {
    throw new Bug(`a graph inside ${fn.name} has weights of its own: a function takes them as inputs`);
  };
  const scope: Scope = { names, initializer: refuse, extras, domains, initializers: false, types: false };
  const node = emitNodes(graph, scope);
  const direct = directResults(graph);
  const output = graph.outputs.map(({ name, value }) => {
    if (direct.get(name) === value) return name;
    const outgoing = passesOn(graph, name, value) ? names.fresh(name) : name;
    node.push({ input: [names.of(value)], output: [outgoing], name: outgoing, opType: 'Identity' });
    return outgoing;
  });
  for (const domain of domains) all.add(domain);
  all.add(fn.domain);
  const [name = '', overload] = fn.name.split(':');
  const defaults = Object.entries(fn.defaults ?? {}).flatMap(([key, attr]) => attributeOf(key, attr) ?? []);
  const metadataProps = Object.entries(fn.metadata ?? {}).map(([key, value]) => ({ key, value }));
  return {
    ...fn.extra,
    name,
    input: graph.inputs.map((input) => names.of(input)),
    output,
    ...(fn.attributes?.length ? { attribute: fn.attributes } : {}),
    ...(defaults.length > 0 ? { attributeProto: defaults } : {}),
    node,
    ...(graph.doc === undefined ? {} : { docString: graph.doc }),
    opsetImport: fn.opsets ? Object.entries(fn.opsets).map(([one, version]) => ({ domain: one, version })) : opsets(domains),
    domain: fn.domain,
    ...(overload === undefined ? {} : { overload }),
    ...(metadataProps.length > 0 ? { metadataProps } : {}),
  };
}
