/** `moec emerge` without `--sweep` or `--dry-run`: converts, writes, times, and says what it came to. */

import { existsSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import { tokenWords } from '../diagnostics/figures.ts';
import type { Report } from '../inspect/report.ts';
import type { EmergentSettings } from '../passes/emergent/settings.ts';
import type { Emerged, EmergeOptions } from '../run/emerge.ts';
import type { Origin } from '../run/emergent-source.ts';
import type { Estimate } from '../targets/mixture/forecast.ts';
import type { Emerging } from './emerge-call.ts';
import { type Bargain, reportOf, sayBargain } from './emerge-output.ts';
import { sampling } from './emerge-samples.ts';
import { measureSpeed } from './emerge-speed.ts';
import { type ExitCode, exit, must, Refusal } from './exit.ts';
import { loweringOf, nameOfTarget } from './finding.ts';
import { packageFolder, version } from './package.ts';
import { printDiagnostics, printNext, quoted } from './print.ts';
import { progress, progressInTurn } from './progress.ts';
import { nameOf } from './read.ts';
import { refusePage, refuseToLose, refuseToReplace, stageFolder, writeWhole } from './staging.ts';
import type { Terminal } from './terminal.ts';

/** Converts a model, writes it as a compiled folder, and prints the bargain. */
export async function convertAndSay(terminal: Terminal, emerging: Emerging, settings: EmergentSettings): Promise<ExitCode> {
  const { target, found, call, diagnostics, sources } = emerging;
  const out = await placeFor(terminal, emerging);
  const given = await sampling(terminal, found, call);
  const { metric, scarce, seen } = given;
  const { emerged, expected } = await converted(terminal, emerging, { settings, ...given });
  const files = await written(terminal, emerging, emerged, out);
  const { report: speed, fault } = await measureSpeed(terminal, found, out, { ...call, ...(metric?.tokens ? { prompt: metric.tokens } : {}) });
  const late = [...diagnostics, ...(scarce ? [scarce] : []), ...(seen ? [seen] : []), ...(fault ? [fault] : [])];
  printDiagnostics(terminal, call.json ? [] : late, { sources });
  const report = await reportOf({ name: nameOfTarget(target), found, emerged, settings, ...(metric ? { metric } : {}), ...(speed ? { speed } : {}), expected });
  const shown = nameOf(terminal.cwd, out);
  await sayBargain(terminal, { report, json: call.json ?? false, out: shown, files, diagnostics: [...notFaster(expected, call.target), ...late], sources });
  if (call.report !== undefined) await writeReport(terminal, report, call.report);
  const { takesPrompts } = await import('../run/continues.ts');
  printNext(terminal, `moec run ${quoted(shown)} ${takesPrompts(found) ? '--prompt "Once upon a time"' : '--inputs inputs.json'}`, call);
  return exit.done;
}

/** The folder to write to, which is moec's to replace; the report's place is looked at too. */
export async function placeFor(terminal: Terminal, { target, call, read }: Emerging): Promise<string> {
  const { writtenBefore } = await import('../run/manifest.ts');
  const out = resolve(terminal.cwd, call.out ?? join('out', `${nameOfTarget(target)}-emergent`));
  refuseToReplace(out, nameOf(terminal.cwd, out), writtenBefore(out));
  refuseToLose(out, nameOf(terminal.cwd, out), read);
  const page = call.report === undefined ? undefined : resolve(terminal.cwd, call.report);
  // The folder of a page may be one that is made for the model.
  if (page !== undefined && (existsSync(dirname(page)) || !`${out}${sep}`.startsWith(`${dirname(page)}${sep}`))) refusePage(page, call.report ?? '');
  return out;
}

/** Warnings where the cost model expects nothing of a conversion. */
function notFaster(expected: readonly Estimate[], target: string): readonly Diagnostic[] {
  return expected
    .filter(({ dense, experts }) => experts > dense)
    .map(({ tokens, dense, experts }) => {
      const milliseconds = (value: number): string => String(Number(value.toPrecision(2)));
      return diagnose('experts-not-faster', { experts: milliseconds(experts), dense: milliseconds(dense), tokens: tokenWords(tokens), target });
    });
}

/** What is converted, and what was expected of it before. */
interface Converted {
  readonly emerged: Emerged;
  readonly expected: readonly Estimate[];
}

async function converted(terminal: Terminal, { found, call, sources }: Emerging, given: Pick<EmergeOptions, 'settings' | 'samples' | 'metric' | 'measured'>): Promise<Converted> {
  const { emerge } = await import('../run/emerge.ts');
  const { forecast } = await import('../targets/mixture/forecast.ts');
  const target = await loweringOf(call.target);
  let expected: readonly Estimate[] = [];
  const bar = progressInTurn(terminal, call);
  const options: EmergeOptions = {
    ...given,
    chosen: call.layers ?? { kind: 'all' },
    ...(call.threads === undefined ? {} : { threads: call.threads }),
    version: version(),
    signal: terminal.signal,
    begin(layers) {
      expected = forecast(found.model.graph, layers, given.settings, { target, steps: true, written: true });
      printDiagnostics(terminal, call.json ? [] : notFaster(expected, call.target));
    },
    progress: bar.at,
  };
  const outcome = await emerge(found, options).finally(bar.end);
  if (!outcome.ok) throw new Refusal(...outcome.diagnostics).from(sources);
  return { emerged: outcome.value, expected };
}

async function writeReport(terminal: Terminal, report: Report, file: string): Promise<void> {
  const { reportPage } = await import('../inspect/report-page.ts');
  writeWhole(resolve(terminal.cwd, file), reportPage(report), file);
}

/** Writes the compiled folder with the artefact in it, whole or not at all. */
async function written(terminal: Terminal, emerging: Emerging, emerged: Emerged, out: string): Promise<Bargain['files']> {
  const { planCompile, writeCompiled } = await import('../run/compile.ts');
  const { writeArtefact } = await import('../run/artefact.ts');
  const { emergentSource, nameOfEmergent } = await import('../run/emergent-source.ts');
  const { target, found, call } = emerging;
  const name = nameOfTarget(target);
  const artefact = `${name}.experts.safetensors`;
  const doc = `${found.model.name} with experts in ${emerged.replacements.length} feed-forward${emerged.replacements.length === 1 ? '' : 's'}, by moec emerge.${givenWith(emerging)}`;
  const paths = emerged.replacements.map(({ feedForward }) => feedForward.path);
  const source = emergentSource(nameOfEmergent(name, found.model.name), doc, originOf(terminal, emerging, out), { paths, artefact, untie: call.untie ?? false });
  const staging = stageFolder(out);
  const bar = progress(terminal, 'writing weights', call);
  try {
    const plan = must(
      await planCompile(emerged.found, {
        target: await loweringOf(call.target),
        whole: false,
        generate: call.generate ?? false,
        placing: 'written',
        version: version(),
        extras: [
          { name: `${name}.moe`, write: async (file) => void (await import('node:fs')).writeFileSync(file, source) },
          { name: artefact, write: async (file) => writeArtefact(file, emerged.stored, version()) },
        ],
      }),
    );
    const files = must(await writeCompiled(plan, staging.path, { signal: terminal.signal, progress: bar.at }));
    terminal.signal.throwIfAborted();
    staging.commit();
    return files;
  } finally {
    bar.end();
    staging.discard();
  }
}

/** What the call gave that no source can say: without it the model has other sizes or numbers than its experts were made for. */
function givenWith({ found: { checkpoint }, call: { set = {}, seed } }: Emerging): string {
  const options = [...Object.entries(set).map(([name, value]) => `--set ${quoted(`${name}=${value}`)}`), ...(!seed || checkpoint ? [] : [`--seed ${seed}`])];
  return options.length === 0 ? '' : ` Its experts are those of ${options.join(' ').replaceAll(/\s+/g, ' ')}.`;
}

/** What the written source is derived from, by paths relative to where it will stand. */
function originOf(terminal: Terminal, { target, found: { model, source }, call: { weights } }: Emerging, out: string): Origin {
  const from = (path: string): string => (relative(out, path).startsWith('.') ? relative(out, path) : `./${relative(out, path)}`);
  if (target.kind === 'onnx') return { kind: 'onnx', file: from(target.file) };
  const file = resolve(terminal.cwd, source);
  const zoo = join(packageFolder(), 'models');
  const checkpoint = target.kind === 'checkpoint' ? target.folder : weights === undefined ? undefined : resolve(terminal.cwd, weights);
  return {
    kind: 'model',
    name: model.name,
    from: dirname(file) === zoo ? `zoo/${basename(file, '.moe')}` : from(file).replace(/\.moe$/, ''),
    ...(checkpoint === undefined ? {} : { weights: from(checkpoint) }),
  };
}
