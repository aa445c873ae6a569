/** Finding, preparing and opening a model in tests, with faults as exceptions. */

import { join } from 'node:path';
import type { Outcome } from '../src/diagnostics/diagnostic.ts';
import { exportModel } from '../src/onnx/export.ts';
import { type SessionCompute, sessionCompute } from '../src/run/compute.ts';
import { type Found, modelOfCheckpoint, modelOfSource } from '../src/run/find-model.ts';
import { type PrepareOptions, prepare } from '../src/run/prepare.ts';
import { openSession, type Session } from '../src/run/session.ts';
import { targets } from '../src/targets/index.ts';
import { lowerGraph } from '../src/targets/lower.ts';
import type { Target } from '../src/targets/target.ts';
import { repository, repositoryReader } from './repository.ts';

/** The value of an outcome; its diagnostics as an exception where there is none. */
export function must<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  throw new Error(outcome.diagnostics.map(({ code, message, notes }) => [`${code}: ${message}`, ...notes].join('\n  ')).join('\n'));
}

const zoo = join(repository, 'models');

/** The model of a checkpoint folder, by the zoo. */
export function checkpointModel(folder: string): Found {
  return must(modelOfCheckpoint(folder, { reader: repositoryReader, zoo }));
}

/** A model of the zoo with random weights. */
export function zooModel(name: string, options: { readonly set?: Readonly<Record<string, string>>; readonly model?: string; readonly seed?: number } = {}): Found {
  return must(modelOfSource(`models/${name}.moe`, { reader: repositoryReader, zoo, ...options }));
}

/** The target of that name. */
export function targetOf(name: 'ort' | 'portable' | 'webgpu'): Target {
  const target = targets.get(name);
  if (!target) throw new Error(`no target ${name}`);
  return target;
}

/** A session on a model, prepared for a target. */
export async function open(found: Found, target: 'ort' | 'portable' | 'webgpu', options: Partial<PrepareOptions> = {}): Promise<Session> {
  const executable = must(await prepare(found, { target: targetOf(target), version: 'test', ...options }));
  return must(await openSession(executable, { threads: 1 }));
}

/** `Compute` for graphs without weights, on so many threads; 0 leaves it to onnxruntime. The caller closes it. */
export function portableCompute(threads = 1): SessionCompute {
  const target = targetOf('portable');
  const place = (): never => {
    throw new Error('no weights here');
  };
  return sessionCompute({ toModel: (graph) => exportModel(lowerGraph(graph, target, 'written'), { opset: target.opset, ir: target.ir, place }), ...(threads ? { threads } : {}) });
}
