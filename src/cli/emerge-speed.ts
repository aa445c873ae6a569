/** How fast a converted model is beside the dense one: both compiled, each in a process of its own, in turn, as `moec bench` has it. */

import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import type { SpeedReport } from '../inspect/report.ts';
import type { Executable } from '../run/executable.ts';
import type { Found } from '../run/find-model.ts';
import type { Target } from '../targets/target.ts';
import { contenderOf, runRounds } from './bench-process.ts';
import { must, Refusal } from './exit.ts';
import { loweringOf } from './finding.ts';
import { version } from './package.ts';
import type { OutputOptions } from './print.ts';
import { waiting } from './progress.ts';
import type { Terminal } from './terminal.ts';

/** How thoroughly speed is measured. */
export const speedLevels = ['full', 'quick', 'none'] as const;
/** One of these. */
export type SpeedLevel = (typeof speedLevels)[number];

/** Rounds, and tokens that are written in each. */
const efforts = { full: { rounds: 7, steps: 64 }, quick: { rounds: 3, steps: 32 } } as const;

/** Tokens that are read before writing, where the model looks at so many. */
const usualContext = 256;

/** What is timed, and how. */
export interface SpeedOptions extends OutputOptions {
  readonly target: string;
  readonly threads?: number;
  readonly speed: SpeedLevel;
  /** What is read, where there is a text. */
  readonly prompt?: readonly number[];
}

/** What was timed, or why nothing was; neither where nothing was asked for. */
export interface Timed {
  readonly report?: SpeedReport;
  readonly fault?: Diagnostic;
}

/** Times the dense model, compiled like the converted one in `folder`. A model that cannot be timed was converted all the same. */
export async function measureSpeed(terminal: Terminal, dense: Found, folder: string, options: SpeedOptions): Promise<Timed> {
  const { speed: level } = options;
  if (level === 'none') return {};
  const target = await loweringOf(options.target);
  if (target.device) return { fault: diagnose('speed-not-measured', { reason: `the target ${target.name} is another device` }) };
  try {
    return { report: await sideBySide(terminal, dense, folder, { ...options, target, level }) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { fault: diagnose('speed-not-measured', { reason: error.message }) };
  }
}

/** What is timed how. */
interface Timing extends OutputOptions {
  readonly target: Target;
  readonly threads?: number;
  readonly level: Exclude<SpeedLevel, 'none'>;
  readonly prompt?: readonly number[];
}

async function sideBySide(terminal: Terminal, dense: Found, folder: string, options: Timing): Promise<SpeedReport> {
  const { planCompile, writeCompiled } = await import('../run/compile.ts');
  const { readFolder } = await import('../run/folder.ts');
  const { temporaryFolder } = await import('../run/temporary.ts');
  const place = temporaryFolder();
  const wait = waiting(terminal, 'compiling the dense model to be timed', options);
  try {
    const plan = must(await planCompile(dense, { target: options.target, whole: false, generate: false, placing: 'written', version: version() }));
    await writeCompiled(plan, place.path, { signal: terminal.signal }).then(must);
    wait.end();
    const executables = [place.path, folder].map((path) => must(readFolder(path)).executable);
    return await timed(terminal, executables, place.path, options);
  } finally {
    wait.end();
    place.remove();
  }
}

async function timed(terminal: Terminal, executables: readonly Executable[], folder: string, { level, threads = 2, json, prompt }: Timing): Promise<SpeedReport> {
  const { rounds, steps } = efforts[level];
  const most = Math.min(...executables.map(({ context }) => context ?? Number.POSITIVE_INFINITY)) - steps - 1;
  const context = Math.max(1, Math.min(usualContext, most));
  const contests = executables.map((executable, i) => {
    const name = i === 0 ? 'dense' : 'converted';
    const job = { kind: 'model', model: contenderOf(executable, folder, name), provider: 'cpu', threads, contexts: [context], steps, ...(prompt ? { prompt } : {}) } as const;
    return { name, job, rounds: [] };
  });
  await runRounds(terminal, contests, { folder, rounds, ...(json === undefined ? {} : { json }) });
  const [first, second] = contests;
  return { context, steps, threads, onText: prompt !== undefined && prompt.length >= context, dense: first?.rounds ?? [], converted: second?.rounds ?? [] };
}
