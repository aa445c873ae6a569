/** What TARGET means on the command line: a `.moe` file, a file of ONNX, a checkpoint folder, or a folder that `moec compile` wrote. */

import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import { didYouMean } from '../diagnostics/suggest.ts';

/** A recognised target; paths are absolute. */
export type Target =
  | { readonly kind: 'source'; readonly file: string }
  | { readonly kind: 'onnx'; readonly file: string }
  | { readonly kind: 'checkpoint'; readonly folder: string }
  | { readonly kind: 'compiled'; readonly folder: string };

/** The target a path names, or the diagnostic that says why it is none. */
export function resolveTarget(cwd: string, path: string): Target | Diagnostic {
  const full = resolve(cwd, path);
  if (!existsSync(full)) return diagnose('target-missing', { path }, { fixes: didYouMean(basename(full), namesBeside(full)) });
  if (!statSync(full).isDirectory()) {
    if (full.endsWith('.moe')) return { kind: 'source', file: full };
    if (full.endsWith('.onnx')) return { kind: 'onnx', file: full };
    return diagnose('target-unknown', { path, reason: 'it ends neither in .moe nor in .onnx' });
  }
  if (existsSync(join(full, 'moec.json'))) return { kind: 'compiled', folder: full };
  if (existsSync(join(full, 'config.json'))) return { kind: 'checkpoint', folder: full };
  const sources = readdirSync(full).filter((name) => /\.(moe|onnx)$/.test(name));
  return diagnose(
    'target-unknown',
    { path, reason: 'it holds neither moec.json nor config.json' },
    { fixes: sources.length > 0 ? [{ text: `name one of its files, such as ${join(path, sources[0] ?? '')}` }] : [] },
  );
}

/** The checkpoint in a target that is one, also where a model was compiled beside it. */
export function checkpointOf(target: Target): Target {
  if (target.kind !== 'compiled') return target;
  const has = (name: string): boolean => existsSync(join(target.folder, name));
  return has('config.json') && (has('model.safetensors') || has('model.safetensors.index.json')) ? { kind: 'checkpoint', folder: target.folder } : target;
}

function namesBeside(full: string): readonly string[] {
  const folder = dirname(full);
  return existsSync(folder) && statSync(folder).isDirectory() ? readdirSync(folder) : [];
}
