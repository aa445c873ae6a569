/** `moec run`: continues prompts, or computes the results of inputs from a file. */

import { resolve } from 'node:path';
import { Option } from 'commander';
import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import type { JsonObject } from '../run/json.ts';
import type { Session } from '../run/session.ts';
import { between, type Cli, mostTokens, several, upTo, whole } from './command.ts';
import { type ExitCode, exit, must, Refusal } from './exit.ts';
import { addFindingOptions, dumpOption, recognise, refuseIdle } from './finding.ts';
import { addOpeningOptions, attended, type ReadyOptions, readyOrRefuse, withSession } from './opening.ts';
import { printDiagnostics } from './print.ts';
import { readTexts, type TextOptions, writeTexts } from './run-text.ts';
import type { Terminal } from './terminal.ts';

interface RunOptions extends Omit<ReadyOptions, 'seed'>, TextOptions {
  readonly inputs?: string;
  readonly full?: boolean;
  readonly threads?: number;
  readonly cache: boolean;
}

/** What says how a text is continued. */
const ofTexts = ['prompt', 'chat', 'system', 'maxTokens', 'stop', 'temperature', 'topK', 'topP', 'minP', 'repeatPenalty'];

/** Adds the command. */
export function run(cli: Cli): void {
  const examples = [
    'moec run models/tiny.moe --prompt "Once upon a time"',
    'moec run ./SmolLM2-135M --prompt "The sea" --temperature 0.8 --top-p 0.95',
    'moec run ./SmolLM2-135M-Instruct --chat --prompt "What is a dative?"',
    'moec run ./bert-base --inputs inputs.json',
  ];
  const own = addFindingOptions(
    cli.command('run', 'continue a text, or compute the results of inputs', examples).argument('<target>', 'a .moe file, a file of ONNX, a checkpoint or a compiled folder'),
  )
    .option('-p, --prompt <TEXT>', 'what to continue; - reads standard input; several are continued at once', several)
    .option('--chat', "put the prompt in the model's chat template, as a user's turn")
    .option('--system <TEXT>', 'what the system says before, with --chat')
    .option('--max-tokens <N>', 'the most tokens to write (default: 256)', whole(1, mostTokens))
    .option('--stop <TEXT>', 'end the text here; may be repeated', several)
    .option('--temperature <T>', 'divide logits by this; 0 always takes the most probable', between(0, Infinity))
    .option('--top-k <K>', 'draw from the K most probable tokens; 0 from all', whole(0))
    .option('--top-p <P>', 'draw from the most probable that reach P together', upTo(1))
    .option('--min-p <P>', 'draw from those at least P times as probable as the first', between(0, 1))
    .option('--repeat-penalty <R>', 'make tokens that have been there less probable; 1 does nothing', upTo(Infinity))
    .option('--seed <N>', 'draw the same text again (default: 0)', whole(0))
    .addOption(new Option('--inputs <FILE>', 'compute the results of named lists in a JSON file instead').conflicts(ofTexts))
    .option('--full', 'print every number of large results')
    .option('--stats', 'say at the end how the mixtures routed')
    .option('--no-cache', 'run the model as it is, without a cache of keys and values')
    .addOption(dumpOption());
  addOpeningOptions(own)
    .option('--json', 'print the result as JSON')
    .action(cli.action((path: string, options: RunOptions) => act(cli.terminal, path, options)));
}

async function act(terminal: Terminal, path: string, options: RunOptions): Promise<ExitCode> {
  refuseIdle([recognise(terminal, path)], options);
  const form = !options.cache || options.inputs !== undefined ? 'whole' : undefined;
  const { continues } = await import('../run/continues.ts');
  const ready = await readyOrRefuse(terminal, path, options, form, (found) =>
    options.inputs === undefined && !continues(found)
      ? diagnose('cannot-generate', { reason: 'it has no causal attention' }, { fixes: [{ text: 'give its inputs in a file: --inputs FILE.json' }] })
      : undefined,
  );
  const { executable, diagnostics, next, release } = ready;
  try {
    // The executable has the number of picks already.
    const { active: _, ...settings } = options;
    // What is wrong with a prompt, the tokenizer or a file of inputs is said before the model is loaded.
    const texts = options.inputs === undefined ? await readTexts(terminal, executable, settings) : undefined;
    const inputs = options.inputs === undefined ? {} : await readInputFile(terminal, options.inputs);
    return await withSession(terminal, executable, options, async (session, warnings) => {
      if (options.stats) await needStatistics(session);
      const said = [...diagnostics, ...warnings];
      if (texts) {
        printDiagnostics(terminal, options.json ? [] : warnings);
        return await writeTexts(terminal, session, texts, settings, options.json ? said : diagnostics, next);
      }
      return await compute(terminal, session, inputs, options, said);
    });
  } finally {
    release();
  }
}

/** Refuses a call for statistics of a model that gives none. */
async function needStatistics(session: Session): Promise<void> {
  const { statsCollector } = await import('../run/routing-stats.ts');
  if (statsCollector(session.outputs).names.length === 0) throw new Refusal(diagnose('no-statistics', {}));
}

async function readInputFile(terminal: Terminal, file: string): Promise<JsonObject> {
  const { readJson } = await import('../run/json.ts');
  return must(readJson(resolve(terminal.cwd, file)));
}

async function compute(terminal: Terminal, session: Session, given: JsonObject, options: RunOptions, before: readonly Diagnostic[]): Promise<ExitCode> {
  const { activeName } = await import('../passes/set-picks.ts');
  const { active } = session.executable;
  const { jsonOfLists, printResults, readInputs } = await import('../run/inputs.ts');
  const feeds = readInputs(active ? { [activeName]: active.usual, ...given } : given, session.inputs);
  if (!feeds.ok) throw new Refusal(...feeds.diagnostics);
  const results = await attended(terminal, 'computing', options, session.run(feeds.value));
  if (!results.ok) throw new Refusal(...results.diagnostics);
  printDiagnostics(terminal, options.json ? [] : [...before, ...feeds.diagnostics]);
  terminal.out(`${jsonOfLists(printResults(results.value, options.full ?? false))}\n`);
  if (options.stats && !options.json) {
    const { statsCollector } = await import('../run/routing-stats.ts');
    const { routingTable } = await import('./routing.ts');
    const stats = statsCollector(session.outputs);
    stats.add(results.value);
    terminal.err(await routingTable(stats.all()));
  }
  return exit.done;
}
