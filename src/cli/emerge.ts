/** `moec emerge`: turns the feed-forwards of a dense model into experts, and prints what that costs. */

import { basename, dirname, join, relative, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import type { EmergentSettings } from '../passes/emergent/settings.ts';
import type { Metric } from '../run/bargain.ts';
import type { Chosen } from '../run/convert.ts';
import type { Emerged, EmergeOptions } from '../run/emerge.ts';
import type { Found } from '../run/find-model.ts';
import { type Cli, upTo, whole } from './command.ts';
import { sayBargain, sayCandidates } from './emerge-output.ts';
import { type Grid, gridOf, sayGrid, usualGrid } from './emerge-sweep.ts';
import { type ExitCode, exit, Refusal } from './exit.ts';
import { addFindingOptions, type FindingOptions, findOrRefuse, loweringOf, nameOfTarget, recognise, seedOption, targetOption } from './finding.ts';
import { packageFolder, version } from './package.ts';
import { type OutputOptions, printDiagnostics, printNext, quoted, type Sources } from './print.ts';
import { progress } from './progress.ts';
import { nameOf } from './read.ts';
import { refuseToReplace, stageFolder } from './staging.ts';
import { checkpointOf, type Target } from './target.ts';
import type { Terminal } from './terminal.ts';

/** What the call says. */
export interface EmergeCall extends FindingOptions, OutputOptions {
  readonly experts: number;
  readonly top?: number;
  readonly budget?: number;
  readonly pick?: string;
  readonly shared: number;
  readonly layers?: Chosen;
  readonly group?: string;
  readonly score?: string;
  readonly repair?: string;
  readonly calibrate?: string;
  readonly tokens: number;
  readonly evaluate: number | 'full' | 'none';
  readonly pad?: boolean;
  readonly untie?: boolean;
  readonly inOrder: boolean;
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
    "moec emerge ./SmolLM2-135M --group 'balanced_kmeans(of: activations)' --repair 'low_rank(16)' --calibrate wiki.txt",
  ];
  options(addFindingOptions(cli.command('emerge', 'turn the feed-forwards of a dense model into experts, and say what that costs', examples))).action(
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
    .option('--group <HOW>', 'how neurons are grouped (`moec emerge --help` lists the words)')
    .option('--score <HOW>', 'how experts are scored')
    .option('--repair <HOW>', 'what stands in for experts that are not picked')
    .option('--calibrate <FILE>', 'text to calibrate on, or a .json file of inputs')
    .option('--tokens <N>', 'tokens to calibrate on, at most half of the text', whole(64), 16_384)
    .option('--evaluate <N>', 'measure on so many tokens of the rest of the text: a number, full or none', evaluateOf, 4096)
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
Scores:  decisive(features: N), fitted(features: N), representative, mean_key; oracle and random are controls
Repairs: dropped_means, means, low_rank(N), none
With text the defaults are balanced_kmeans(of: activations), decisive and dropped_means, which measured best;
without, balanced_kmeans(of: keys), mean_key and none.`;

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
    if (call.dryRun) return sayPlan(terminal, found, call, diagnostics, reader.sources);
    if (call.sweep)
      return sayGrid(terminal, call.sweep, {
        found,
        call,
        settingsOf,
        path,
        diagnostics,
        sources: reader.sources,
        samples: undefined,
        ...(await calibration(terminal, found, call)),
      });
    const out = resolve(terminal.cwd, call.out ?? join('out', `${nameOfTarget(target)}-emergent`));
    const { writtenBefore } = await import('../run/manifest.ts');
    refuseToReplace(out, nameOf(terminal.cwd, out), writtenBefore(out));
    const emerged = await converted(terminal, found, call, settings, reader.sources);
    const files = await written(terminal, { target, found, emerged, out, call });
    printDiagnostics(terminal, call.json ? [] : diagnostics, { sources: reader.sources });
    await sayBargain(terminal, { emerged, settings, call, out: nameOf(terminal.cwd, out), files, diagnostics });
    const { decodes } = await import('../targets/pipeline.ts');
    const writes = !found.imported && decodes(found.model.graph);
    printNext(terminal, `moec run ${quoted(nameOf(terminal.cwd, out))} ${writes ? '--prompt "Once upon a time"' : '--inputs inputs.json'}`, call);
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
  const read = emergentSettingsOf(texts, (name) => (name === 'pick' ? '--top' : `--${name}`));
  if (!read.ok) throw new Refusal(...read.diagnostics).from((file) => texts[(file === '--top' ? 'pick' : file.replace(/^--/, '')) as keyof typeof texts]);
  return read.value;
}

async function sayPlan(terminal: Terminal, found: Found, call: EmergeCall, diagnostics: readonly Diagnostic[], sources: Sources): Promise<ExitCode> {
  const { layersOf } = await import('../run/emerge.ts');
  const layers = layersOf(found, call.layers ?? { kind: 'all' });
  if (!layers.ok) throw new Refusal(...layers.diagnostics).from(sources);
  printDiagnostics(terminal, call.json ? [] : diagnostics, { sources });
  await sayCandidates(terminal, layers.value.all, layers.value.layers, call);
  printNext(terminal, 'the same without --dry-run', call);
  return exit.done;
}

async function converted(terminal: Terminal, found: Found, call: EmergeCall, settings: EmergentSettings, sources: Sources): Promise<Emerged> {
  const { emerge } = await import('../run/emerge.ts');
  const text = await calibration(terminal, found, call);
  const bars = { converting: progress(terminal, 'converting', call), measuring: progress(terminal, 'measuring', call) };
  const given: EmergeOptions = {
    settings,
    chosen: call.layers ?? { kind: 'all' },
    samples: text?.samples,
    ...(text?.metric ? { metric: text.metric } : {}),
    ...(call.threads === undefined ? {} : { threads: call.threads }),
    version: version(),
    signal: terminal.signal,
    progress: (part, done, total) => bars[part].at(done, total),
  };
  const outcome = await emerge(found, given).finally(() => Object.values(bars).forEach((bar) => bar.end()));
  if (!outcome.ok) throw new Refusal(...outcome.diagnostics).from(sources);
  return outcome.value;
}

interface Calibration {
  readonly samples: EmergeOptions['samples'];
  readonly metric?: Metric;
}

/** The samples, and the metric on what is left of the text. */
async function calibration(terminal: Terminal, found: Found, { calibrate, tokens, evaluate }: EmergeCall): Promise<Calibration | undefined> {
  if (calibrate === undefined) return undefined;
  const { readSamples, readText, samplesOfTokens, tokensOf, windowOf } = await import('../run/samples.ts');
  const { perplexityOn } = await import('../run/bargain.ts');
  const { decodes } = await import('../targets/pipeline.ts');
  const file = { name: calibrate, file: resolve(terminal.cwd, calibrate) };
  if (calibrate.endsWith('.json')) return { samples: must(readSamples(found, file, tokens)) };
  const most = evaluate === 'full' ? undefined : Math.max(2 * tokens, tokens + (evaluate === 'none' ? 0 : evaluate) + 1);
  const ids = must(tokensOf(found, must(readText(file)), most));
  const cut = Math.min(tokens, Math.floor(ids.length / 2));
  const window = windowOf(found);
  const samples = must(samplesOfTokens(found.model.graph, ids.slice(0, cut), calibrate, window));
  const held = evaluate === 'none' ? [] : ids.slice(cut, evaluate === 'full' ? undefined : cut + evaluate + 1);
  if (held.length < 2 || !decodes(found.model.graph)) return { samples };
  return { samples, metric: perplexityOn(held, window, `${held.length - 1} tokens of ${calibrate}, after the ${cut} that were calibrated on`) };
}

function must<T>(outcome: import('../diagnostics/diagnostic.ts').Outcome<T>): T {
  if (!outcome.ok) throw new Refusal(...outcome.diagnostics);
  return outcome.value;
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
