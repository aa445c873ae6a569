/** Where the real weights and texts of the test bed lie, when they are there. */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folder of fixtures beside the project, or the one `MOEC_FIXTURES` names. */
const folder = process.env['MOEC_FIXTURES'] ?? fileURLToPath(new URL('../../shared/fixtures', import.meta.url));

/** The path of a fixture, or undefined where it is absent; tests that need it then skip and say so. */
export function fixture(path: string): string | undefined {
  const full = `${folder}/${path}`;
  return existsSync(full) ? full : undefined;
}
