/** `moec.json`: what a compiled folder says about itself. Written by compiling, read by running. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import { dtypes } from '../graph/type.ts';
import type { Picks } from '../passes/set-picks.ts';
import { type Form, forms } from './executable.ts';
import { isObject, type JsonObject, readJson } from './json.ts';
import type { Port } from './tensor.ts';

/** The name of the file in its folder. */
export const manifestName = 'moec.json';

/** The name of a decoder's whole generation in one run, where there is one. */
export const generateName = 'generate.onnx';

/** A file of the folder, as it was written. */
export interface ManifestFile {
  readonly name: string;
  readonly bytes: number;
  /** Lower-case hex; absent for files of the checkpoint that were left as they are. */
  readonly sha256?: string;
  /** The file was there before, and is not moec's to replace. */
  readonly inPlace?: true;
}

/** The content of `moec.json`. */
export interface Manifest {
  /** The version of moec that wrote the folder. */
  readonly moec: string;
  /** The name of the model in its source. */
  readonly model: string;
  /** The file that describes it. */
  readonly source: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly target: string;
  /** The form of model.onnx. */
  readonly form: Form;
  readonly context?: number;
  readonly vocabulary?: number;
  /** Set where the number of experts that a token picks is the input `active`. */
  readonly active?: Picks;
  readonly tokenizer: 'tokenizer.json' | 'bytes' | null;
  readonly opset: number;
  /** How each segment of a mixture is lowered, by its path: `guarded`, or `gathered,guarded` for few tokens and for many. */
  readonly lowerings?: Readonly<Record<string, string>>;
  /** Set where onnxruntime's operator `MoE` is among the nodes of model.onnx. */
  readonly fused?: true;
  readonly files: readonly ManifestFile[];
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

/** What an earlier compile wrote into a folder. A damaged manifest says nothing. */
export function writtenBefore(folder: string): ReadonlySet<string> {
  const file = join(folder, manifestName);
  const manifest = existsSync(file) ? readManifest(file) : undefined;
  return new Set(manifest?.ok ? [manifestName, ...manifest.value.files.filter(({ inPlace }) => !inPlace).map(({ name }) => name)] : []);
}

/** Reads and checks the manifest at `path`. Fields it does not know are left alone. */
export function readManifest(path: string): Outcome<Manifest> {
  const read = readJson(path);
  if (!read.ok) return { ok: false, diagnostics: [diagnose('manifest-damaged', { file: path, reason: read.diagnostics[0]?.message ?? '' })] };
  const reason = faultOf(read.value);
  if (reason !== undefined) return { ok: false, diagnostics: [diagnose('manifest-damaged', { file: path, reason })] };
  return { ok: true, value: read.value as unknown as Manifest, diagnostics: [] };
}

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isSize: Check = (value) => typeof value === 'number' && Number.isInteger(value) && value >= 0;
const isPort: Check = (value) =>
  isObject(value) &&
  isText(value['name']) &&
  dtypes.some((dtype) => dtype === value['dtype']) &&
  Array.isArray(value['dims']) &&
  value['dims'].every((size) => isText(size) || isSize(size));
/** A name that stays in its folder. */
const isInside: Check = (value) => typeof value === 'string' && value !== '' && !value.startsWith('/') && !value.includes('\\') && !value.split('/').includes('..');
const isFile: Check = (value) =>
  isObject(value) &&
  isInside(value['name']) &&
  isSize(value['bytes']) &&
  (value['sha256'] === undefined || (typeof value['sha256'] === 'string' && /^[0-9a-f]{64}$/.test(value['sha256'])));
const isList =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const isOneOf =
  (choices: readonly unknown[]): Check =>
  (value) =>
    choices.includes(value);
const isAbsentOr =
  (check: Check): Check =>
  (value) =>
    value === undefined || value === null || check(value);

/** What every field must be, and how that is said. */
const fields = {
  moec: [isText, 'text'],
  model: [isText, 'text'],
  source: [isText, 'text'],
  params: [isObject, 'an object'],
  target: [isText, 'text'],
  form: [isOneOf(forms), `one of ${forms.join(', ')}`],
  context: [isAbsentOr(isSize), 'a number'],
  vocabulary: [isAbsentOr(isSize), 'a number'],
  active: [isAbsentOr((value) => isObject(value) && isSize(value['usual']) && isSize(value['most'])), 'an object with usual and most'],
  tokenizer: [isOneOf(['tokenizer.json', 'bytes', null]), '"tokenizer.json", "bytes" or null'],
  opset: [isSize, 'a number'],
  lowerings: [isAbsentOr(isObject), 'an object'],
  fused: [isAbsentOr((value) => value === true), 'true'],
  files: [isList(isFile), 'a list of files with name, bytes and sha256'],
  inputs: [isList(isPort), 'a list of inputs with name, dtype and dims'],
  outputs: [isList(isPort), 'a list of results with name, dtype and dims'],
} as const satisfies Readonly<Record<keyof Manifest, readonly [Check, string]>>;

function faultOf(manifest: JsonObject): string | undefined {
  for (const [name, [check, wanted]] of Object.entries(fields)) if (!check(manifest[name])) return `\`${name}\` is not ${wanted}`;
  return undefined;
}
