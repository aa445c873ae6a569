/** What is said to the worker of a session: every request gets its answer, and a worker that is lost answers all of them with a fault. */

import type { Worker } from 'node:worker_threads';
import { type Diagnostic, diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import { reasonOf } from './faults.ts';
import type { Opening, Reply, Request } from './protocol.ts';

/** Takes tokens step by step, a token for each row; -1 where a row has ended. */
export type Listen = (tokens: Int32Array) => void;

/** A worker that was asked to load a model. */
export interface Conversation {
  /** What came of loading. */
  readonly opened: Promise<Reply>;
  /** Sends a request; the worker keeps the process alive as long as an answer is due. */
  ask(request: Request & { readonly id: number }, listen?: Listen): Promise<Outcome<Reply>>;
  /** Sends what has no answer. */
  tell(request: Request): void;
  /** Waits until the worker has freed its model; whether it is still there. What is asked later fails. */
  close(): Promise<boolean>;
}

interface Waiting {
  readonly listen: Listen;
  readonly settle: (outcome: Outcome<Reply>) => void;
}

/** Has a worker without a model load one. */
export function converse(worker: Worker, opening: Opening): Conversation {
  const waiting = new Map<number, Waiting>();
  let lost: readonly Diagnostic[] | undefined;
  let closing = false;

  function deliver(reply: Extract<Reply, { readonly id: number }>): void {
    const one = waiting.get(reply.id);
    if (!one) return;
    if (reply.kind === 'tokens') {
      one.listen(reply.tokens);
      return;
    }
    waiting.delete(reply.id);
    if (waiting.size === 0 && !closing) worker.unref();
    one.settle(reply.kind === 'failed' ? { ok: false, diagnostics: reply.diagnostics } : { ok: true, value: reply, diagnostics: [] });
  }

  const opened = new Promise<Reply>((resolve) => {
    const lose = (reason: string): void => {
      lost ??= [diagnose('session-ended', { reason })];
      resolve({ kind: 'unopened', diagnostics: lost });
      for (const { settle } of waiting.values()) settle({ ok: false, diagnostics: lost });
      waiting.clear();
    };
    worker.on('message', (reply: Reply) => ('id' in reply ? deliver(reply) : resolve(reply)));
    worker.on('error', (error) => lose(reasonOf(error)));
    worker.on('exit', () => lose('the worker has stopped'));
  });
  worker.ref();
  worker.postMessage({ kind: 'open', opening } satisfies Request);

  return {
    opened,
    ask(request, listen = () => {}) {
      // A worker that was given back is another session's.
      const gone = lost ?? (closing && [diagnose('session-ended', { reason: 'it was closed' })]);
      if (gone) return Promise.resolve({ ok: false, diagnostics: gone });
      return new Promise((settle) => {
        waiting.set(request.id, { listen, settle });
        worker.ref();
        worker.postMessage(request);
      });
    },
    tell(request) {
      if (!closing) worker.postMessage(request);
    },
    async close() {
      closing = true;
      if (!lost) await released(worker);
      return !lost;
    },
  };
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
