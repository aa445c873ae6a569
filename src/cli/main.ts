#!/usr/bin/env node
/** The entry of the command line: ties the program to this process. */

import { type ExitCode, endWith, exit } from './exit.ts';
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

/** How the process ends where its output is lost. */
let lost: ExitCode | undefined;

/** What is left to do is in vain. That nobody reads any longer, as after `head`, is no fault; anything else is said. */
function onLost(error: NodeJS.ErrnoException): void {
  if (lost !== undefined) return;
  lost = error.code === 'EPIPE' ? exit.done : endWith(error, terminal, []);
  // The call may have ended before its last words could not be written.
  process.exitCode = lost;
  ask();
}

process.on('SIGINT', onSignal);
process.on('SIGTERM', onSignal);
const terminal = processTerminal(stop.signal, onLost);
const code = await main(process.argv.slice(2), terminal);
process.exitCode = lost ?? code;
