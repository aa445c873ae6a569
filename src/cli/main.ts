#!/usr/bin/env node
/** The entry of the command line: ties the program to this process. */

import { exit } from './exit.ts';
import { main } from './program.ts';
import { processTerminal } from './terminal.ts';

const stop = new AbortController();

/** The first Ctrl-C asks; the second does not. */
function onSignal(): void {
  if (stop.signal.aborted) process.exit(exit.stopped);
  stop.abort();
}

process.on('SIGINT', onSignal);
process.on('SIGTERM', onSignal);
process.exitCode = await main(process.argv.slice(2), processTerminal(stop.signal));
