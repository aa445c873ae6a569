/** How `moec run` writes texts: one as it comes, several one below the other, or all as JSON. */

import type { Diagnostic } from '../diagnostics/diagnostic.ts';
import { rate, tokenWords } from '../diagnostics/figures.ts';
import { diagnosticsJson } from '../diagnostics/json.ts';
import { paint } from '../diagnostics/paint.ts';
import type { Executable } from '../run/executable.ts';
import type { GenerateOptions, Generation, Prompt, Statistics } from '../run/generate.ts';
import type { Session } from '../run/session.ts';
import type { Tokenizer } from '../run/tokenizer.ts';
import { type ExitCode, exit, must, Refusal } from './exit.ts';
import { type OutputOptions, printDiagnostics, printJson, printNext } from './print.ts';
import { waiting } from './progress.ts';
import type { Terminal } from './terminal.ts';

/** What a text is made with. */
export interface TextOptions {
  readonly prompt?: readonly string[];
  readonly chat?: boolean;
  readonly system?: string;
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repeatPenalty?: number;
  readonly seed?: number;
  /** Say at the end how the mixtures routed. */
  readonly stats?: boolean;
}

/** What a call asks to be continued: the prompts, as they are given to the model, and how. */
export interface Texts {
  readonly prompts: readonly string[];
  readonly given: readonly Prompt[];
  readonly tokenizer: Tokenizer;
  readonly settings: GenerateOptions;
  /** Whether a text begins without the space that would follow a prompt. */
  readonly bare: boolean;
}

/** Reads the prompts of a call. What is wrong with them or with the tokenizer is a refusal, before the model is loaded. */
export async function readTexts(terminal: Terminal, executable: Executable, options: TextOptions): Promise<Texts> {
  const { planGeneration } = await import('../run/generate.ts');
  const { openTokenizer } = await import('../run/tokenizer.ts');
  const tokenizer = must(openTokenizer(executable.tokenizer));
  const prompts = await Promise.all((options.prompt ?? ['']).map(async (prompt) => (prompt === '-' ? terminal.input() : prompt)));
  const texts = options.chat ? prompts.map((prompt) => turnsOf(tokenizer, prompt, options.system)) : prompts;
  const { prompt: _, chat = false, system: __, stats: ___, ...others } = options;
  const settings = { ...others, special: !chat };
  const { rows } = must(planGeneration(executable, tokenizer, texts, settings));
  return { prompts, given: rows, tokenizer, settings, bare: chat || texts.every((text) => text === '') };
}

/** Continues the prompts of a call and prints what comes. */
export async function writeTexts(
  terminal: Terminal,
  session: Session,
  read: Texts,
  options: TextOptions & OutputOptions,
  before: readonly Diagnostic[],
  next: string,
): Promise<ExitCode> {
  const { generate } = await import('../run/generate.ts');
  const { prompts, bare } = read;
  const begun = generate(session, read.tokenizer, read.given, read.settings);
  if (!begun.ok) throw new Refusal(...begun.diagnostics);
  const said = [...before, ...begun.diagnostics];
  if (options.json) return writeJson(terminal, begun.value, prompts, said);
  printDiagnostics(terminal, said);
  const reading = waiting(terminal, prompts.length === 1 ? 'reading the prompt' : 'reading the prompts');
  const begin = (): void => {
    reading.end();
    if (!bare && prompts.length === 1 && terminal.watched) terminal.err(paint(terminal.color.err).dim(prompts[0] ?? ''));
  };
  await stream(terminal, begun.value, prompts.length, bare, begin).finally(reading.end);
  const result = await begun.value.result;
  if (terminal.signal.aborted) return exit.stopped;
  if (!result.ok) throw new Refusal(...result.diagnostics);
  terminal.err(`${paint(terminal.color.err).dim(speed(result.value))}\n`);
  const { routing } = result.value;
  if (options.stats && routing) terminal.err(`\n${await (await import('./routing.ts')).routingTable(routing)}`);
  printNext(terminal, next);
  return exit.done;
}

function turnsOf(tokenizer: Tokenizer, prompt: string, system: string | undefined): string {
  return must(tokenizer.chat([...(system === undefined ? [] : [{ role: 'system' as const, content: system }]), { role: 'user', content: prompt }]));
}

/** Writes the first unfinished text as it comes and keeps the others until it is their turn. Calls `begin` when there is something to write. With `bare`, a text begins without the space that would follow a prompt. */
async function stream(terminal: Terminal, generation: Generation, count: number, bare: boolean, begin: () => void): Promise<void> {
  const waiting = Array.from({ length: count }, (_, row) => (count > 1 ? `[${row + 1}] ` : ''));
  const begun = waiting.map(() => !bare);
  const ended = new Set<number>();
  let row = 0;
  const flush = (): void => {
    terminal.out(waiting[row] ?? '');
    waiting[row] = '';
  };
  let writes = false;
  const start = (): void => {
    if (writes) return;
    writes = true;
    begin();
    flush();
  };
  for await (const piece of generation) {
    start();
    const text = begun[piece.row] ? piece.text : piece.text.trimStart();
    if (text !== '') begun[piece.row] = true;
    waiting[piece.row] += text;
    if (piece.last) ended.add(piece.row);
    if (piece.row === row) flush();
    while (ended.has(row) && row + 1 < count) {
      terminal.out('\n');
      row++;
      flush();
    }
  }
  start();
  terminal.out('\n');
}

async function writeJson(terminal: Terminal, generation: Generation, prompts: readonly string[], said: readonly Diagnostic[]): Promise<ExitCode> {
  const rows = prompts.map((prompt) => ({ prompt, text: '', tokens: [] as number[] }));
  for await (const { row, text, token } of generation) {
    const one = rows[row];
    if (!one) continue;
    one.text += text;
    if (token !== undefined) one.tokens.push(token);
  }
  const result = await generation.result;
  if (terminal.signal.aborted) return exit.stopped;
  if (!result.ok) throw new Refusal(...said, ...result.diagnostics);
  const { endings, ...statistics } = result.value;
  printJson(terminal, { texts: rows.map((one, row) => ({ ...one, ending: endings[row] })), statistics, diagnostics: diagnosticsJson(said, () => undefined) });
  return exit.done;
}

function speed({ promptTokens, generatedTokens, prefillRate, decodeRate }: Statistics): string {
  return `${tokenWords(promptTokens)} read, ${rate(prefillRate)} a second; ${generatedTokens} written${decodeRate > 0 ? `, ${rate(decodeRate)} a second` : ''}`;
}
