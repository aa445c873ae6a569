/** Runs the checker over the programs of `test/check`, as the tests of it need: text in, rendered reports out. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { libraryFile } from '../src/cli/package.ts';
import type { Diagnostic } from '../src/diagnostics/diagnostic.ts';
import { renderDiagnostics } from '../src/diagnostics/render.ts';
import { dtypes } from '../src/graph/type.ts';
import { buildModel, checkProgram, loadProgram, type Reader, type TensorHeader } from '../src/model/index.ts';

const folder = fileURLToPath(new URL('check/', import.meta.url));
const models = fileURLToPath(new URL('../models/', import.meta.url));
/** A small library of its own, so that reports which show places in it change only when it does. */
const library = fileURLToPath(new URL('library/', import.meta.url));

/** What stands beside a program in a JSON file of its name: how it is called, and the checkpoint it meets. */
interface Call {
  readonly set?: Readonly<Record<string, string>>;
  readonly model?: string;
  readonly config?: unknown;
  /** The headers of tensors, such as `f32[64, 32]`. */
  readonly tensors?: Readonly<Record<string, string>>;
}

/** The programs, by their paths in `test/check`: a folder with a `main.moe` is one program, any other file is one of its own. */
export function programs(): readonly string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.moe'))
    .map((name) => name.replaceAll('\\', '/'))
    .sort();
  return files.filter((name) => posix.basename(name) === 'main.moe' || !files.includes(posix.join(posix.dirname(name), 'main.moe')));
}

/** A file of `test/check` as it is stored, and its program without the comment that ends it. */
export function fileOf(name: string): { readonly path: string; readonly text: string; readonly program: string } {
  const path = join(folder, name);
  const text = readFileSync(path, 'utf8');
  return { path, text, program: text.replace(/\n(?:\/\/(?!\/).*\n)+$/, '') };
}

/** Reads `text` as `name`, its imports from `test/check`, from the models of moec and from a library: the real one for the architectures of `zoo`. */
function readerOf(name: string, text: string): Reader {
  const pathOf = (file: string): string => {
    if (file.startsWith('models/')) return join(models, file.slice('models/'.length));
    return join(file.startsWith('std/') ? (name.startsWith('zoo/') ? models : library) : folder, file);
  };
  return {
    read: (file) => (file === name ? text : existsSync(pathOf(file)) ? readFileSync(pathOf(file), 'utf8') : undefined),
    resolve: (from, spec) => {
      const base = spec.startsWith('std/') ? spec : (libraryFile(spec) ?? (spec.startsWith('.') ? posix.join(dirname(from), spec) : undefined));
      return base === undefined ? undefined : [base, `${base}.moe`].find((file) => file.endsWith('.moe') && existsSync(pathOf(file)));
    },
  };
}

/** What the checker says of a text under this name; where a checkpoint is given, what building says. */
export function check(name: string, text: string, call: Call = {}): { readonly diagnostics: readonly Diagnostic[]; readonly rendered: string } {
  const reader = readerOf(name, text);
  const program = loadProgram(name, reader);
  const { tensors, ...options } = call;
  const builds = call.config !== undefined || tensors !== undefined || call.model !== undefined;
  const { diagnostics } = builds ? buildModel(program, { ...options, ...(tensors ? { tensors: headersOf(tensors) } : {}) }) : checkProgram(program, options);
  return { diagnostics, rendered: renderDiagnostics(diagnostics, (file) => reader.read(file), { width: 120 }) };
}

/** What is said of a program of `test/check`; each is checked once. */
export function checkFile(name: string): ReturnType<typeof check> {
  const known = checked.get(name);
  if (known) return known;
  const { path, program } = fileOf(name);
  const beside = path.replace(/\.moe$/, '.json');
  const said = check(name, program, existsSync(beside) ? (JSON.parse(readFileSync(beside, 'utf8')) as Call) : {});
  checked.set(name, said);
  return said;
}

const checked = new Map<string, ReturnType<typeof check>>();

function headersOf(tensors: Readonly<Record<string, string>>): ReadonlyMap<string, TensorHeader> {
  return new Map(
    Object.entries(tensors).map(([name, type]) => {
      const found = /^(\w+)\[([\d, ]*)\]$/.exec(type);
      const dtype = dtypes.find((one) => one === found?.[1]);
      if (!found || !dtype) throw new Error(`${type} is no type`);
      return [
        name,
        {
          dtype,
          dims: (found[2] ?? '')
            .split(',')
            .filter((size) => size.trim() !== '')
            .map(Number),
        },
      ];
    }),
  );
}
