/** `moec emerge`: turns the feed-forwards of a dense model into experts, and prints what that costs. */

import { type Command, Option } from 'commander';
import { diagnose } from '../diagnostics/diagnostic.ts';
import type { EmergentSettings } from '../passes/emergent/settings.ts';
import type { Chosen } from '../run/convert.ts';
import { type Cli, upTo, whole } from './command.ts';
import { type EmergeCall, type Emerging, settingsOf } from './emerge-call.ts';
import { convertAndSay, placeFor } from './emerge-convert.ts';
import { sayCandidates } from './emerge-output.ts';
import { sampling, usualTokens } from './emerge-samples.ts';
import { speedLevels } from './emerge-speed.ts';
import { cellsOf, type Grid, gridOf, sayGrid, usualGrid } from './emerge-sweep.ts';
import { type ExitCode, exit, Refusal } from './exit.ts';
import { addFindingOptions, findOrRefuse, loweringOf, recognise, refuseIdle, seedOption, targetOption } from './finding.ts';
import { printNext } from './print.ts';
import { checkpointOf } from './target.ts';
import type { Terminal } from './terminal.ts';

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
        .conflicts(['top', 'budget', 'pick', 'experts', 'out', 'report', 'speed', 'generate']),
    )
    .option('--dry-run', 'say which feed-forwards would be converted')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', words);
}

const words = `
Picks:   top(K), budget(SHARE), threshold(SHARE, most: K)
Groups:  coactivation, balanced_kmeans(of: keys | activations), carved, contiguous, random
Scores:  decisive(features: N), fitted(features: N), representative, mean_key; oracle, random
Repairs: dropped_means, means, low_rank(N), none
With text the defaults are coactivation, decisive and dropped_means, which measured best with
a fixed number of picks; without, balanced_kmeans(of: keys), mean_key and none.
At the same share threshold(SHARE) loses less; how long a token takes depends on the text then.
budget(SHARE) gives each layer its own number: better on a small model, worse on SmolLM2.`;

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
  refuseIdle([target], call);
  const asked = call.sweep ?? (await settingsOf(call));
  const { found, reader, diagnostics, read } = await findOrRefuse(terminal, target, call);
  const { raisedModel } = await import('../run/find-onnx.ts');
  const emerging: Emerging = { path, target, found: raisedModel(found), call, diagnostics, sources: reader.sources, read };
  try {
    if (call.generate) await refuseGenerate(emerging);
    if (call.dryRun) return await sayPlan(terminal, emerging, asked);
    return 'shares' in asked ? await sayGrid(terminal, emerging, asked) : await convertAndSay(terminal, emerging, asked);
  } finally {
    emerging.found.checkpoint?.close();
  }
}

/** Refuses, before anything is converted, a graph that cannot be written after. */
async function refuseGenerate({ found, call }: Emerging): Promise<void> {
  const { generateFaults } = await import('../run/compile.ts');
  const faults = generateFaults(found, await loweringOf(call.target));
  if (faults.length > 0) throw new Refusal(...faults);
}

/** Refuses what the call without --dry-run refuses before it converts anything. */
async function sayPlan(terminal: Terminal, emerging: Emerging, asked: EmergentSettings | Grid): Promise<ExitCode> {
  const { found, call, diagnostics, sources } = emerging;
  const { planEmerge } = await import('../run/emerge.ts');
  const { planSweep } = await import('../run/sweep.ts');
  const chosen = call.layers ?? { kind: 'all' };
  if (!('shares' in asked)) await placeFor(terminal, emerging);
  const { samples } = await sampling(terminal, found, call);
  const planned = 'shares' in asked ? planSweep(found, { chosen, samples, grid: await cellsOf(call, asked) }) : planEmerge(found, { chosen, samples, settings: asked });
  if (!planned.ok) throw new Refusal(...planned.diagnostics).from(sources);
  await sayCandidates(terminal, planned.value, { json: call.json ?? false, diagnostics, sources });
  printNext(terminal, 'the same without --dry-run', call);
  return exit.done;
}
