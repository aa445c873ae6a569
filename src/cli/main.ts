#!/usr/bin/env node
/** The entry of the command line: ties the program to this process. */

import { exit } from './exit.ts';
import { main } from './program.ts';
import { processTerminal } from './terminal.ts';

const stop = new AbortController();

/** How long a command may take to tidy up once it is asked to stop, in milliseconds. */
const grace = 3_000;

/** Asks the command to stop; without an answer the process ends by itself. */
function ask(): void {
  stop.abort();
  setTimeout(endNow, grace).unref();
}

/** Ends the process by the signal, once what is unfinished is removed. An ordinary end would stop threads in the middle of a model, which aborts with a message of theirs. */
function endNow(): void {
  process.emit('exit', exit.stopped);
  process.removeAllListeners('SIGINT');
  process.kill(process.pid, 'SIGINT');
}

/** The first Ctrl-C asks, the second ends. */
function onSignal(): void {
  if (stop.signal.aborted) endNow();
  else ask();
}

/** Nobody reads any longer, as after `head`: what is left to do is in vain, and no fault. */
let unread = false;
function onUnread(): void {
  if (!unread) ask();
  unread = true;
}

process.on('SIGINT', onSignal);
process.on('SIGTERM', onSignal);
const code = await main(process.argv.slice(2), processTerminal(stop.signal, onUnread));
process.exitCode = unread ? exit.done : code;
