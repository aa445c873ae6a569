/** Runs passes in order, with each one's settings filled in, and checks the graph after each. */

import { Bug } from '../diagnostics/bug.ts';
import type { Graph } from '../graph/graph.ts';
import type { Attr } from '../graph/op.ts';
import { verifyGraph } from '../graph/verify.ts';
import type { Pass, PassContext } from './pass.ts';

/** A pass and the settings it is run with; those left out have their defaults. */
export interface PassRun {
  readonly pass: Pass;
  readonly options?: Readonly<Record<string, Attr>>;
}

/** What surrounds a run. */
export interface DriverOptions {
  /** Where diagnostics go and what calibrating passes compute with; without it, an error is a `Bug`. */
  readonly context?: PassContext;
  /** Called after each pass with its name. */
  readonly dumpAfter?: (name: string, graph: Graph) => void;
  /** Whether the graph is checked after each pass; it is unless this is false. */
  readonly verify?: boolean;
}

const strict: PassContext = {
  report(diagnostic) {
    if (diagnostic.severity === 'error') throw new Bug(diagnostic.message);
  },
};

/** The graph after all passes. A pass that breaks the graph is a `Bug` that names it. */
export async function runPasses(graph: Graph, passes: readonly PassRun[], options: DriverOptions = {}): Promise<Graph> {
  let now = graph;
  for (const { pass, options: given = {} } of passes) {
    const before = now;
    now = await pass.run(before, settingsOf(pass, given), options.context ?? strict);
    if (options.verify !== false && now !== before) verifyGraph(now, pass.name);
    options.dumpAfter?.(pass.name, now);
  }
  return now;
}

function settingsOf(pass: Pass, given: Readonly<Record<string, Attr>>): Readonly<Record<string, Attr>> {
  const unknown = Object.keys(given).find((name) => !(name in pass.options));
  if (unknown !== undefined) throw new Bug(`${pass.name} has no setting ${unknown}`);
  return Object.fromEntries(Object.entries(pass.options).map(([name, spec]) => [name, given[name] ?? spec.default]));
}
