/** Reads a folder that `moec compile` wrote, and checks that everything in it is still what was written. */

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Diagnostic, diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import { isPresent } from '../passes/cache-names.ts';
import { checkpointInfo } from './checkpoint-info.ts';
import type { Executable, TokenizerPlace } from './executable.ts';
import { generateName, type Manifest, type ManifestFile, manifestName, readManifest } from './manifest.ts';

/** A compiled folder, ready to run. */
export interface CompiledFolder {
  readonly folder: string;
  readonly manifest: Manifest;
  /** model.onnx. */
  readonly executable: Executable;
  /** generate.onnx, a whole generation in one run, where it was compiled with it. */
  readonly generation?: Executable;
}

/** How much is compared with the recorded digests. */
export interface FolderOptions {
  /** Every file, however large; else only those that are read in an instant. */
  readonly verify?: boolean;
}

/** Files up to this size are always compared by digest; of larger ones only the size. */
const quick = 16 * 2 ** 20;

/** Opens the folder; every file that is missing or changed is reported. */
export function readFolder(folder: string, { verify = false }: FolderOptions = {}): Outcome<CompiledFolder> {
  const path = join(folder, manifestName);
  if (!existsSync(path)) return { ok: false, diagnostics: [diagnose('not-a-compiled-folder', { folder })] };
  const read = readManifest(path);
  if (!read.ok) return read;
  const manifest = read.value;
  const faults = manifest.files.flatMap((file) => faultOf(folder, file, verify));
  if (!manifest.files.some(({ name }) => name === 'model.onnx')) faults.push(diagnose('manifest-damaged', { file: path, reason: 'it lists no model.onnx' }));
  const info = checkpointInfo(folder);
  if (!info.ok) faults.push(...info.diagnostics);
  if (faults.length > 0 || !info.ok) return { ok: false, diagnostics: faults };
  const { stop, bos, pad } = info.value;
  const context = manifest.context ?? info.value.context;
  const open = [...manifest.inputs, ...manifest.outputs].filter((port) => port.open).map((port) => port.name);
  const executable = (name: string, form: Executable['form']): Executable => ({
    model: { kind: 'file', path: join(folder, name) },
    form,
    ...(manifest.target === 'webgpu' ? { device: { kept: manifest.outputs.filter(isPresent).map((output) => output.name) } } : {}),
    tokenizer: tokenizerOf(folder, manifest),
    stop,
    ...(manifest.active ? { active: manifest.active } : {}),
    ...(context === undefined ? {} : { context }),
    ...((manifest.vocabulary ?? undefined) === undefined ? {} : { vocabulary: manifest.vocabulary }),
    ...(bos === undefined ? {} : { bos }),
    ...(pad === undefined ? {} : { pad }),
    ...(open.length > 0 ? { open } : {}),
    ...(manifest.fused ? { fused: true as const } : {}),
  });
  const generates = manifest.files.some(({ name }) => name === generateName);
  return {
    ok: true,
    diagnostics: [],
    value: { folder, manifest, executable: executable('model.onnx', manifest.form), ...(generates ? { generation: executable(generateName, 'loop') } : {}) },
  };
}

function tokenizerOf(folder: string, { tokenizer }: Manifest): TokenizerPlace | undefined {
  if (tokenizer === null) return undefined;
  return tokenizer === 'bytes' ? { kind: 'bytes' } : { kind: 'file', folder };
}

function faultOf(folder: string, { name, bytes, sha256 }: ManifestFile, verify: boolean): Diagnostic[] {
  const path = join(folder, name);
  if (!existsSync(path)) return [diagnose('compiled-file-missing', { file: path })];
  const { size } = statSync(path);
  if (size !== bytes) return [diagnose('compiled-file-changed', { file: path, reason: `it has ${size} bytes, not ${bytes}` })];
  if (sha256 === undefined || (size > quick && !verify)) return [];
  const found = createHash('sha256').update(readFileSync(path)).digest('hex');
  return found === sha256 ? [] : [diagnose('compiled-file-changed', { file: path, reason: 'its sha256 is another' })];
}
