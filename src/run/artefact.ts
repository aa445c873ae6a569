/** `NAME.experts.safetensors`: what a conversion to experts decided, with the digests of the weights it was decided for. A compile that reads it calibrates nothing. */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import { type NdArray, ndArray } from '../graph/nd-array.ts';
import type { Source } from '../graph/source.ts';
import { transposedView } from '../graph/views.ts';
import type { Conversion, Repair, Router, Threshold } from '../passes/emergent/conversion.ts';
import type { FeedForward } from '../passes/feed-forwards.ts';
import type { Checkpoint } from '../weights/checkpoint.ts';
import { toBytes } from '../weights/elements.ts';
import { openCheckpoint } from '../weights/open.ts';
import { sourceArray, sourceBytes } from '../weights/source.ts';
import { writeSafetensors } from '../weights/write.ts';
import { isObject } from './json.ts';

/** A conversion and the digest of the dense weights it is for. */
export interface StoredConversion {
  readonly conversion: Conversion;
  /** SHA-256, lower-case hex. */
  readonly digest: string;
}

/** SHA-256 of the weights of a feed-forward: gate and up as [F, D], down as [D, F], then biases, little-endian in their own element type. */
export function digestOf({ gate, up, down, gateBias, upBias, outBias }: FeedForward, checkpoint: Checkpoint | undefined): string {
  const hash = createHash('sha256');
  const sources: readonly (Source | undefined)[] = [transposedView(gate), up && transposedView(up), transposedView(down), gateBias, upBias, outBias];
  for (const source of sources) if (source) for (const piece of sourceBytes(source, checkpoint)) hash.update(piece);
  return hash.digest('hex');
}

/** The tensor that says in JSON what the others are. */
const contents = 'moec.json';

/** The tensors of one conversion by their names; numbers are f32, indices i32. */
function tensorsOf({ order, shared, router, repair }: Conversion): Readonly<Record<string, NdArray>> {
  const { kind: _, ...arrays } = router;
  return {
    order: ndArray([order.length], order, 'i32'),
    shared: ndArray([shared.length], shared, 'i32'),
    ...Object.fromEntries(Object.entries(arrays).map(([name, array]) => [`router.${name}`, array])),
    ...(repair ? { 'repair.projection': repair.projection, 'repair.maps': repair.maps } : {}),
  };
}

/** Writes the file; refusals of the system are thrown. */
export function writeArtefact(file: string, conversions: readonly StoredConversion[], version: string): void {
  const listed = conversions.map(({ conversion: { path, experts, size, picks, threshold, router }, digest }) => ({
    path,
    experts,
    size,
    picks,
    threshold,
    router: router.kind,
    digest,
  }));
  const json = Buffer.from(JSON.stringify({ moec: version, conversions: listed }));
  const tensors = conversions.flatMap(({ conversion }) =>
    Object.entries(tensorsOf(conversion)).map(([name, { dtype, dims, data }]) => ({ name: `${conversion.path}.${name}`, dtype, dims, bytes: [toBytes(dtype, data)] })),
  );
  writeSafetensors(file, [{ name: contents, dtype: 'u8', dims: [json.length], bytes: [json] }, ...tensors], { format: 'moec experts' });
}

/** Reads a file of `writeArtefact`; `name` is what messages call it. Whether a conversion fits its layer, `conversionFault` says. */
export function readArtefact(file: string, name: string): Outcome<readonly StoredConversion[]> {
  const damaged = (reason: string): Outcome<never> => ({ ok: false, diagnostics: [diagnose('artefact-damaged', { file: name, reason })] });
  if (!existsSync(file)) return { ok: false, diagnostics: [diagnose('artefact-missing', { file: name })] };
  const opened = openCheckpoint(file);
  if (!opened.ok) return damaged(opened.diagnostics.map(({ message }) => message).join('; '));
  const checkpoint = opened.value;
  try {
    const listed = listedIn(checkpoint);
    if (!listed) return damaged(`it has no tensor \`${contents}\` that lists its conversions`);
    const stored: StoredConversion[] = [];
    for (const one of listed) {
      const conversion = conversionOf(one, checkpoint);
      if (typeof conversion === 'string') return damaged(conversion);
      stored.push({ conversion, digest: one.digest });
    }
    return { ok: true, value: stored, diagnostics: [] };
  } finally {
    checkpoint.close();
  }
}

interface Listed {
  readonly path: string;
  readonly experts: number;
  readonly size: number;
  readonly picks: number;
  readonly threshold?: Threshold;
  readonly router: string;
  readonly digest: string;
}

/** The arrays of each kind of router, and whether one may be left out. */
const routerArrays: Readonly<Record<Router['kind'], readonly string[]>> = {
  linear: ['weight', 'bias?'],
  features: ['directions', 'weight', 'bias'],
  representative: ['gate', 'up?'],
  oracle: ['norms'],
  random: ['directions'],
};

function listedIn(checkpoint: Checkpoint): readonly Listed[] | undefined {
  const info = checkpoint.tensors.get(contents);
  if (info?.dtype !== 'u8') return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(checkpoint.read(info)).toString('utf8'));
  } catch {
    return undefined;
  }
  const list: unknown = isObject(parsed) ? parsed['conversions'] : undefined;
  return Array.isArray(list) && list.every(isListed) ? list : undefined;
}

/** Whether what is listed is of the right types; numbers that JSON cannot hold are null. */
function isListed(one: unknown): one is Listed {
  if (!isObject(one)) return false;
  const { path, experts, size, picks, threshold, router, digest } = one;
  const counted = [experts, size, picks].every((count) => typeof count === 'number');
  return counted && (threshold === undefined || isObject(threshold)) && [path, router, digest].every((word) => typeof word === 'string');
}

const isRouter = (kind: string): kind is Router['kind'] => Object.hasOwn(routerArrays, kind);

/** The conversion, or what it lacks. */
function conversionOf({ path, experts, size, picks, threshold, router: kind }: Listed, checkpoint: Checkpoint): Conversion | string {
  const array = (name: string): NdArray | undefined => {
    const info = checkpoint.tensors.get(`${path}.${name}`);
    return info && sourceArray({ kind: 'tensor', name: info.name, dims: info.dims, dtype: info.dtype }, checkpoint);
  };
  const [order, shared, projection, maps] = ['order', 'shared', 'repair.projection', 'repair.maps'].map(array);
  if (!order || !shared) return `the order of \`${path}\` is missing`;
  if (!isRouter(kind)) return `\`${path}\` has a router of an unknown kind, \`${kind}\``;
  const wanted = routerArrays[kind];
  const arrays = Object.fromEntries(wanted.flatMap((name) => [[name.replace('?', ''), array(`router.${name.replace('?', '')}`)] as const].filter(([, held]) => held)));
  const absent = wanted.find((name) => !name.endsWith('?') && !arrays[name]);
  if (absent) return `\`${path}.router.${absent}\` is missing`;
  if (!projection !== !maps) return `the repair of \`${path}\` is not whole`;
  const repair: Repair | undefined = projection && maps ? { projection, maps } : undefined;
  return {
    path,
    experts,
    size,
    picks,
    ...(threshold ? { threshold } : {}),
    order: [...order.data],
    shared: [...shared.data],
    router: { kind, ...arrays } as unknown as Router,
    ...(repair ? { repair } : {}),
  };
}
