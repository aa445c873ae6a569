/** Opens a checkpoint: one safetensors file, or the shards an index lists. The only place that reads weights from the file system. */

import { closeSync, existsSync, fstatSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Bug } from '../diagnostics/bug.ts';
import { type Diagnostic, diagnose, type Outcome, refuse } from '../diagnostics/diagnostic.ts';
import { type Checkpoint, ReadFault, type TensorInfo } from './checkpoint.ts';
import { longestHeader, readHeader, readHeaderLength } from './safetensors.ts';
import { parseStrictly, quote } from './strict-json.ts';

const single = 'model.safetensors';
const index = 'model.safetensors.index.json';

/** A checkpoint at `path`: a folder, or a file that ends in `.safetensors`. Headers are read, numbers are not. */
export function openCheckpoint(path: string): Outcome<Checkpoint> {
  const full = resolve(path);
  const kind = statSync(full, { throwIfNoEntry: false });
  if (kind && !kind.isDirectory() && full.endsWith('.safetensors')) return openFiles(dirname(full), [full]);
  if (kind && !kind.isDirectory() && full.endsWith('.index.json')) return openIndex(full);
  if (kind?.isDirectory()) {
    if (existsSync(join(full, single))) return openFiles(full, [join(full, single)]);
    if (existsSync(join(full, index))) return openIndex(join(full, index));
  }
  return refuse(diagnose('checkpoint-not-found', { path }, { notes: foundInstead(full) }));
}

/** What lies there that a reader may have meant. */
function foundInstead(folder: string): readonly string[] {
  let names: readonly string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  const weights = names.filter((name) => /\.(safetensors|bin|pt|pth|gguf|onnx|h5|msgpack)$/.test(name)).slice(0, 5);
  return weights.length === 0 ? [] : [`there is ${weights.join(', ')}`];
}

function openFiles(folder: string, files: readonly string[]): Outcome<Checkpoint> {
  const handles = fileHandles();
  const tensors = new Map<string, TensorInfo>();
  for (const file of files) {
    const found = readTensors(file, handles);
    if (!found.ok) {
      handles.close();
      return found;
    }
    for (const tensor of found.value) tensors.set(tensor.name, tensor);
  }
  return { ok: true, value: checkpointOf(folder, tensors, handles), diagnostics: [] };
}

function openIndex(file: string): Outcome<Checkpoint> {
  const map = readIndex(file);
  if (!map.ok) return map;
  const folder = dirname(file);
  const shards = [...new Set(map.value.values())].sort();
  const missing = shards.filter((name) => !existsSync(join(folder, name)));
  if (missing.length > 0) return refuse(...missing.slice(0, 10).map((name) => diagnose('shard-missing', { index: file, file: quote(name) })));
  const handles = fileHandles();
  const held = new Map<string, ReadonlyMap<string, TensorInfo>>();
  for (const shard of shards) {
    const found = readTensors(join(folder, shard), handles);
    if (!found.ok) {
      handles.close();
      return found;
    }
    held.set(shard, new Map(found.value.map((tensor) => [tensor.name, tensor])));
  }
  const tensors = new Map<string, TensorInfo>();
  const absent: Diagnostic[] = [];
  for (const [name, shard] of map.value) {
    const tensor = held.get(shard)?.get(name);
    if (tensor) tensors.set(name, tensor);
    else if (absent.length < 10) absent.push(diagnose('tensor-not-in-shard', { index: file, tensor: quote(name), file: quote(shard) }));
  }
  if (absent.length === 0) return { ok: true, value: checkpointOf(folder, tensors, handles), diagnostics: [] };
  handles.close();
  return refuse(...absent);
}

/** Which file each tensor is in, by the index. */
function readIndex(file: string): Outcome<ReadonlyMap<string, string>> {
  const bad = (reason: string) => refuse(diagnose('index-unreadable', { file, reason }));
  let source: string;
  try {
    if (statSync(file).size > longestHeader) return bad(`it is longer than ${longestHeader} bytes`);
    source = readFileSync(file, 'utf8');
  } catch (error) {
    return refuse(unreadable(file, error));
  }
  const parsed = parseStrictly(source);
  if ('reason' in parsed) return bad(parsed.reason);
  const { value: table } = parsed;
  const map = typeof table === 'object' && table !== null && 'weight_map' in table ? table.weight_map : undefined;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) return bad('it has no `weight_map`');
  const entries: (readonly [string, string])[] = [];
  for (const [name, shard] of Object.entries(map) as readonly (readonly [string, unknown])[]) {
    if (typeof shard !== 'string') return bad(`the file of ${quote(name)} is not a text`);
    if (!isPlainName(shard)) return bad(`${quote(shard)} is not the name of a file in its folder`);
    entries.push([name, shard]);
  }
  return { ok: true, value: new Map(entries), diagnostics: [] };
}

/** A name without a path in it, on any system. */
function isPlainName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\\:\0]/.test(name) && name.endsWith('.safetensors');
}

function readTensors(file: string, handles: FileHandles): Outcome<readonly TensorInfo[]> {
  try {
    const size = handles.size(file);
    const length = readHeaderLength(handles.read(file, 0, Math.min(8, size)), size, file);
    if (!length.ok) return length;
    const start = 8 + length.value;
    const entries = readHeader(handles.read(file, 8, length.value), size - start, file);
    if (!entries.ok) return entries;
    return { ok: true, value: entries.value.map(({ name, dtype, dims, from, to }) => ({ name, dtype, dims, file, offset: start + from, length: to - from })), diagnostics: [] };
  } catch (error) {
    if (error instanceof Bug) throw error;
    return refuse(error instanceof ReadFault ? error.diagnostic : unreadable(file, error));
  }
}

/** What the system said of a file that cannot be read. */
export function unreadable(file: string, error: unknown): Diagnostic {
  const reason = error instanceof Error && 'code' in error ? reasons.get(String(error.code)) : undefined;
  return diagnose('file-not-readable', { file, reason: reason ?? (error instanceof Error ? error.message : String(error)) });
}

const reasons: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'permission denied'],
  ['EPERM', 'permission denied'],
  ['ENOENT', 'it is not there'],
  ['EISDIR', 'it is a folder'],
  ['EIO', 'the disk reports an error'],
  ['EMFILE', 'too many files are open'],
]);

/** Tensors of files in any other format, once somebody knows where each lies. */
export function openTensors(folder: string, list: readonly TensorInfo[]): Outcome<Checkpoint> {
  const handles = fileHandles();
  const diagnostics: Diagnostic[] = [];
  for (const { name, file, offset, length } of list) {
    try {
      const bytes = handles.size(file);
      if (offset + length > bytes) diagnostics.push(diagnose('tensor-out-of-file', { tensor: quote(name), file, from: offset, to: offset + length, bytes }));
    } catch (error) {
      diagnostics.push(error instanceof ReadFault ? error.diagnostic : unreadable(file, error));
    }
    if (diagnostics.length >= 10) break;
  }
  if (diagnostics.length === 0) return { ok: true, value: checkpointOf(folder, new Map(list.map((tensor) => [tensor.name, tensor])), handles), diagnostics };
  handles.close();
  return { ok: false, diagnostics };
}

function checkpointOf(folder: string, tensors: ReadonlyMap<string, TensorInfo>, handles: FileHandles): Checkpoint {
  return {
    folder,
    tensors,
    read(tensor, from = 0, to = tensor.length) {
      if (from < 0 || to > tensor.length || from > to) throw new Bug(`bytes ${from} to ${to} of ${tensor.name}, which has ${tensor.length}`);
      return handles.read(tensor.file, tensor.offset + from, to - from);
    },
    close: () => handles.close(),
  };
}

/** Files opened when first read. */
interface FileHandles {
  size(file: string): number;
  read(file: string, offset: number, length: number): Uint8Array;
  close(): void;
}

function fileHandles(): FileHandles {
  const open = new Map<string, number>();
  const handle = (file: string): number => {
    const known = open.get(file);
    if (known !== undefined) return known;
    if (!statSync(file).isFile()) throw new ReadFault(diagnose('file-not-readable', { file, reason: 'it is not a plain file' }));
    const opened = openSync(file, 'r');
    open.set(file, opened);
    return opened;
  };
  return {
    size: (file) => fstatSync(handle(file)).size,
    read(file, offset, length) {
      const bytes = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const got = attempt(file, () => readSync(handle(file), bytes, done, length - done, offset + done));
        if (got === 0) throw new ReadFault(diagnose('file-not-readable', { file, reason: `it ends at byte ${offset + done}, before it did when it was opened` }));
        done += got;
      }
      return bytes;
    },
    close() {
      for (const one of open.values()) closeSync(one);
      open.clear();
    },
  };
}

function attempt<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof ReadFault ? error : new ReadFault(unreadable(file, error));
  }
}
