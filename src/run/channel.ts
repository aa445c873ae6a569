/** A queue between a callback that pushes and a loop that waits. */

/** Values pushed on one side and iterated on the other, in order, each once. */
export interface Channel<T> {
  push(value: T): void;
  /** No more will come; iteration ends after what is queued. */
  close(): void;
  iterate(): AsyncIterator<T>;
}

/** An empty channel. */
export function channel<T>(): Channel<T> {
  const queue: T[] = [];
  let closed = false;
  let wake = (): void => {};
  return {
    push(value) {
      queue.push(value);
      wake();
    },
    close() {
      closed = true;
      wake();
    },
    async *iterate() {
      for (;;) {
        while (queue.length > 0) yield queue.shift() as T;
        if (closed) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
