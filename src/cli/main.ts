#!/usr/bin/env node
/** The entry of the command line: ties the program to this process. */

import { exit } from './exit.ts';
import { main } from './program.ts';
import { processTerminal } from './terminal.ts';

const stop = new AbortController();

/** How long a command may take to tidy up once it is asked to stop, in milliseconds. */
const grace = 3_000;

/** The first Ctrl-C asks; the second, or no answer to the first, ends the process. */
function onSignal(): void {
  if (stop.signal.aborted) process.exit(exit.stopped);
  stop.abort();
  setTimeout(() => process.exit(exit.stopped), grace).unref();
}

process.on('SIGINT', onSignal);
process.on('SIGTERM', onSignal);
process.exitCode = await main(process.argv.slice(2), processTerminal(stop.signal));
