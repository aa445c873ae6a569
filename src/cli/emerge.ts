/** `moec emerge`: turns the feed-forwards of a dense model into experts, and prints what that costs. */

import { basename, dirname, join, relative, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import { tokenWords } from '../diagnostics/figures.ts';
import type { Report } from '../inspect/report.ts';
import type { EmergentSettings } from '../passes/emergent/settings.ts';
import type { Chosen } from '../run/convert.ts';
import type { Emerged, EmergeOptions } from '../run/emerge.ts';
import type { Found } from '../run/find-model.ts';
import type { Estimate } from '../targets/mixture/forecast.ts';
import { type Cli, upTo, whole } from './command.ts';
import { reportOf, sayBargain, sayCandidates } from './emerge-output.ts';
import { type SamplingOptions, sampling, usualTokens } from './emerge-samples.ts';
import { measureSpeed, type SpeedLevel, speedLevels } from './emerge-speed.ts';
import { type Grid, gridOf, sayGrid, usualGrid } from './emerge-sweep.ts';
import { type ExitCode, exit, must, Refusal } from './exit.ts';
import { addFindingOptions, type FindingOptions, findOrRefuse, loweringOf, nameOfTarget, recognise, seedOption, targetOption } from './finding.ts';
import { packageFolder, version } from './package.ts';
import { type OutputOptions, printDiagnostics, printNext, quoted, type Sources } from './print.ts';
import { progress } from './progress.ts';
import { nameOf } from './read.ts';
import { refuseToReplace, stageFolder, writeWhole } from './staging.ts';
import { checkpointOf, type Target } from './target.ts';
import type { Terminal } from './terminal.ts';

/** What the call says. */
export interface EmergeCall extends FindingOptions, OutputOptions, SamplingOptions {
  readonly experts: number;
  readonly top?: number;
  readonly budget?: number;
  readonly pick?: string;
  readonly shared: number;
  readonly layers?: Chosen;
  readonly group?: string;
  readonly score?: string;
  readonly repair?: string;
  readonly pad?: boolean;
  readonly untie?: boolean;
  readonly inOrder: boolean;
  readonly speed: SpeedLevel;
  readonly report?: string;
  readonly generate?: boolean;
  readonly target: string;
  readonly threads?: number;
  readonly out?: string;
  readonly sweep?: Grid;
  readonly dryRun?: boolean;
}

/** Adds the command. */
export function emergeCommand(cli: Cli): void {
  const examples = [
    'moec emerge ./SmolLM2-135M --calibrate wiki.txt',
    'moec emerge ./SmolLM2-135M --experts 32 --top 16 --layers 10..20 --calibrate wiki.txt',
    'moec emerge distilbert.onnx --experts 16 --top 8 --dry-run',
    "moec emerge ./SmolLM2-135M --score 'fitted(features: 512)' --repair means --calibrate wiki.txt",
    'moec emerge ./rxn-albert --calibrate inputs.json --held-out rows.json --report albert.html',
  ];
  options(addFindingOptions(cli.command('emerge', 'turn feed-forwards into experts, and say what that costs', examples))).action(
    cli.action((path: string, call: EmergeCall) => act(cli.terminal, path, call)),
  );
}

function options(command: Command): Command {
  return command
    .argument('<target>', 'a .moe file, a checkpoint folder or a file of ONNX')
    .option('--experts <N>', 'experts of each feed-forward', whole(2), 16)
    .option('--top <K>', 'experts that a token picks (default: half of them)', whole(1))
    .addOption(new Option('--budget <SHARE>', 'share of the neurons that run in the mean over the layers: each layer picks its own number').argParser(upTo(1)).conflicts('top'))
    .addOption(new Option('--pick <HOW>', 'how many experts a token picks, in the words of the language').conflicts(['top', 'budget']))
    .option('--shared <N>', 'of the experts, how many always run; --top counts the others', whole(0), 0)
    .option('--layers <RANGE>', 'which feed-forwards: 10..20 by number, or a path (default: all)', chosenOf)
    .option('--group <HOW>', 'how neurons are grouped (the words are below)')
    .option('--score <HOW>', 'how experts are scored')
    .option('--repair <HOW>', 'what stands in for experts that are not picked')
    .option('--calibrate <FILE>', 'text to calibrate on, or a .json file of inputs')
    .option('--tokens <N>', 'tokens to calibrate on, at most half of the text', whole(64), usualTokens)
    .option('--held-out <FILE>', 'measure on this text, or on rows as `moec eval` reads them (default: the rest of the calibration text)')
    .option('--mask-token <ID>', 'the token that stands for one to be guessed (default: what the tokenizer names)', whole(0))
    .option('--evaluate <N>', 'measure on so many tokens, or rows: a number, full or none', evaluateOf, 4096)
    .addOption(new Option('--speed <LEVEL>', 'how long to time the dense and the converted model').choices(speedLevels).default('quick'))
    .option('--no-cache', 'measure anew what an earlier call has measured')
    .option('--report <FILE>', 'write the bargain as one page of HTML, with every layer drawn')
    .option('--pad', 'fill experts up with neurons of zeros where the neurons do not divide')
    .option('--untie', 'let a block that stands in several places become experts in some of them only')
    .option('--no-in-order', 'calibrate all layers on the dense model, not on the converted layers before each')
    .option('--generate', 'write generate.onnx too')
    .addOption(targetOption())
    .addOption(seedOption('for what is drawn at random'))
    .option('--threads <N>', 'threads to compute with', whole(1))
    .option('-o, --out <FOLDER>', 'where to write (default: out/NAME-emergent)')
    .addOption(
      new Option('--sweep [GRID]', `try several numbers of experts and shares of them, and write nothing (default: ${usualGrid})`)
        .preset(usualGrid)
        .argParser(gridOf)
        .conflicts(['top', 'budget', 'pick', 'experts']),
    )
    .option('--dry-run', 'say which feed-forwards would be converted')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', words);
}

const words = `
Picks:   top(K), budget(SHARE), threshold(SHARE, most: K)
Groups:  balanced_kmeans(of: keys | activations), coactivation, carved, contiguous, random
Scores:  decisive(features: N), fitted(features: N), representative, mean_key; oracle, random
Repairs: dropped_means, means, low_rank(N), none
With text the defaults are balanced_kmeans(of: activations), decisive and dropped_means, which
measured best; without, balanced_kmeans(of: keys), mean_key and none.`;

function chosenOf(written: string): Chosen {
  const [, from, to] = /^(\d+)\.\.(\d+)$/.exec(written) ?? [];
  if (from !== undefined && to !== undefined) return { kind: 'range', from: Number(from), to: Number(to) };
  if (/^\d+$/.test(written)) return { kind: 'range', from: Number(written), to: Number(written) + 1 };
  return { kind: 'paths', paths: written.split(',').map((one) => one.trim()) };
}

function evaluateOf(written: string): number | 'full' | 'none' {
  return written === 'full' || written === 'none' ? written : whole(2)(written);
}

async function act(terminal: Terminal, path: string, call: EmergeCall): Promise<ExitCode> {
  const target = checkpointOf(recognise(terminal, path));
  if (target.kind === 'compiled') throw new Refusal(diagnose('target-unknown', { path, reason: 'it is compiled already; convert what it was compiled from' }));
  const settings = await settingsOf(call);
  const { found: opened, reader, diagnostics } = await findOrRefuse(terminal, target, call);
  const { raisedModel } = await import('../run/find-onnx.ts');
  const found = raisedModel(opened);
  try {
    if (call.dryRun) return await sayPlan(terminal, found, call, diagnostics, reader.sources);
    if (call.sweep)
      return await sayGrid(terminal, call.sweep, {
        found,
        call,
        settingsOf,
        path,
        diagnostics,
        sources: reader.sources,
        ...(await sampling(terminal, found, call)),
      });
    const out = resolve(terminal.cwd, call.out ?? join('out', `${nameOfTarget(target)}-emergent`));
    const { writtenBefore } = await import('../run/manifest.ts');
    refuseToReplace(out, nameOf(terminal.cwd, out), writtenBefore(out));
    const given = await sampling(terminal, found, call);
    const { metric } = given;
    const { emerged, expected } = await converted(terminal, found, { call, settings, ...given }, reader.sources);
    const slower = notFaster(expected, call.target);
    const files = await written(terminal, { target, found, emerged, out, call });
    const timed = await measureSpeed(terminal, found, out, call);
    const late = [...diagnostics, ...(timed.fault ? [timed.fault] : [])];
    printDiagnostics(terminal, call.json ? [] : late, { sources: reader.sources });
    const speed = timed.report;
    const report = await reportOf({ name: nameOfTarget(target), found, emerged, settings, ...(metric ? { metric } : {}), ...(speed ? { speed } : {}), expected });
    await sayBargain(terminal, { report, json: call.json ?? false, out: nameOf(terminal.cwd, out), files, diagnostics: [...slower, ...late], sources: reader.sources });
    if (call.report !== undefined) await writeReport(terminal, report, call.report);
    const shown = quoted(nameOf(terminal.cwd, out));
    const { decodes } = await import('../targets/pipeline.ts');
    const writes = !found.imported && decodes(found.model.graph);
    printNext(terminal, `moec run ${shown} ${writes ? '--prompt "Once upon a time"' : '--inputs inputs.json'}`, call);
    return exit.done;
  } finally {
    found.checkpoint?.close();
  }
}

/** The settings as a directive of the language would have them. */
async function settingsOf({ experts, shared, top, budget, pick, group, score, repair, calibrate, tokens, seed = 0, pad, untie, inOrder }: EmergeCall): Promise<EmergentSettings> {
  const { emergentSettingsOf } = await import('../model/index.ts');
  const texts = {
    experts: String(experts),
    shared: String(shared),
    pick: pick ?? (budget === undefined ? `top(${top ?? Math.max(1, Math.floor((experts - shared) / 2))})` : `budget(${budget})`),
    seed: String(seed),
    tokens: String(tokens),
    pad: String(pad ?? false),
    untie: String(untie ?? false),
    ...(group === undefined ? {} : { group }),
    ...(score === undefined ? {} : { score }),
    ...(repair === undefined ? {} : { repair }),
    ...(inOrder ? {} : { in_order: 'false' }),
    ...(calibrate === undefined ? {} : { text: JSON.stringify(calibrate) }),
  };
  const picking = pick === undefined ? (budget === undefined ? '--top' : '--budget') : '--pick';
  const read = emergentSettingsOf(texts, (name) => (name === 'pick' ? picking : `--${name}`));
  if (!read.ok) throw new Refusal(...read.diagnostics).from((file) => texts[(file === picking ? 'pick' : file.replace(/^--/, '')) as keyof typeof texts]);
  return read.value;
}

async function sayPlan(terminal: Terminal, found: Found, call: EmergeCall, diagnostics: readonly Diagnostic[], sources: Sources): Promise<ExitCode> {
  const { layersOf } = await import('../run/emerge.ts');
  const layers = layersOf(found, call.layers ?? { kind: 'all' });
  if (!layers.ok) throw new Refusal(...layers.diagnostics).from(sources);
  await sayCandidates(terminal, layers.value, { json: call.json ?? false, diagnostics, sources });
  printNext(terminal, 'the same without --dry-run', call);
  return exit.done;
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

/** What is converted how, and measured on what. */
interface Converting extends Pick<EmergeOptions, 'settings' | 'samples' | 'metric' | 'measured'> {
  readonly call: EmergeCall;
}

async function converted(
  terminal: Terminal,
  found: Found,
  { call, ...given }: Converting,
  sources: Sources,
): Promise<{ readonly emerged: Emerged; readonly expected: readonly Estimate[] }> {
  const { emerge } = await import('../run/emerge.ts');
  const { forecast } = await import('../targets/mixture/forecast.ts');
  const target = await loweringOf(call.target);
  let expected: readonly Estimate[] = [];
  const bars = { converting: progress(terminal, 'converting', call), measuring: progress(terminal, 'measuring', call) };
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
    progress: (part, done, total) => bars[part].at(done, total),
  };
  const outcome = await emerge(found, options).finally(() => Object.values(bars).forEach((bar) => bar.end()));
  if (!outcome.ok) throw new Refusal(...outcome.diagnostics).from(sources);
  return { emerged: outcome.value, expected };
}

async function writeReport(terminal: Terminal, report: Report, file: string): Promise<void> {
  const { reportPage } = await import('../inspect/report-page.ts');
  writeWhole(resolve(terminal.cwd, file), reportPage(report), file);
}

/** What is written, and where. */
interface Writing {
  readonly target: Exclude<Target, { kind: 'compiled' }>;
  readonly found: Found;
  readonly emerged: Emerged;
  readonly out: string;
  readonly call: EmergeCall;
}

/** Writes the compiled folder with the artefact in it, whole or not at all. */
async function written(terminal: Terminal, { target, found, emerged, out, call }: Writing): Promise<readonly { readonly name: string; readonly bytes: number }[]> {
  const { planCompile, writeCompiled } = await import('../run/compile.ts');
  const { writeArtefact } = await import('../run/artefact.ts');
  const { emergentSource, nameOfEmergent } = await import('../run/emergent-source.ts');
  const name = nameOfTarget(target);
  const artefact = `${name}.experts.safetensors`;
  const doc = `${found.model.name} with experts in ${emerged.replacements.length} feed-forward${emerged.replacements.length === 1 ? '' : 's'}, by moec emerge.`;
  const paths = emerged.replacements.map(({ feedForward }) => feedForward.path);
  const source = emergentSource(nameOfEmergent(name), doc, originOf(terminal, target, found, out, call), paths, artefact);
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

/** What the written source is derived from, by paths relative to where it will stand. */
function originOf(terminal: Terminal, target: Writing['target'], { model, source }: Found, out: string, { weights }: EmergeCall): import('../run/emergent-source.ts').Origin {
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
