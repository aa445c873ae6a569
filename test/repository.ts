/** Reads `.moe` files from the repository, for tests and benchmarks. */

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { libraryFile } from '../src/cli/package.ts';
import type { Reader } from '../src/model/program.ts';

/** The folder of the repository. */
export const repository = fileURLToPath(new URL('..', import.meta.url));

/** A reader whose paths start at the repository. */
export const repositoryReader: Reader = {
  read: (path) => (existsSync(resolve(repository, path)) ? readFileSync(resolve(repository, path), 'utf8') : undefined),
  resolve: (from, spec) => {
    const base = resolve(repository, libraryFile(spec) ?? join(dirname(from), spec));
    const found = [base, `${base}.moe`].find((path) => path.endsWith('.moe') && existsSync(path));
    return found === undefined ? undefined : relative(repository, found);
  },
};
