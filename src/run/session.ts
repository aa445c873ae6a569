/** A loaded model, seen from the main thread: it runs in a worker, and every fault comes back as diagnostics. */

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type Diagnostic, diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import type { Executable, Provider } from './executable.ts';
import { reasonOf } from './faults.ts';
import type { DecodePlan, Opening, Reply, Request, Tensors, Timing } from './protocol.ts';
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
  /** Writes continuations; `listen` takes tokens step by step, a token for each row, -1 where a row has ended. Keys and values stay in the worker. */
  decode(plan: DecodePlan, listen: (tokens: Int32Array) => void): Decoding;
  /** Lets what is running end, a continuation at its next token, then frees the model and ends the worker or gives it back. What is asked later fails. */
  close(): Promise<void>;
}

interface Waiting {
  readonly listen: (tokens: Int32Array) => void;
  readonly settle: (outcome: Outcome<Reply>) => void;
}

/** Loads a model in a worker. */
export async function openSession(executable: Executable, { provider = 'cpu', threads, spare }: SessionOptions = {}): Promise<Outcome<Session>> {
  const { model, form, device } = executable;
  const opening: Opening = { model, form, provider, ...(device && provider !== 'cpu' ? { device } : {}), ...(threads === undefined ? {} : { threads }) };
  const worker = spare?.pop() ?? startWorker();
  const waiting = new Map<number, Waiting>();
  let lost: readonly Diagnostic[] | undefined;
  let closed: Promise<void> | undefined;
  let next = 0;

  const opened = await new Promise<Reply>((resolve) => {
    const lose = (reason: string): void => {
      lost ??= [diagnose('session-ended', { reason })];
      resolve({ kind: 'unopened', diagnostics: lost });
      for (const { settle } of waiting.values()) settle({ ok: false, diagnostics: lost });
      waiting.clear();
    };
    worker.on('message', (reply: Reply) => {
      if ('id' in reply) deliver(reply);
      else resolve(reply);
    });
    worker.on('error', (error) => lose(reasonOf(error)));
    worker.on('exit', () => lose('the worker has stopped'));
    worker.ref();
    worker.postMessage({ kind: 'open', opening } satisfies Request);
  });

  function deliver(reply: Extract<Reply, { readonly id: number }>): void {
    const one = waiting.get(reply.id);
    if (!one) return;
    if (reply.kind === 'tokens') {
      one.listen(reply.tokens);
      return;
    }
    waiting.delete(reply.id);
    if (waiting.size === 0 && !closed) worker.unref();
    one.settle(reply.kind === 'failed' ? { ok: false, diagnostics: reply.diagnostics } : { ok: true, value: reply, diagnostics: [] });
  }

  /** Sends a request; the worker keeps the process alive as long as an answer is due. */
  function ask(request: Request & { readonly id: number }, listen: Waiting['listen'] = () => {}): Promise<Outcome<Reply>> {
    // A worker that was given back is another session's.
    const gone = lost ?? (closed && [diagnose('session-ended', { reason: 'it was closed' })]);
    if (gone) return Promise.resolve({ ok: false, diagnostics: gone });
    return new Promise((settle) => {
      waiting.set(request.id, { listen, settle });
      worker.ref();
      worker.postMessage(request);
    });
  }

  if (opened.kind !== 'opened') {
    await worker.terminate();
    return { ok: false, diagnostics: opened.kind === 'unopened' ? opened.diagnostics : [] };
  }
  const end = async (): Promise<void> => {
    if (!lost) await released(worker);
    if (!spare || lost) await worker.terminate();
    else {
      for (const event of ['message', 'error', 'exit']) worker.removeAllListeners(event);
      const drop = (): void => void (spare.includes(worker) && spare.splice(spare.indexOf(worker), 1));
      worker.once('error', drop);
      worker.once('exit', drop);
      worker.unref();
      spare.push(worker);
    }
  };
  worker.unref();
  return {
    ok: true,
    diagnostics: opened.diagnostics,
    value: {
      executable,
      inputs: opened.inputs,
      outputs: opened.outputs,
      async run(feeds, wanted) {
        const outcome = await ask({ kind: 'run', id: next++, feeds, ...(wanted ? { wanted } : {}) });
        return through(outcome, (reply) => (reply.kind === 'result' ? reply.outputs : undefined));
      },
      decode(plan, listen) {
        const id = next++;
        const done = ask({ kind: 'decode', id, plan }, listen).then((outcome) => through(outcome, (reply) => (reply.kind === 'decoded' ? reply.timing : undefined)));
        return { done, finish: (row) => closed || worker.postMessage({ kind: 'finish', id, row } satisfies Request) };
      },
      close() {
        closed ??= end();
        return closed;
      },
    },
  };
}

function through<T>(outcome: Outcome<Reply>, pick: (reply: Reply) => T | undefined): Outcome<T> {
  if (!outcome.ok) return outcome;
  const value = pick(outcome.value);
  return value === undefined
    ? { ok: false, diagnostics: [diagnose('session-ended', { reason: `an answer of kind ${outcome.value.kind}` })] }
    : { ok: true, value, diagnostics: [] };
}

/** Asks the worker to free the model, and waits until it has: a worker that is ended in the middle of a run takes the whole process with it. */
function released(worker: Worker): Promise<void> {
  return new Promise((resolve) => {
    worker.on('message', (reply: Reply) => reply.kind === 'closed' && resolve());
    worker.on('exit', () => resolve());
    worker.ref();
    worker.postMessage({ kind: 'close' } satisfies Request);
  });
}

/** Starts the worker from the built file, or from the source where moec itself runs from source. */
function startWorker(): Worker {
  // onnxruntime on Linux reports its use to its makers, and leaves files in the temporary folder, unless the process says no; a worker's own environment does not reach it.
  process.env['ORT_DISABLE_TELEMETRY'] ??= '1';
  const options = { execArgv: [], stdout: false, stderr: false };
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./worker.js', import.meta.url), options);
  bundled ??= bundle();
  return new Worker(bundled, { ...options, eval: true });
}

let bundled: string | undefined;

/** The worker's source files as one script, by the compiler that tsx brings: Node 20 does not read TypeScript, and tsx would take half a second for every worker. */
function bundle(): string {
  const require = createRequire(import.meta.url);
  const { buildSync } = createRequire(require.resolve('tsx/package.json'))('esbuild') as {
    buildSync(options: object): { readonly outputFiles: readonly { readonly text: string }[] };
  };
  const { outputFiles } = buildSync({
    entryPoints: [fileURLToPath(new URL('./worker.ts', import.meta.url))],
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'cjs',
    // Packages are looked for from here, not from the folder of the call.
    banner: { js: `require = require('node:module').createRequire(${JSON.stringify(import.meta.url)});` },
    write: false,
  });
  return outputFiles[0]?.text ?? '';
}
