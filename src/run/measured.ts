/** Figures that were measured before: kept in a folder under the digest of everything they depend on, so that a model is not measured twice on the same tokens. */

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Graph } from '../graph/graph.ts';
import type { Source } from '../graph/source.ts';
import { printGraph } from '../graph/text.ts';
import type { Checkpoint } from '../weights/checkpoint.ts';
import { isObject } from './json.ts';

/** Figures by key. What cannot be read is not there, and what cannot be written is forgotten. */
export interface Measured {
  get(key: string): number | undefined;
  put(key: string, value: number): void;
}

/** The figures in a folder, a small file each. */
export function measuredIn(folder: string): Measured {
  const file = (key: string): string => join(folder, `${key}.json`);
  return {
    get(key) {
      try {
        const read: unknown = JSON.parse(readFileSync(file(key), 'utf8'));
        const value = isObject(read) ? read['value'] : undefined;
        return typeof value === 'number' ? value : undefined;
      } catch {
        return undefined;
      }
    },
    put(key, value) {
      const temporary = `${file(key)}-${process.pid}`;
      try {
        mkdirSync(folder, { recursive: true });
        writeFileSync(temporary, JSON.stringify({ value }));
        renameSync(temporary, file(key));
      } catch {
        // Without it the next call measures again.
      }
    },
  };
}

/** Digests of the tensors of a checkpoint, each read once. */
export function tensorDigests(checkpoint: Checkpoint | undefined): (name: string) => string {
  const known = new Map<string, string>();
  return (name) => {
    const before = known.get(name);
    if (before !== undefined) return before;
    const info = checkpoint?.tensors.get(name);
    const hash = createHash('sha256');
    for (let at = 0; checkpoint && info && at < info.length; at += piece) hash.update(checkpoint.read(info, at, Math.min(info.length, at + piece)));
    const digest = hash.digest('hex');
    known.set(name, digest);
    return digest;
  };
}

/** Bytes that are read at once. */
const piece = 1 << 24;

/** SHA-256 of what computes a figure: the code in a folder, moec's own where left out, the version of onnxruntime and the processor. */
export function computedBy(folder = fileURLToPath(new URL('..', import.meta.url))): string {
  const hash = createHash('sha256').update(JSON.stringify([runtimeVersion(), process.arch, cpus()[0]?.model ?? '']));
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(js|ts)$/.test(name) && !name.endsWith('.d.ts'));
  for (const name of files.sort()) {
    const text = readFileSync(join(folder, name));
    hash.update(`${JSON.stringify(name)} ${text.length}\n`).update(text);
  }
  return hash.digest('hex');
}

function runtimeVersion(): string {
  const stated: unknown = createRequire(import.meta.url)('onnxruntime-node/package.json');
  return isObject(stated) ? String(stated['version']) : '';
}

/** SHA-256 of a graph with the numbers of its weights, of what is measured of it, and of what computes it. */
export function measuredKey(graph: Graph, digest: (tensor: string) => string, what: string, by: string): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([by, what]))
    .update(printGraph(graph));
  const tensors = new Set(graph.weights.flatMap(({ source }) => tensorsOf(source)));
  for (const name of [...tensors].sort()) hash.update(`${JSON.stringify(name)} ${digest(name)}\n`);
  return hash.digest('hex');
}

function tensorsOf(source: Source): readonly string[] {
  if (source.kind === 'tensor') return [source.name];
  if (source.kind === 'concat') return source.of.flatMap(tensorsOf);
  return 'of' in source ? tensorsOf(source.of) : [];
}
