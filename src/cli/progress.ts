/** Progress: a bar on a terminal, a line now and then elsewhere, nothing at all for what takes less than a second. */

import { paint } from '../diagnostics/paint.ts';
import type { OutputOptions } from './print.ts';
import type { Terminal } from './terminal.ts';

/** Shows how far something has come. */
export interface Progress {
  /** `done` of `total`, in the unit of the task. */
  at(done: number, total: number): void;
  /** Takes the bar away. Always called, also when the task failed. */
  end(): void;
}

const silent: Progress = { at: () => {}, end: () => {} };
const patience = 1_000;
const redraw = 100;
const lineEvery = 10_000;
const barWidth = 24;

/** Progress of one task, such as `writing weights`. Silent with `--json`. `clock` gives milliseconds. */
export function progress(terminal: Terminal, task: string, options: OutputOptions = {}, clock: () => number = Date.now): Progress {
  if (options.json) return silent;
  const began = clock();
  let shown = began + patience - (terminal.watched ? redraw : lineEvery);
  let drawn = false;
  return {
    at(done, total) {
      const now = clock();
      if (now - began < patience || now - shown < (terminal.watched ? redraw : lineEvery)) return;
      shown = now;
      drawn = true;
      const share = total > 0 ? Math.min(1, done / total) : 0;
      const left = share > 0 ? `, ${duration(((now - began) / share) * (1 - share))} left` : '';
      const words = `${task} ${Math.floor(share * 100)} %${left}`;
      terminal.err(terminal.watched ? `\r\u001b[K${bar(share, terminal)} ${words}` : `${words}\n`);
    },
    end() {
      if (drawn && terminal.watched) terminal.err('\r\u001b[K');
      drawn = false;
    },
  };
}

/** Progress of tasks one after the other: each begins where it is first told of. */
export function progressInTurn(terminal: Terminal, options: OutputOptions): { at(task: string, done: number, total: number): void; end(): void } {
  let current: { readonly task: string; readonly bar: Progress } | undefined;
  return {
    at(task, done, total) {
      if (current?.task !== task) {
        current?.bar.end();
        current = { task, bar: progress(terminal, task, options) };
      }
      current.bar.at(done, total);
    },
    end: () => current?.bar.end(),
  };
}

/** Says that something of unknown length goes on, once it takes more than a second. `end` takes the words away on a watched terminal; always called. */
export function waiting(terminal: Terminal, task: string, { json }: OutputOptions = {}): { end(): void } {
  let said = false;
  const say = (): void => {
    said = true;
    terminal.err(terminal.watched ? `${task} …` : `${task} …\n`);
  };
  const timer = json ? undefined : setTimeout(say, patience);
  return {
    end() {
      clearTimeout(timer);
      if (said && terminal.watched) terminal.err('\r\u001b[K');
      said = false;
    },
  };
}

function bar(share: number, terminal: Terminal): string {
  const full = Math.round(share * barWidth);
  return '━'.repeat(full) + paint(terminal.color.err).dim('─'.repeat(barWidth - full));
}

/** Milliseconds for people: `8 s`, `2 min 5 s`. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1_000));
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Bytes for people, in powers of 1000: `538 MB`. */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const;
  const power = Math.min(units.length - 1, count < 1 ? 0 : Math.floor(Math.log10(count) / 3));
  const value = count / 1_000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}
