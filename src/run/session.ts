/** A loaded model, seen from the main thread: it runs in a worker, and every fault comes back as diagnostics. */

import type { Worker } from 'node:worker_threads';
import { diagnose, type Outcome, refuse } from '../diagnostics/diagnostic.ts';
import { isPast } from '../passes/cache-names.ts';
import { converse, type Listen } from './conversation.ts';
import type { Executable, Provider } from './executable.ts';
import type { DecodePlan, Reply, Tensors, Timing } from './protocol.ts';
import { spareWorker, startWorker } from './start-worker.ts';
import type { Port } from './tensor.ts';

/** What a session is opened with. */
export interface SessionOptions {
  /** `cpu` where left out. */
  readonly provider?: Provider;
  /** Threads of one op; onnxruntime's own choice where left out. */
  readonly threads?: number;
  /** Workers without a model: one of them is taken, and comes back when the session closes. A worker of its own is started where there is none. */
  readonly spare?: Worker[];
}

/** A continuation that is being written. */
export interface Decoding {
  /** Ends one row: its text is complete. */
  finish(row: number): void;
  /** Settles after the last token. */
  readonly done: Promise<Outcome<Timing>>;
}

/** A model that is loaded. */
export interface Session {
  readonly executable: Executable;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Runs the model once; all results where `wanted` is left out. */
  run(feeds: Tensors, wanted?: readonly string[]): Promise<Outcome<Tensors>>;
  /** Writes continuations; `listen` hears of every step. Keys and values stay in the worker. */
  decode(plan: DecodePlan, listen: Listen): Decoding;
  /** Lets what is running end, a continuation at its next token, then frees the model and ends the worker or gives it back. What is asked later fails. */
  close(): Promise<void>;
}

/** Whether an input without a number in it leaves tokens to run: nothing in the past, no token that stops a loop. */
const mayBeEmpty = (name: string, { form }: Executable): boolean => isPast({ name }) || (form === 'loop' && name !== 'input_ids');

/** Loads a model in a worker. */
export async function openSession(executable: Executable, { provider = 'cpu', threads, spare }: SessionOptions = {}): Promise<Outcome<Session>> {
  const { model, form, device } = executable;
  const worker = spare?.pop() ?? startWorker();
  const { opened, ask, tell, close } = converse(worker, {
    model,
    form,
    provider,
    ...(device && provider !== 'cpu' ? { device } : {}),
    ...(threads === undefined ? {} : { threads }),
  });
  const reply = await opened;
  if (reply.kind !== 'opened') {
    await worker.terminate();
    return { ok: false, diagnostics: reply.kind === 'unopened' ? reply.diagnostics : [] };
  }
  worker.unref();
  const end = async (): Promise<void> => {
    if ((await close()) && spare) spareWorker(worker, spare);
    else await worker.terminate();
  };
  const asOpen = (port: Port): Port => (executable.open?.includes(port.name) ? { ...port, open: true } : port);
  let closed: Promise<void> | undefined;
  let next = 0;
  const value: Session = {
    executable,
    inputs: reply.inputs.map(asOpen),
    outputs: reply.outputs.map(asOpen),
    async run(feeds, wanted) {
      const rowless = executable.fused && Object.entries(feeds).find(([name, { dims }]) => dims.includes(0) && !mayBeEmpty(name, executable));
      if (rowless) return refuse(diagnose('model-does-not-run', { reason: `its operator MoE takes no input without rows, as \`${rowless[0]}\` is` }));
      const outcome = await ask({ kind: 'run', id: next++, feeds, ...(wanted ? { wanted } : {}) });
      return through(outcome, (answer) => (answer.kind === 'result' ? answer.outputs : undefined));
    },
    decode(plan, listen) {
      const id = next++;
      const done = ask({ kind: 'decode', id, plan }, listen).then((outcome) => through(outcome, (answer) => (answer.kind === 'decoded' ? answer.timing : undefined)));
      return { done, finish: (row) => tell({ kind: 'finish', id, row }) };
    },
    close() {
      closed ??= end();
      return closed;
    },
  };
  return { ok: true, value, diagnostics: reply.diagnostics };
}

/** Loads a model and hands it to `use`; however that ends, the session is closed, and what was made for the model is removed. */
export async function inSession<T>(executable: Executable, options: SessionOptions, use: (session: Session) => Promise<Outcome<T>>): Promise<Outcome<T>> {
  try {
    const opened = await openSession(executable, options);
    if (!opened.ok) return opened;
    return await use(opened.value).finally(() => opened.value.close());
  } finally {
    executable.dispose?.();
  }
}

function through<T>(outcome: Outcome<Reply>, pick: (reply: Reply) => T | undefined): Outcome<T> {
  if (!outcome.ok) return outcome;
  const value = pick(outcome.value);
  return value === undefined
    ? { ok: false, diagnostics: [diagnose('session-ended', { reason: `an answer of kind ${outcome.value.kind}` })] }
    : { ok: true, value, diagnostics: [] };
}
