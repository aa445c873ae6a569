/** Reads a model of ONNX as a graph of foreign nodes. What the graph has no place for is kept beside it, so that writing it again loses nothing. */

import { type Diagnostic, diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import { graphBuilder } from '../graph/builder.ts';
import { foreign } from '../graph/foreign.ts';
import type { Graph } from '../graph/graph.ts';
import { attrOf, typedAttribute } from './attributes.ts';
import type { ExportOptions } from './export.ts';
import type { Extras } from './extras.ts';
import type { FunctionGraph } from './functions.ts';
import { define, type Gathered, type ImportedTensor, present, Refusal, readGraph, readNodes, type Scope } from './import-graph.ts';
import type { FunctionProto, Int, ModelProto, OperatorSetIdProto } from './messages.ts';
import { decodeModel, WireFault } from './wire.ts';

export type { ImportedTensor } from './import-graph.ts';

/** A model as read. */
export interface Imported {
  readonly graph: Graph;
  readonly functions: readonly FunctionGraph[];
  readonly opset: number;
  readonly ir: number;
  /** Versions of the domains besides ai.onnx. */
  readonly domains: Readonly<Record<string, number>>;
  /** Tensors that sources of the graph name. */
  readonly tensors: readonly ImportedTensor[];
  readonly extras: Extras;
}

/** The graph of a model's bytes; `file` is what messages call it. Nothing beside the model is read. */
export function importModel(bytes: Uint8Array, file: string): Outcome<Imported> {
  try {
    const gathered: Gathered = {
      graphs: new Map(),
      nodes: new Map(),
      values: new Map(),
      tensors: new Map(),
      stored: new Map(),
      paths: new Set(),
      defaults: [],
      base: bytes.byteOffset,
    };
    const imported = read(decodeModel(bytes), gathered);
    const diagnostics = gathered.defaults.length > 0 && imported.ir >= 4 ? gathered.defaults.map((input): Diagnostic => diagnose('input-default-fixed', { input, file })) : [];
    return { ok: true, value: { ...imported, ir: Math.max(4, imported.ir) }, diagnostics };
  } catch (error) {
    if (error instanceof WireFault) return { ok: false, diagnostics: [diagnose('onnx-unreadable', { file, reason: error.message })] };
    if (error instanceof Refusal) return { ok: false, diagnostics: [diagnose('onnx-not-understood', { file, reason: error.message })] };
    throw error;
  }
}

/** What writes an imported model again as it was. */
export function optionsOf({ functions, opset, ir, domains, extras }: Imported): Omit<ExportOptions, 'place'> {
  return { functions, opset, ir, domains, extras, types: true };
}

function read(model: ModelProto, gathered: Gathered): Imported {
  if (!model.graph) throw new Refusal('it has no graph');
  const versions = versionsOf(model.opsetImport ?? []);
  const { '': opset = 1, ...domains } = versions;
  const graph = readGraph(model.graph, gathered, undefined);
  const functions = (model.functions ?? []).map((fn) => readFunction(fn, gathered));
  refuseCircles(functions);
  const { irVersion, opsetImport, graph: _, functions: __, ...rest } = model;
  return {
    graph,
    functions,
    opset,
    ir: number(irVersion, 'the IR version'),
    domains,
    tensors: [...gathered.stored.values()],
    extras: { model: rest, graphs: gathered.graphs, nodes: gathered.nodes, values: gathered.values, tensors: gathered.tensors },
  };
}

/** Functions end somewhere: one that calls itself, or is called by what it calls, computes nothing. */
function refuseCircles(functions: readonly FunctionGraph[]): void {
  const byOp = new Map(functions.map((fn) => [foreign(fn.name, fn.domain), fn]));
  const done = new Set<FunctionGraph>();
  const visit = (graph: Graph, inside: ReadonlySet<FunctionGraph>): void => {
    for (const { op, bodies } of graph.nodes) {
      const callee = byOp.get(op);
      if (callee && inside.has(callee)) throw new Refusal(`the function ${callee.name} calls itself`);
      if (callee && !done.has(callee)) visit(callee.graph, new Set([...inside, callee]));
      if (callee) done.add(callee);
      for (const body of Object.values(bodies ?? {})) visit(body, inside);
    }
  };
  for (const fn of functions) visit(fn.graph, new Set([fn]));
}

function versionsOf(list: readonly OperatorSetIdProto[]): Readonly<Record<string, number>> {
  return Object.fromEntries(list.map(({ domain = '', version }) => [domain === 'ai.onnx' ? '' : domain, number(version, `the version of ${domain || 'ai.onnx'}`)]));
}

function number(given: Int | undefined, what: string): number {
  if (typeof given === 'object') throw new Refusal(`${what} is beyond 2^53`);
  return given ?? 0;
}

function readFunction(fn: FunctionProto, gathered: Gathered): FunctionGraph {
  const { name = '', domain = '', overload, input = [], output = [], attribute, attributeProto, node, docString, opsetImport, valueInfo, metadataProps, unknown } = fn;
  const scope: Scope = { own: new Map() };
  const types = new Map((valueInfo ?? []).map((info) => [info.name ?? '', info]));
  const inputs = input.map((one) => define(one, scope, types.get(one), gathered));
  const build = graphBuilder();
  readNodes(node ?? [], types, scope, build, { ...gathered, within: 'function' });
  const outputs = output.map((one) => {
    const value = scope.own.get(one);
    if (!value) throw new Refusal(`the function ${name} has no \`${one}\``);
    return { name: one, value };
  });
  const extra = present({ valueInfo, metadataProps, unknown });
  return {
    domain,
    name: overload ? `${name}:${overload}` : name,
    graph: build.finish({ name, ...(docString === undefined ? {} : { doc: docString }), inputs, outputs, weights: [] }),
    ...(attribute ? { attributes: attribute } : {}),
    ...(attributeProto ? { defaults: Object.fromEntries(attributeProto.map((one) => [one.name ?? '', attrOf(typedAttribute(one))])) } : {}),
    ...(opsetImport ? { opsets: versionsOf(opsetImport) } : {}),
    ...(extra ? { extra } : {}),
  };
}
