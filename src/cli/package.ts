/** What moec knows of its own package: where it lies and its version. The same from the sources and from the build. */

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Bug } from '../diagnostics/bug.ts';

/** The folder of moec's package.json, in which `models/` lies. */
export function packageFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json')) && existsSync(join(folder, 'models'))) return folder;
    if (folder === dirname(folder)) throw new Bug('the folder of the package was not found');
  }
}

/** Where what an import names lies in moec's own folder, without its ending: `std/layers` is `models/std/layers`, `zoo/llama` is `models/llama`. */
export function libraryFile(spec: string): string | undefined {
  if (spec.startsWith('std/')) return `models/${spec}`;
  return spec.startsWith('zoo/') ? `models/${spec.slice('zoo/'.length)}` : undefined;
}

/** The version that package.json states. */
export function version(): string {
  const stated: unknown = JSON.parse(readFileSync(join(packageFolder(), 'package.json'), 'utf8'));
  return typeof stated === 'object' && stated !== null && 'version' in stated ? String(stated.version) : 'unknown';
}

/** How another process of moec is called: the program and what stands before the arguments. From the sources by what reads TypeScript. */
export function ownCall(): readonly string[] {
  const fromSource = import.meta.url.endsWith('.ts');
  const loader = fromSource ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href] : [];
  return [process.execPath, ...loader, fileURLToPath(new URL(fromSource ? './main.ts' : './main.js', import.meta.url))];
}
