/** The header of a safetensors file: bytes to tensors and where each lies. Headers are not trusted; every lie is a diagnostic. */

import { type Diagnostic, diagnose, type Outcome, refuse } from '../diagnostics/diagnostic.ts';
import { bytesOf, type DType } from '../graph/type.ts';
import { parseStrictly, quote } from './strict-json.ts';

/** The most a header may have, as in the reference implementation. */
export const longestHeader = 100_000_000;

/** A tensor of one file; offsets count from the end of the header. */
export interface Entry {
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly from: number;
  readonly to: number;
}

const dtypes: ReadonlyMap<unknown, DType> = new Map<unknown, DType>([
  ['F64', 'f64'],
  ['F32', 'f32'],
  ['F16', 'f16'],
  ['BF16', 'bf16'],
  ['I64', 'i64'],
  ['I32', 'i32'],
  ['I16', 'i16'],
  ['I8', 'i8'],
  ['U64', 'u64'],
  ['U32', 'u32'],
  ['U16', 'u16'],
  ['U8', 'u8'],
  ['BOOL', 'bool'],
]);

/** The name safetensors has for each element type; `string` has none. */
export const safetensorsNames: ReadonlyMap<DType, string> = new Map([...dtypes].map(([name, dtype]) => [dtype, String(name)]));

/** Reports of one file stop here: a hostile header could hold millions. */
const mostReports = 10;

/** The length of the header from the first 8 bytes of a file of `size` bytes. */
export function readHeaderLength(start: Uint8Array, size: number, file: string): Outcome<number> {
  if (start.length < 8) return refuse(diagnose('safetensors-cut-short', { file, bytes: size, needed: 8 }));
  const view = new DataView(start.buffer, start.byteOffset, 8);
  const length = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
  if (length > longestHeader) return refuse(diagnose('safetensors-header-too-long', { file, length, limit: longestHeader }));
  if (length + 8 > size) return refuse(diagnose('safetensors-cut-short', { file, bytes: size, needed: length + 8 }));
  return { ok: true, value: length, diagnostics: [] };
}

/** The tensors a header announces, in the order of their bytes; `dataLength` bytes follow it. */
export function readHeader(header: Uint8Array, dataLength: number, file: string): Outcome<readonly Entry[]> {
  const parsed = parseTable(header);
  if (typeof parsed === 'string') return refuse(diagnose('safetensors-header-unreadable', { file, reason: parsed }));
  const diagnostics: Diagnostic[] = [];
  const entries: Entry[] = [];
  for (const [name, content] of parsed) {
    if (diagnostics.length >= mostReports) break;
    const found = name === '__metadata__' ? checkMetadata(content, file) : readEntry(name, content, dataLength, file);
    if (!found) continue;
    if ('code' in found) diagnostics.push(found);
    else entries.push(found);
  }
  if (diagnostics.length > 0) return { ok: false, diagnostics };
  entries.sort((a, b) => a.from - b.from || a.to - b.to);
  const gap = checkCover(entries, dataLength, file);
  return gap ? refuse(gap) : { ok: true, value: entries, diagnostics: [] };
}

/** The entries of the JSON object, or why there are none. */
function parseTable(header: Uint8Array): readonly (readonly [string, unknown])[] | string {
  let source: string;
  try {
    source = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header);
  } catch {
    return 'it is not UTF-8';
  }
  const parsed = parseStrictly(source);
  if ('reason' in parsed) return parsed.reason;
  // Entries of `JSON.parse` are own properties whatever their names are, `__proto__` included.
  return isTable(parsed.value) ? Object.entries(parsed.value) : 'it is not a table of tensors';
}

const isTable = (content: unknown): content is object => typeof content === 'object' && content !== null && !Array.isArray(content);

function checkMetadata(content: unknown, file: string): Diagnostic | undefined {
  if (isTable(content) && Object.values(content).every((one) => typeof one === 'string')) return undefined;
  return diagnose('safetensors-header-unreadable', { file, reason: '`__metadata__` is not a table of texts' });
}

function readEntry(name: string, content: unknown, dataLength: number, file: string): Entry | Diagnostic {
  const tensor = quote(name);
  const malformed = (reason: string): Diagnostic => diagnose('tensor-entry-malformed', { tensor, file, reason });
  if (!isTable(content)) return malformed('its entry is not a table');
  const { dtype: spelt, shape, data_offsets: offsets } = content as Readonly<Record<string, unknown>>;
  if (typeof spelt !== 'string') return malformed('it has no `dtype`');
  const dtype = dtypes.get(spelt);
  if (!dtype) return diagnose('tensor-dtype-unknown', { tensor, file, dtype: quote(spelt) });
  if (!Array.isArray(shape) || !shape.every(isSize)) return malformed('its `shape` is not a list of whole numbers from 0');
  if (shape.length > 64) return malformed(`it has ${shape.length} axes`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) return malformed('its `data_offsets` are not two whole numbers from 0');
  const [from = 0, to = 0] = offsets;
  if (from > to) return malformed(`its bytes end at ${to}, before they begin at ${from}`);
  if (to > dataLength) return diagnose('tensor-out-of-file', { tensor, file, from, to, bytes: dataLength });
  const needed = shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, bytesOf[dtype]);
  if (!Number.isSafeInteger(needed)) return malformed('its sizes multiply to more than 2^53 bytes');
  if (needed !== to - from) return diagnose('tensor-bytes-differ', { tensor, file, given: to - from, shape: `[${shape.join(', ')}]`, dtype: spelt, needed });
  return { name, dtype, dims: shape, from, to };
}

const isSize = (size: unknown): size is number => Number.isSafeInteger(size) && Number(size) >= 0 && !Object.is(size, -0);

/** Whether the entries, sorted, cover the data without a gap. */
function checkCover(entries: readonly Entry[], dataLength: number, file: string): Diagnostic | undefined {
  let end = 0;
  let last: Entry | undefined;
  for (const entry of entries) {
    if (entry.from < end) return diagnose('tensors-overlap', { tensor: quote(entry.name), other: quote(last?.name ?? ''), file });
    if (entry.from > end) return diagnose('bytes-unaccounted', { file, bytes: entry.from - end, from: end });
    end = entry.to;
    last = entry;
  }
  return end === dataLength ? undefined : diagnose('bytes-unaccounted', { file, bytes: dataLength - end, from: end });
}
