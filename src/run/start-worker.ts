/** Workers of sessions: how one starts, and how it is kept for the next session. */

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

/** Puts a worker without a model among those that wait for one; one that dies while it waits is dropped. */
export function spareWorker(worker: Worker, spare: Worker[]): void {
  for (const event of ['message', 'error', 'exit']) worker.removeAllListeners(event);
  const drop = (): void => void (spare.includes(worker) && spare.splice(spare.indexOf(worker), 1));
  worker.once('error', drop);
  worker.once('exit', drop);
  worker.unref();
  spare.push(worker);
}

/** Starts the worker from the built file, or from the source where moec itself runs from source. */
export function startWorker(): Worker {
  // onnxruntime on Linux reports its use to its makers, and leaves files in the temporary folder, unless the process says no; a worker's own environment does not reach it.
  process.env['ORT_DISABLE_TELEMETRY'] ??= '1';
  const options = { execArgv: [], stdout: false, stderr: false };
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./worker.js', import.meta.url), options);
  bundled ??= bundle();
  return new Worker(bundled, { ...options, eval: true });
}

let bundled: string | undefined;

/** The worker's source files as one script, by the compiler that tsx brings: Node 20 does not read TypeScript, and tsx would take half a second for every worker. */
function bundle(): string {
  const require = createRequire(import.meta.url);
  const { buildSync } = createRequire(require.resolve('tsx/package.json'))('esbuild') as {
    buildSync(options: object): { readonly outputFiles: readonly { readonly text: string }[] };
  };
  const { outputFiles } = buildSync({
    entryPoints: [fileURLToPath(new URL('./worker.ts', import.meta.url))],
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'cjs',
    // Packages are looked for from here, not from the folder of the call.
    banner: { js: `require = require('node:module').createRequire(${JSON.stringify(import.meta.url)});` },
    write: false,
  });
  return outputFiles[0]?.text ?? '';
}
