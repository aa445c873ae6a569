/** Scan 9: before, it ran over a batch of sequences; now one Scan runs over the batch, and one inside it over a sequence. */

import { graphBuilder } from '../../graph/builder.ts';
import { foreign } from '../../graph/foreign.ts';
import { type Value, value } from '../../graph/graph.ts';
import { changed, isNumbers, type Rule } from './rule.ts';

/** The batch as the axis that the outer Scan runs over. */
export const overBatch: Rule = (node) => {
  const [lengths, ...given] = node.inputs;
  const { body } = node.bodies ?? {};
  const { num_scan_inputs: scanned, directions } = node.attrs;
  if (lengths) return 'its sequences have lengths of their own';
  if (!body || typeof scanned !== 'number') return 'it has no body or no number of scanned inputs';
  const outer = node.outputs[0]?.name ?? 'scan';
  const each = given.map((one, i) => value(`${outer}.${one?.name ?? i}.each`));
  const results = body.outputs.map(({ name }): Value => value(`${outer}.${name}.each`));
  const build = graphBuilder();
  build.push({
    op: foreign('Scan'),
    inputs: each,
    outputs: results,
    attrs: { num_scan_inputs: scanned, ...(isNumbers(directions) ? { scan_input_directions: directions } : {}) },
    bodies: { body },
  });
  const batch = build.finish({ name: `${outer}.batch`, inputs: each, outputs: results.map((one) => ({ name: one.name, value: one })), weights: [] });
  return changed(node, { inputs: given, attrs: { num_scan_inputs: given.length }, bodies: { body: batch } });
};
