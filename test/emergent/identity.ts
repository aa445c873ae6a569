/** Whether a converted model with every expert is the dense model again: layer by layer on calibration tokens, and end to end. */

import { emergentSettingsOf } from '../../src/model/index.ts';
import type { Sample } from '../../src/passes/emergent/calibrate.ts';
import { withEveryExpert } from '../../src/passes/emergent/conversion.ts';
import { replaceFeedForwards } from '../../src/passes/emergent/replace.ts';
import type { Chosen } from '../../src/run/convert.ts';
import { emerge } from '../../src/run/emerge.ts';
import type { Found } from '../../src/run/find-model.ts';
import { tensorOf } from '../../src/run/tensor.ts';
import { distance } from '../definition.ts';
import { must, open } from '../running.ts';

/** The largest error of any layer and that of the results, both max|a − b| / max|b|. */
export interface Identity {
  readonly converted: number;
  readonly layers: number;
  readonly whole: number;
}

/** Converts by settings as a directive has them, and compares on the last sample, which nothing was fitted to. */
export async function identityOf(found: Found, samples: readonly Sample[], texts: Readonly<Record<string, string>>, chosen: Chosen = { kind: 'all' }): Promise<Identity> {
  const settings = must(emergentSettingsOf({ pick: 'top(1)', text: '"given"', ...texts }, (name) => name));
  const { replacements, judged } = must(await emerge(found, { settings, chosen, samples, version: 'test', threads: 1 }));
  const { graph } = found.model;
  const whole = replaceFeedForwards(
    graph,
    replacements.map(({ feedForward, conversion }) => ({ feedForward, conversion: withEveryExpert(conversion) })),
  );
  const { feeds } = samples.at(-1) as Sample;
  const [dense, experts] = [await resultOf(found, feeds), await resultOf({ ...found, model: { ...found.model, graph: whole } }, feeds)];
  return { converted: replacements.length, layers: Math.max(...judged.map(({ identity }) => identity)), whole: distance(experts, dense) };
}

/** The first result of a model, on onnxruntime. */
async function resultOf(found: Found, feeds: Sample['feeds']): Promise<Float64Array> {
  const session = await open(found, 'ort', { form: 'whole' });
  const results = must(await session.run(Object.fromEntries(Object.entries(feeds).map(([name, array]) => [name, tensorOf(array.dtype, array.dims, array.data)]))));
  await session.close();
  return Float64Array.from(results[found.model.graph.outputs[0]?.name ?? '']?.data as Float32Array);
}
