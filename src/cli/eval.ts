/** `moec eval`: how well a model predicts a text, or how often its answer to one is right. */

import { type Command, Option } from 'commander';
import { diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import { percent } from '../diagnostics/figures.ts';
import type { MeasureOptions } from '../run/evaluate.ts';
import type { Session } from '../run/session.ts';
import type { TokenRow } from '../run/task-rows.ts';
import { type Cli, whole } from './command.ts';
import { type ExitCode, exit, must, Refusal, WrongCall } from './exit.ts';
import { addFindingOptions, recognise, refuseIdle, saysNothing, seedOption } from './finding.ts';
import { addOpeningOptions, type Ready, type ReadyOptions, readyOrRefuse, withSession } from './opening.ts';
import { printDiagnostics, printNext, quoted } from './print.ts';
import { progress } from './progress.ts';
import { textOrRefuse } from './read.ts';
import type { Terminal } from './terminal.ts';

const tasks = ['perplexity', 'masked', 'classes'] as const;
type Task = (typeof tasks)[number];

interface EvalOptions extends ReadyOptions {
  readonly text: string;
  readonly task?: Task;
  readonly context?: number;
  readonly stride?: number;
  readonly tokens?: number;
  readonly maskToken?: number;
  readonly threads?: number;
}

const details = `
Perplexity is exp of the mean of -ln p (nats) over the scored tokens. The text is tokenised as
one, with the tokens that the tokenizer's settings put at its beginning and end. Every token
but the first is scored once: windows of --context tokens begin at 0, --stride, 2 · --stride
…, and each scores the tokens after its own that no window before it has scored. A larger
context or a smaller stride gives more to predict from, and a lower perplexity: compare only
what was cut alike.

Masked-language models and classifiers take rows instead: a JSON list of objects with \`ids\`
or \`text\`, one such object a line, or lines with tabs (\`sentence\`, \`label\`). Each
position of \`mask\` is masked by itself, all but the first and the last where a row names
none. A class is right where its logit is the largest.`;

/** Adds the command. */
export function evaluate(cli: Cli): void {
  const examples = [
    'moec eval ./SmolLM2-135M --text wikitext.txt --tokens 4096',
    'moec eval out/smollm2 --text wikitext.txt --context 1024 --stride 512',
    'moec eval ./rxn-albert --text reactions.json',
    'moec eval ./bert-sst2 --text dev.tsv --json',
  ];
  options(cli.command('eval', 'say how well a model predicts a text or labels', examples).argument('<target>', 'a .moe file, a checkpoint folder or a compiled folder'))
    .addHelpText('after', details)
    .action(cli.action((path: string, given: EvalOptions) => act(cli.terminal, path, given)));
}

function options(command: Command): Command {
  const own = addFindingOptions(command)
    .requiredOption('--text <FILE>', 'the text, or the rows; - reads standard input')
    .addOption(new Option('--task <TASK>', 'what is measured (default: what suits the model)').choices(tasks))
    .option('--context <N>', 'tokens of a window (default: 512, or what the model looks at where that is less)', whole(1))
    .option('--stride <N>', 'tokens from window to window (default: the context)', whole(1))
    .option('--tokens <N>', 'score the first N tokens, or the first N rows, alone (default: all)', whole(1))
    .option('--mask-token <ID>', 'the token that stands for one to be guessed (default: what the tokenizer names)', whole(0));
  return addOpeningOptions(own).addOption(seedOption()).option('--json', 'print the result as JSON');
}

async function act(terminal: Terminal, path: string, given: EvalOptions): Promise<ExitCode> {
  refuseIdle([recognise(terminal, path)], given);
  const text = given.text === '-' ? await terminal.input() : textOrRefuse(terminal, given.text);
  const ready = await readyOrRefuse(terminal, path, given, 'whole');
  try {
    return await withSession(terminal, ready.executable, given, async (session, said) => {
      const call: Call = { terminal, path, given, ready, session, text };
      const began = performance.now();
      const task = given.task ?? taskOf(call);
      refuseUnread(task, given);
      const found = await measure(call, task);
      const seconds = (performance.now() - began) / 1000;
      const diagnostics = [...ready.diagnostics, ...said];
      printDiagnostics(terminal, diagnostics, given.json ? { json: true, more: { task, ...found.data, seconds } } : {});
      if (!given.json) terminal.out(found.text);
      printNext(terminal, `moec bench ${quoted(path)}`, given);
      return exit.done;
    });
  } finally {
    ready.release();
  }
}

/** One evaluation: what was asked, and what it is asked of. */
interface Call {
  readonly terminal: Terminal;
  readonly path: string;
  readonly given: EvalOptions;
  readonly ready: Ready;
  readonly session: Session;
  readonly text: string;
}

/** What was found, for people and as data. */
interface Measured {
  readonly text: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What suits the model: classes where there is one answer for each text, masked where it reads from both sides; a compiled folder does not say so, but segments do. */
function taskOf({ session }: Call): Task {
  const { causal, form } = session.executable;
  const rank = (session.outputs.find(({ name }) => name === 'logits') ?? session.outputs[0])?.dims.length;
  if (rank === 2) return 'classes';
  const bothSides = causal === undefined ? form === 'whole' && session.inputs.some(({ name }) => name === 'token_type_ids') : !causal;
  return bothSides ? 'masked' : 'perplexity';
}

/** The options that one task alone reads. */
const taskOptions = { context: 'perplexity', stride: 'perplexity', maskToken: 'masked' } as const satisfies Partial<Record<keyof EvalOptions, Task>>;

/** Refuses options of other tasks, which would say nothing. */
function refuseUnread(task: Task, given: EvalOptions): void {
  for (const [name, of] of Object.entries(taskOptions)) if (of !== task && given[name as keyof typeof taskOptions] !== undefined) throw saysNothing(name, `the task ${task}`);
}

function measure(call: Call, task: Task): Promise<Measured> {
  if (task === 'perplexity') return predict(call);
  return task === 'masked' ? guess(call) : classify(call);
}

const usualContext = 512;

async function predict({ terminal, given, session, text }: Call): Promise<Measured> {
  const { likelihood, perplexityOf, windowsOf } = await import('../run/evaluate.ts');
  const { openTokenizer, tokensOfText } = await import('../run/tokenizer.ts');
  const most = session.executable.context;
  const context = given.context ?? Math.min(usualContext, most ?? usualContext);
  if (most !== undefined && context > most) throw new Refusal(diagnose('option-out-of-range', { option: '--context', range: `1 to ${most}`, found: context }));
  const stride = given.stride ?? context;
  if (stride > context) throw new WrongCall(`--stride ${stride} leaves out what lies between windows of ${context} tokens`);
  const tokens = tokensOfText(must(openTokenizer(session.executable.tokenizer)), text, given.tokens === undefined ? undefined : given.tokens + 1);
  if (tokens.length < 2) throw new Refusal(diagnose('text-too-short', { file: given.text, tokens: tokens.length, least: 2 }));
  const windows = windowsOf(tokens, { context, stride });
  const began = performance.now();
  const found = await watched(terminal, given, (watch) => likelihood(session, windows, watch));
  const rate = (found.tokens * 1000) / (performance.now() - began);
  const perplexity = perplexityOf(found);
  const mean = found.nats / found.tokens;
  return {
    text: `perplexity ${figure(perplexity)}, ${figure(mean)} nats a token\n${found.tokens} tokens of ${given.text} scored in ${windows.length === 1 ? 'one window' : `${windows.length} windows`} of ${context} tokens at most, stride ${stride}; ${Math.round(rate)} tokens a second\n`,
    data: { perplexity, nats: mean, tokens: found.tokens, context, stride, windows: windows.length },
  };
}

async function guess(call: Call): Promise<Measured> {
  const { maskedAccuracy } = await import('../run/accuracy.ts');
  const { maskTokenOf } = await import('../run/mask-token.ts');
  const { maskedTexts } = await import('../run/task-rows.ts');
  const { given, ready, session, terminal } = call;
  const mask = given.maskToken ?? (ready.folder === undefined ? undefined : maskTokenOf(ready.folder));
  if (mask === undefined) throw new Refusal(diagnose('mask-token-missing', { place: ready.folder ?? 'the model' }));
  const texts = must(maskedTexts(await rowsOf(call), given.text));
  const found = await watched(terminal, given, (watch) => maskedAccuracy(session, texts, mask, watch));
  return told(found, 'masked tokens');
}

async function classify(call: Call): Promise<Measured> {
  const { classAccuracy } = await import('../run/accuracy.ts');
  const { labelledTexts } = await import('../run/task-rows.ts');
  const { given, session, terminal } = call;
  const classes = (session.outputs.find(({ name }) => name === 'logits') ?? session.outputs[0])?.dims.at(-1);
  const texts = must(labelledTexts(await rowsOf(call), given.text, typeof classes === 'number' ? classes : undefined));
  const found = await watched(terminal, given, (watch) => classAccuracy(session, texts, watch));
  return told(found, 'texts');
}

function told(counts: readonly { readonly right: number; readonly total: number }[], what: string): Measured {
  const right = counts.reduce((sum, one) => sum + one.right, 0);
  const total = counts.reduce((sum, one) => sum + one.total, 0);
  const accuracy = right / total;
  return {
    text: `accuracy ${percent(accuracy, 2)}: ${right} of ${total} ${what}, ${counts.length} row${counts.length === 1 ? '' : 's'}\n`,
    data: { accuracy, right, total, rows: counts },
  };
}

/** The rows of the file with their tokens. */
async function rowsOf({ given, session, text }: Call): Promise<readonly TokenRow[]> {
  const { tokenRows } = await import('../run/task-rows.ts');
  return must(tokenRows(text, given.text, session.executable, given.tokens));
}

/** Runs a measurement under a progress bar. */
async function watched<T>(terminal: Terminal, given: EvalOptions, run: (watch: MeasureOptions) => Promise<Outcome<T>>): Promise<T> {
  const bar = progress(terminal, 'evaluating', given);
  const found = await run({ signal: terminal.signal, progress: bar.at }).finally(bar.end);
  return must(found);
}

const figure = (value: number): string => String(Number(value.toPrecision(6)));
