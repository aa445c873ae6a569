/** A terminal that keeps what is said, for tests of the command line. */

import { fileURLToPath } from 'node:url';
import { main } from '../src/cli/program.ts';
import type { Terminal } from '../src/cli/terminal.ts';

/** What a call came to. */
export interface Called {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A terminal without colours, 80 columns wide, in the root of the project, and what was said on it. */
export function recording(given: Partial<Terminal> & { readonly stdin?: string } = {}): { readonly terminal: Terminal; readonly said: () => Omit<Called, 'code'> } {
  const [out, err]: [string[], string[]] = [[], []];
  const terminal: Terminal = {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    input: async () => given.stdin ?? '',
    color: { out: false, err: false },
    columns: 80,
    watched: false,
    signal: new AbortController().signal,
    ...given,
  };
  return { terminal, said: () => ({ out: out.join(''), err: err.join('') }) };
}

/** Calls moec in this process. */
export async function moec(call: readonly string[], given: Parameters<typeof recording>[0] = {}): Promise<Called> {
  const { terminal, said } = recording(given);
  const code = await main(call, terminal);
  return { code, ...said() };
}
