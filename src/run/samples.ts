/** Calibration inputs of a model: windows of a text, or inputs from a file. */

import { existsSync, readFileSync } from 'node:fs';
import { type Diagnostic, diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import { tokenWords } from '../diagnostics/figures.ts';
import { constant } from '../graph/dim.ts';
import type { Graph } from '../graph/graph.ts';
import { type NdArray, ndArray } from '../graph/nd-array.ts';
import { isPast } from '../passes/cache-names.ts';
import type { Sample } from '../passes/emergent/calibrate.ts';
import { allLogits, emptyPast } from './decode-step.ts';
import { reasonOf } from './faults.ts';
import type { Found } from './find-model.ts';
import { readInputs } from './inputs.ts';
import { isObject } from './json.ts';
import { factsOf } from './prepare.ts';
import { type Port, toNdArray, typedPort } from './tensor.ts';
import { besideIds, strangeToken } from './text-feeds.ts';
import { openTokenizer, tokensOfText } from './tokenizer.ts';

/** Fewer tokens than this say nothing of a layer. */
const fewest = 64;
/** The most tokens of a window. */
const longest = 512;

/** A file to calibrate on; `name` is what messages call it. */
export interface CalibrationFile {
  readonly name: string;
  readonly file: string;
}

/** The text of a file, or why there is none. */
export function readText({ name, file }: CalibrationFile): Outcome<string> {
  if (!existsSync(file)) return refuse(name, 'there is no such file');
  try {
    return { ok: true, value: new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file)), diagnostics: [] };
  } catch (error) {
    const folder = error instanceof Error && 'code' in error && error.code === 'EISDIR';
    return refuse(name, folder ? 'it is a folder' : error instanceof TypeError ? 'it is not text in UTF-8' : reasonOf(error));
  }
}

/** The tokens of a text, the first `most` where they suffice. */
export function tokensOf(found: Found, text: string, most?: number): Outcome<readonly number[]> {
  const facts = factsOf(found);
  if (!facts.ok) return facts;
  const tokenizer = openTokenizer(facts.value.tokenizer);
  if (!tokenizer.ok) return tokenizer;
  const tokens = tokensOfText(tokenizer.value, text, most);
  const strange = strangeToken(facts.value, tokens);
  return strange ? { ok: false, diagnostics: [strange] } : { ok: true, value: tokens, diagnostics: [] };
}

/** Tokens of a window, as far as the model reads. */
export function windowOf(found: Found): number {
  const facts = factsOf(found);
  return Math.min(longest, facts.ok ? (facts.value.context ?? longest) : longest);
}

/** Calibration inputs from a file: the first `tokens` tokens of a text, or, where its name ends in .json, all the inputs it lists. */
export function readSamples(found: Found, given: CalibrationFile, tokens: number): Outcome<readonly Sample[]> {
  const text = readText(given);
  if (!text.ok) return text;
  if (given.name.endsWith('.json')) {
    const samples = samplesOfJson(found.model.graph, text.value, given.name);
    const strange = samples.ok ? strangeIn(found, samples.value) : undefined;
    return strange ? { ok: false, diagnostics: [strange] } : samples;
  }
  const ids = tokensOf(found, text.value, tokens);
  return ids.ok ? samplesOfTokens(found.model.graph, ids.value, given.name, windowOf(found)) : ids;
}

/** A token of the inputs that the model does not have. */
function strangeIn(found: Found, samples: readonly Sample[]): Diagnostic | undefined {
  const facts = factsOf(found);
  const vocabulary = (facts.ok ? facts.value.vocabulary : undefined) ?? rowsOfTokens(found.model.graph);
  const known = vocabulary === undefined ? {} : { vocabulary };
  return samples.map(({ feeds: { input_ids: ids } }) => ids && strangeToken(known, Float64Array.from(ids.data))).find((one) => one !== undefined);
}

/** Rows of the table that tokens are looked up in, where they are: the vocabulary of a model without logits of tokens. */
function rowsOfTokens({ inputs, nodes }: Graph): number | undefined {
  const ids = inputs.find(({ name }) => name === 'input_ids');
  const rows = nodes.find(({ op, inputs: [, picks] }) => op.name === 'gather' && picks !== undefined && picks === ids)?.inputs[0]?.type?.dims[0];
  return rows && constant(rows);
}

/** Windows of tokens. `name` is what messages call their text. */
export function samplesOfTokens(graph: Graph, tokens: readonly number[], name: string, window: number): Outcome<readonly Sample[]> {
  const ports = portsOf(graph);
  const same = Object.entries({ ...allLogits(ports), ...emptyPast(ports, 1) }).map(([name, tensor]) => [name, toNdArray(tensor)] as const);
  const feeds = (ids: readonly number[]): Readonly<Record<string, NdArray>> => ({ ...feedsOf(ids), ...Object.fromEntries(same) });
  const fed = feeds([0]);
  const strange = graph.inputs.find((input) => !(input.name in fed));
  if (strange) return refuse(name, `the model takes \`${strange.name}\`, which no text gives; a .json file of inputs can`);
  if (tokens.length < fewest) return refuse(name, `it has ${tokenWords(tokens.length)}, and ${fewest} are the fewest`);
  const length = Math.min(window, tokens.length);
  const windows = Array.from({ length: Math.floor(tokens.length / length) }, (_, i) => feeds(tokens.slice(i * length, (i + 1) * length)));
  return { ok: true, value: windows.map((given) => ({ feeds: Object.fromEntries(graph.inputs.map((input) => [input.name, given[input.name] as NdArray])) })), diagnostics: [] };
}

function portsOf({ inputs }: Graph): readonly Port[] {
  return inputs.flatMap(({ name, type }): readonly Port[] => (type ? [typedPort(name, type)] : []));
}

/** What a text of tokens gives a model. */
function feedsOf(ids: readonly number[]): Readonly<Record<string, NdArray>> {
  const row = (values: readonly number[]): NdArray => ndArray([1, ids.length], values, 'i64');
  const beside = Object.entries(besideIds).map(([name, value]) => [name, row(ids.map((_, i) => value(i)))] as const);
  return { input_ids: row(ids), ...Object.fromEntries(beside) };
}

/** Samples from the text of a .json file: a list of inputs, each an object of nested lists by name. Tokens whose `attention_mask` is 0 do not count, and inputs without others are left out. */
function samplesOfJson(graph: Graph, text: string, file: string): Outcome<readonly Sample[]> {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (error) {
    return refuse(file, reasonOf(error));
  }
  const list: unknown = Array.isArray(given) ? given : [given];
  if (!Array.isArray(list) || list.length === 0 || !list.every(isObject)) return refuse(file, 'it is no list of inputs');
  const ports = portsOf(graph);
  const diagnostics: Diagnostic[] = [];
  const samples: Sample[] = [];
  for (const one of list) {
    const read = readInputs(one, ports);
    diagnostics.push(...read.diagnostics);
    if (!read.ok) return { ok: false, diagnostics };
    const arrays = Object.fromEntries(Object.entries(read.value).map(([name, tensor]) => [name, toNdArray(tensor)]));
    const { attention_mask: counted } = arrays;
    const empty = Object.entries(arrays).some(([name, { data }]) => data.length === 0 && !isPast({ name })) || counted?.data.every((one) => one === 0);
    if (!empty) samples.push({ feeds: arrays, ...(counted ? { counted } : {}) });
  }
  if (samples.length === 0) return refuse(file, 'none of its inputs has a token that counts');
  return { ok: true, value: samples, diagnostics: diagnostics.filter(({ severity }) => severity !== 'note') };
}

const refuse = (file: string, reason: string): Outcome<never> => ({ ok: false, diagnostics: [diagnose('calibration-unfit', { file, reason })] });
