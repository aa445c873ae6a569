/** The other end of `moec bench`: one round of one contender, in a process of its own. Its job comes in a file, its figures go to standard output. */

import { readFileSync } from 'node:fs';
import { diagnosticsJson } from '../diagnostics/json.ts';
import type { BenchJob } from '../run/bench.ts';
import type { Cli } from './command.ts';
import { exit } from './exit.ts';

/** The name of the command, which help does not show. */
export const roundCommand = 'bench-round';

/** Adds the command. */
export function benchRound({ terminal, hidden, action }: Cli): void {
  hidden(`${roundCommand} <job>`).action(
    action(async (file: string) => {
      const { benchRound: measure } = await import('../run/bench.ts');
      const found = await measure(JSON.parse(readFileSync(file, 'utf8')) as BenchJob);
      terminal.out(`${JSON.stringify(found.ok ? { ok: true, value: found.value } : { ok: false, diagnostics: diagnosticsJson(found.diagnostics, () => undefined) })}\n`);
      return exit.done;
    }),
  );
}
