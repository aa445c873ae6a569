/** The thread that a session lives in, so that a running model does not stop the event loop. The only importer of onnxruntime-node. */

import { parentPort } from 'node:worker_threads';
import { env, InferenceSession, listSupportedBackends, Tensor as OrtTensor } from 'onnxruntime-node';
import { Bug } from '../diagnostics/bug.ts';
import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import type { DType } from '../graph/type.ts';
import { isPresent } from '../passes/cache-names.ts';
import { decode } from './decode.ts';
import type { Engine, Feed, Held } from './engine.ts';
import { cannotLoad, cannotRun, providerMissing } from './faults.ts';
import type { Opening, Reply, Request, Tensors } from './protocol.ts';
import type { Port, Tensor, TensorData } from './tensor.ts';

const port = parentPort;
if (!port) throw new Bug('the worker of a session was loaded as a module');

/** Element types by onnxruntime's names. */
const dtypeOf: Readonly<Record<string, DType>> = {
  float32: 'f32',
  float64: 'f64',
  float16: 'f16',
  int64: 'i64',
  uint64: 'u64',
  int32: 'i32',
  uint32: 'u32',
  int16: 'i16',
  uint16: 'u16',
  int8: 'i8',
  uint8: 'u8',
  bool: 'bool',
  string: 'string',
};
const typeOf = Object.fromEntries(Object.entries(dtypeOf).map(([type, dtype]) => [dtype, type])) as Readonly<Record<DType, OrtTensor.Type>>;

/** Errors come back as diagnostics; onnxruntime's own log would say them a second time. */
const silent = 4;

function portOf(metadata: InferenceSession.ValueMetadata): Port {
  if (!metadata.isTensor) return { name: metadata.name, dtype: 'f32', dims: [] };
  return { name: metadata.name, dtype: dtypeOf[metadata.type] ?? 'f32', dims: metadata.shape.map((size) => (size === '' ? '?' : size)) };
}

function toOrt(feed: Feed): OrtTensor {
  if ('kind' in feed) return feed.value as OrtTensor;
  return new OrtTensor(typeOf[feed.dtype], feed.data as OrtTensor.DataTypeMap[OrtTensor.Type], feed.dims);
}

function fromOrt(tensor: OrtTensor): Tensor {
  return { dtype: dtypeOf[tensor.type] ?? 'f32', dims: tensor.dims, data: tensor.data as TensorData };
}

function hold(tensor: OrtTensor): Held {
  return { kind: 'held', value: tensor, release: () => tensor.location === 'gpu-buffer' && tensor.dispose() };
}

/** A loaded model: which results stay on the device, and what is to be said of it. */
interface Opened {
  readonly session: InferenceSession;
  readonly kept: ReadonlySet<string>;
  readonly diagnostics: readonly Diagnostic[];
}

function engineOf(session: InferenceSession): Engine {
  return {
    inputs: session.inputMetadata.map(portOf),
    outputs: session.outputMetadata.map(portOf),
    async run(feeds, read, held = []) {
      const given = Object.fromEntries(Object.entries(feeds).map(([name, feed]) => [name, toOrt(feed)]));
      const results = await session.run(given, [...read, ...held]);
      const pick = <T>(names: readonly string[], as: (tensor: OrtTensor) => T): Readonly<Record<string, T>> =>
        Object.fromEntries(
          names.flatMap((name) => {
            const result = results[name];
            return result instanceof OrtTensor ? [[name, as(result)]] : [];
          }),
        );
      return { read: pick(read, fromOrt), held: pick(held, hold) };
    },
  };
}

/** What onnxruntime says where a node has no kernel on the device. */
const leavesDevice = /fallback to CPU EP has been explicitly disabled/;

async function open({ model, form, provider, device, threads }: Opening): Promise<Opened> {
  const create = (kept: readonly string[], everyNode: boolean): Promise<InferenceSession> => {
    const options: InferenceSession.SessionOptions = {
      executionProviders: [provider],
      logSeverityLevel: silent,
      ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
      ...(kept.length === 0 ? {} : { preferredOutputLocation: Object.fromEntries(kept.map((name) => [name, 'gpu-buffer' as const])) }),
      extra: {
        session: {
          ...(everyNode ? { disable_cpu_ep_fallback: '1' } : {}),
          ...(model.kind === 'bytes' ? { model_external_initializers_file_folder_path: model.dataFolder } : {}),
        },
      },
    };
    return model.kind === 'bytes' ? InferenceSession.create(model.bytes, options) : InferenceSession.create(model.path, options);
  };
  if (provider !== 'webgpu') return { session: await create([], false), kept: new Set(), diagnostics: [] };
  if (device) {
    const kept = new Set(device.kept);
    try {
      return { session: await create(device.kept, true), kept, diagnostics: [] };
    } catch (error) {
      if (!leavesDevice.test(String(error))) throw error;
      return { session: await create(device.kept, false), kept, diagnostics: [diagnose('partly-on-cpu', {})] };
    }
  }
  const session = await create([], false);
  const kept = form === 'step' ? session.outputNames.filter((name) => isPresent({ name })) : [];
  if (kept.length === 0) return { session, kept: new Set(), diagnostics: [] };
  await session.release();
  return { session: await create(kept, false), kept: new Set(kept), diagnostics: [] };
}

/** Why the provider cannot be used, where that can be known before anything is loaded. */
function absent({ provider }: Opening): Diagnostic | undefined {
  const known = listSupportedBackends().map(({ name }) => name);
  return known.includes(provider) ? undefined : providerMissing(provider, `this build of onnxruntime-node has ${known.join(', ')}`);
}

/** Copies tensors off onnxruntime's memory, so that they can be handed over. */
function detached(tensors: Tensors): { readonly tensors: Tensors; readonly buffers: ArrayBuffer[] } {
  const copies = Object.entries(tensors).map(([name, tensor]): [string, Tensor] => [name, { ...tensor, data: tensor.data.slice() as TensorData }]);
  return { tensors: Object.fromEntries(copies), buffers: copies.flatMap(([, { data }]) => ('buffer' in data ? [data.buffer as ArrayBuffer] : [])) };
}

function tell(reply: Reply, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(reply, transfer);
}

/** Rows whose text is complete, by the decode they belong to; all of them once the session closes. */
const complete = new Map<number, Set<number>>();
let closing = false;

/** The model, and how it was opened. */
interface Loaded extends Opened {
  readonly engine: Engine;
  readonly form: Opening['form'];
}

async function serve({ engine, kept, form }: Loaded, request: Extract<Request, { readonly kind: 'run' | 'decode' }>): Promise<void> {
  const { id } = request;
  try {
    if (request.kind === 'run') {
      const { read } = await engine.run(request.feeds, request.wanted ?? engine.outputs.map(({ name }) => name).filter((name) => !kept.has(name)));
      const { tensors, buffers } = detached(read);
      tell({ kind: 'result', id, outputs: tensors }, buffers);
      return;
    }
    const rows = new Set<number>();
    complete.set(id, rows);
    const done = await decode(engine, form, request.plan, {
      emit: (tokens) => tell({ kind: 'tokens', id, tokens: Int32Array.from(tokens) }),
      finished: (row) => closing || rows.has(row),
    });
    tell(done.ok ? { kind: 'decoded', id, timing: done.timing } : { kind: 'failed', id, diagnostics: done.diagnostics });
  } catch (error) {
    tell({ kind: 'failed', id, diagnostics: [cannotRun(error)] });
  } finally {
    complete.delete(id);
  }
}

/** Loads a model and says so, or why that cannot be. */
async function load(opening: Opening): Promise<Loaded | undefined> {
  const missing = absent(opening);
  if (missing) return void tell({ kind: 'unopened', diagnostics: [missing] });
  try {
    const opened = await open(opening);
    const engine = engineOf(opened.session);
    tell({ kind: 'opened', inputs: engine.inputs, outputs: engine.outputs, diagnostics: opened.diagnostics });
    return { ...opened, engine, form: opening.form };
  } catch (error) {
    return void tell({ kind: 'unopened', diagnostics: [cannotLoad(error, opening.provider)] });
  }
}

let loaded: Loaded | undefined;

async function answer(request: Exclude<Request, { readonly kind: 'finish' }>): Promise<void> {
  if (request.kind === 'open') {
    closing = false;
    loaded = await load(request.opening);
  } else if (request.kind === 'close') {
    await loaded?.session.release();
    loaded = undefined;
    tell({ kind: 'closed' });
  } else if (loaded) await serve(loaded, request);
}

env.logLevel = 'fatal';
let queue: Promise<void> = Promise.resolve();
port.on('message', (request: Request) => {
  if (request.kind === 'finish') {
    complete.get(request.id)?.add(request.row);
    return;
  }
  if (request.kind === 'close') closing = true;
  queue = queue.then(() => answer(request));
});
