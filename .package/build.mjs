/** Builds `dist` from the sources, and lets `npx moec` find it in a clone. */

import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const entry = join(root, 'dist/src/cli/main.js');
const typescript = createRequire(import.meta.url).resolve('typescript/package.json');

rmSync(join(root, 'dist'), { recursive: true, force: true });
try {
  execFileSync(process.execPath, [join(dirname(typescript), 'bin/tsc'), '-p', join(root, 'tsconfig.json')], { stdio: 'inherit', cwd: root });
} catch {
  process.exit(1);
}
chmodSync(entry, 0o755);

// npm links the commands of dependencies only, not the package's own. Windows needs no link: there npx makes its own.
const link = join(root, 'node_modules/.bin/moec');
if (process.platform !== 'win32' && existsSync(dirname(link))) {
  rmSync(link, { force: true });
  symlinkSync('../../dist/src/cli/main.js', link);
}
