/** From the graph of a whole sequence to the graph of a step: new rows come in, keys and values of earlier rows are kept and handed on. */

import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import { constant, type Dim, show, symbolsOf } from '../graph/dim.ts';
import type { Graph, Node } from '../graph/graph.ts';
import { spell } from '../graph/type.ts';
import { isCausal, withCaches } from './caches.ts';
import { removeDead } from './drop-dead.ts';
import { lastRow } from './last-row.ts';
import type { Pass } from './pass.ts';
import { buildStep, PositionsDoNotFit, StepFault } from './step.ts';
import { rowsOf, whyNotStepped } from './stepping.ts';

export const addKvCache: Pass = {
  name: 'add-kv-cache',
  summary: 'Turns the graph of a whole sequence into the graph of a step, with past keys and values in and present ones out.',
  options: { last: { kind: 'bool', default: false, doc: 'Compute only the last row of the logits.' } },
  run(graph, options, { report }) {
    const whole = withCaches(removeDead(graph));
    const causal = whole.nodes.filter(isCausal);
    if (causal.length === 0) return graph;
    const rows = steppedDim(causal, report);
    if (rows === undefined) return graph;
    const faults = whole.nodes.flatMap((node) => faultOf(node, rows));
    const last = faults.length - 1;
    faults.forEach((one, i) => void report(i === last && one.fixes.length === 0 ? { ...one, fixes: [uncached] } : one));
    if (faults.length > 0) return graph;
    const step = stepOrFault(whole, rows, report);
    return step ? removeDead(options['last'] === true ? lastRow(step, rows) : step) : graph;
  },
};

/** The name of the dim that all causal attentions run over. */
function steppedDim(causal: readonly Node[], report: (diagnostic: Diagnostic) => void): string | undefined {
  const sizes = new Map<string, { readonly size: Dim; readonly node: Node }>();
  for (const node of causal) {
    for (const input of node.inputs.slice(0, 2)) {
      const size = input?.type?.dims.at(-2);
      if (size && !sizes.has(show(size))) sizes.set(show(size), { size, node });
    }
  }
  const [first, ...others] = sizes.values();
  const [name] = first ? symbolsOf(first.size) : [];
  if (first && others.length === 0 && name === show(first.size)) return name;
  const [second] = others;
  const at = second?.node.span ?? first?.node.span;
  report(
    first && !second && constant(first.size) !== undefined
      ? diagnose('cannot-step', { name: nameOf(first.node), why: `it runs over ${show(first.size)} rows, not over a \`dim\`` }, at ? { at } : {})
      : diagnose('several-stepped-dims', { dims: [...sizes.values()].map(({ size }) => spell(size)).join(' and ') }, at ? { at } : {}),
  );
  return undefined;
}

/** What is left for a model whose rows depend on later ones. */
const uncached = { text: 'compute every token from the whole text: --no-cache' };

const nameOf = (node: Node): string => node.outputs[0]?.name ?? node.op.name;

function faultOf(node: Node, rows: string): readonly Diagnostic[] {
  const why = whyNotStepped(node, rowsOf(rows));
  if (why === undefined) return [];
  const counted = node.op.name === 'range';
  return [
    diagnose('cannot-step', { name: nameOf(node), why }, { ...(node.span ? { at: node.span } : {}), ...(counted ? { fixes: [{ text: `write \`positions(${rows})\`` }] } : {}) }),
  ];
}

/** The step graph; with positions for each sequence where that fits, else for the batch. */
function stepOrFault(whole: Graph, rows: string, report: (diagnostic: Diagnostic) => void): Graph | undefined {
  const fault = (found: unknown): undefined => {
    if (!(found instanceof StepFault)) throw found;
    report(diagnose('cannot-step', { name: nameOf(found.node), why: found.message }, found.node.span ? { at: found.node.span } : {}));
    return undefined;
  };
  try {
    return buildStep(whole, rows, 'each');
  } catch (found) {
    if (!(found instanceof PositionsDoNotFit)) return fault(found);
    const note = diagnose('step-without-padding', { why: `\`${nameOf(found.node)}\` takes i64[${rows}]` }, found.node.span ? { at: found.node.span } : {});
    try {
      const step = buildStep(whole, rows, 'batch');
      report(note);
      return step;
    } catch (again) {
      return fault(again);
    }
  }
}
