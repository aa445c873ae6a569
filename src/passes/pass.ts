/** What a pass is: data, with a function from graph to graph. */

import type { Diagnostic } from '../diagnostics/diagnostic.ts';
import type { Compute } from '../graph/compute.ts';
import type { Graph } from '../graph/graph.ts';
import type { Attr, AttrSpec } from '../graph/op.ts';

/** What a pass may ask for. */
export interface PassContext {
  readonly compute?: Compute;
  report(diagnostic: Diagnostic): void;
}

/** A step from graph to graph, with its name and settings. */
export interface Pass {
  /** Verb-object, as `--dump-after` names it: `fold-constants`. */
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** Settings, each with a default and a sentence. */
  readonly options: Readonly<Record<string, AttrSpec & { readonly doc: string }>>;
  run(graph: Graph, options: Readonly<Record<string, Attr>>, context: PassContext): Graph | Promise<Graph>;
}
