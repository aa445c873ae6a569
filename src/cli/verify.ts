/** `moec verify`: holds a model to the f64 reference or to another model, result by result and layer by layer. */

import { resolve } from 'node:path';
import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import type { Comparison } from '../run/compare.ts';
import type { Tensors } from '../run/protocol.ts';
import type { Session } from '../run/session.ts';
import type { Side, Verdict } from '../run/verify.ts';
import { type Cli, upTo, whole } from './command.ts';
import { type ExitCode, exit, must, Refusal, WrongCall } from './exit.ts';
import { addFindingOptions, findOrRefuse, recognise, refuseIdle, seedOption } from './finding.ts';
import { addOpeningOptions, attended, type Ready, type ReadyOptions, readyOrRefuse, refuseIdlePicks, withSession } from './opening.ts';
import { printDiagnostics, printNext, quoted, table } from './print.ts';
import { checkpointOf } from './target.ts';
import type { Terminal } from './terminal.ts';

interface VerifyOptions extends ReadyOptions {
  readonly inputSeed: number;
  readonly tolerance: number;
  readonly rows: number;
  readonly length: number;
  readonly inputs?: string;
  readonly prompt?: string;
  readonly reference?: boolean;
  readonly threads?: number;
}

const details = `
Every result that both models have is compared by max|a - b| / max|b|, b being the reference; of
logits, the largest of each row must be the same wherever the two largest of b lie further apart
than the tolerance. A compiled model with a cache runs the sequence in two steps. Then values
inside are compared by the author's names, to say where two models begin to differ. The exit code
is 0 where all results agree, and 1 where they do not.`;

/** Adds the command. */
export function verify(cli: Cli): void {
  const examples = [
    'moec verify models/tiny.moe',
    'moec verify out/tiny models/tiny.moe',
    'moec verify out/tiny models/tiny.moe --reference --length 64',
    'moec verify ./SmolLM2-135M out/smollm2 --prompt "Once upon a time"',
  ];
  const command = cli
    .command('verify', 'compare a model with its definition, or two models', examples)
    .argument('<a>', 'a .moe file, a checkpoint folder or a compiled folder')
    .argument('[b]', 'the model to compare it with (default: the definition of its ops, in f64)');
  addFindingOptions(command)
    .option('--inputs <FILE>', 'compare on named lists in a JSON file')
    .option('--prompt <TEXT>', 'compare on a text')
    .option('--input-seed <N>', 'compare on other random inputs', whole(0), 0)
    .option('--rows <N>', 'rows of random inputs', whole(1), 2)
    .option('--length <N>', 'tokens of a row, and every other size that is open', whole(1), 16)
    .option('--tolerance <T>', 'the most that numbers may differ', upTo(Infinity), 1e-4)
    .option('--reference', 'compute B by the definition of its ops, too');
  addOpeningOptions(command)
    .addOption(seedOption())
    .option('--json', 'print every comparison as JSON')
    .addHelpText('after', details)
    .action(cli.action((a: string, b: string | undefined, options: VerifyOptions) => act(cli.terminal, a, b, options)));
}

async function act(terminal: Terminal, a: string, b: string | undefined, options: VerifyOptions): Promise<ExitCode> {
  if (options.inputs !== undefined && options.prompt !== undefined) throw new WrongCall('--inputs and --prompt both say what to compare on: give one');
  if (b === undefined && options.active !== undefined) throw new WrongCall('--active compares two models: the definition picks as many experts as the author wrote');
  refuseIdle(
    [a, ...(b === undefined ? [] : [b])].map((path) => checkpointOf(recognise(terminal, path))),
    options,
  );
  const ask = (said: readonly Diagnostic[]): Asked => ({ a, b, options, said });
  if (b !== undefined && !options.reference) {
    const each = { ...options, activeOfSome: true };
    return withModel(terminal, a, each, (first, said) =>
      withModel(terminal, b, each, (second, more) => {
        refuseIdlePicks([first, second], options);
        return compared(terminal, ask([...said, ...more]), first, second);
      }),
    );
  }
  const { side, release, diagnostics } = await reference(terminal, b ?? a, options);
  try {
    return await withModel(terminal, a, options, (first, said) => compared(terminal, ask([...said, ...diagnostics]), first, side));
  } finally {
    release();
  }
}

/** A model in a session. */
interface Opened extends Pick<Ready, 'mixtures'> {
  readonly session: Session;
  readonly side: Side;
}

async function withModel<T>(terminal: Terminal, path: string, options: VerifyOptions, use: (opened: Opened, said: readonly Diagnostic[]) => Promise<T>): Promise<T> {
  const { sessionSide } = await import('../run/verify.ts');
  const ready = await readyOrRefuse(terminal, path, options, 'whole');
  const { ep: provider, threads } = options;
  try {
    return await withSession(terminal, ready.executable, options, (session, warnings) =>
      use({ session, mixtures: ready.mixtures, side: sessionSide(session, { provider, ...(threads === undefined ? {} : { threads }) }, ready.again) }, [
        ...ready.diagnostics,
        ...warnings,
      ]),
    );
  } finally {
    ready.release();
  }
}

/** A model by the reference; of a folder that was compiled beside its checkpoint, the checkpoint. */
async function reference(terminal: Terminal, path: string, options: VerifyOptions): Promise<{ readonly side: Side; readonly diagnostics: readonly Diagnostic[]; release(): void }> {
  const target = checkpointOf(recognise(terminal, path));
  if (target.kind === 'compiled')
    throw new Refusal(
      diagnose(
        'no-reference',
        { name: path, reason: 'a compiled folder holds nodes of ONNX alone' },
        { fixes: [{ text: `name what it was compiled from: moec verify ${quoted(path)} MODEL` }] },
      ),
    );
  const { referenceSide } = await import('../run/verify.ts');
  const { found, diagnostics } = await findOrRefuse(terminal, target, options);
  const release = (): void => found.checkpoint?.close();
  const side = referenceSide(found);
  if (!side.ok) {
    release();
    throw new Refusal(...side.diagnostics);
  }
  return { side: side.value, diagnostics: options.json ? diagnostics : [], release };
}

/** What was asked, and what has been said of it. */
interface Asked {
  readonly a: string;
  readonly b: string | undefined;
  readonly options: VerifyOptions;
  readonly said: readonly Diagnostic[];
}

async function compared(terminal: Terminal, { a, b, options, said }: Asked, first: Opened, second: Opened | Side): Promise<ExitCode> {
  const { verify: run } = await import('../run/verify.ts');
  const sessions = [first.session, ...('session' in second ? [second.session] : [])];
  const { feeds, diagnostics } = await feedsOf(terminal, sessions, options);
  const verdict = must(await attended(terminal, 'comparing', options, run(first.side, 'session' in second ? second.side : second, feeds, options.tolerance)));
  const { results, inside, ok } = verdict;
  const { agrees } = await import('../run/compare.ts');
  const differs = inside.find((one) => !agrees(one, options.tolerance));
  const against = b === undefined ? 'its definition' : options.reference ? `the definition of ${b}` : b;
  if (options.json) {
    const data = (all: readonly Comparison[]): readonly object[] => all.map((one) => ({ ...one, distance: Number.isFinite(one.distance) ? one.distance : String(one.distance) }));
    printDiagnostics(terminal, [...said, ...diagnostics], {
      json: true,
      more: { ok, tolerance: options.tolerance, results: data(results), inside: data(inside), ...(differs && !ok ? { first: differs.name } : {}) },
    });
    return ok ? exit.done : exit.input;
  }
  printDiagnostics(terminal, said);
  terminal.out(`${a} and ${against} ${ok ? 'agree' : 'differ'}, tolerance ${options.tolerance}\n\n${tableOf(verdict, (one) => agrees(one, options.tolerance))}`);
  if (!ok) terminal.out(`\n${differs ? `they first differ in ${differs.name}` : inside.length === 0 ? 'no value inside has a name that both have' : 'no value inside differs'}\n`);
  printNext(terminal, ok ? `moec bench ${quoted(a)}` : `moec verify ${[a, ...(b === undefined ? [] : [b])].map(quoted).join(' ')} --json`, options);
  return ok ? exit.done : exit.input;
}

/** What both sides are fed: the file, the text, or numbers from the seed. */
async function feedsOf(
  terminal: Terminal,
  sessions: readonly Session[],
  options: VerifyOptions,
): Promise<{ readonly feeds: Tensors; readonly diagnostics: readonly Diagnostic[] }> {
  const [first] = sessions;
  if (options.inputs !== undefined) {
    const { readJson } = await import('../run/json.ts');
    const { readInputs } = await import('../run/inputs.ts');
    const given = must(readJson(resolve(terminal.cwd, options.inputs)));
    const ports = new Map(sessions.flatMap(({ inputs }) => inputs.map((port) => [port.name, port] as const)));
    const read = readInputs(given, [...ports.values()]);
    if (!read.ok) throw new Refusal(...read.diagnostics);
    return { feeds: read.value, diagnostics: read.diagnostics };
  }
  if (options.prompt !== undefined && first) {
    const { openTokenizer } = await import('../run/tokenizer.ts');
    const { strangeToken, textFeeds, whyNoText } = await import('../run/text-feeds.ts');
    const tokens = must(openTokenizer(first.executable.tokenizer)).encode(options.prompt);
    const unfit = sessions.map((session) => whyNoText(session) ?? strangeToken(session.executable, tokens)).find((one) => one !== undefined);
    if (unfit ?? tokens.length === 0) throw new Refusal(unfit ?? diagnose('prompt-is-empty', {}));
    return { feeds: Object.assign({}, ...sessions.map((session) => textFeeds(session, [tokens]))) as Tensors, diagnostics: [] };
  }
  const { seededInputs, whyNoSeed } = await import('../run/seeded-inputs.ts');
  const open = sessions.map(whyNoSeed).find((one) => one !== undefined);
  if (open) throw new Refusal(open);
  const { inputSeed: seed, rows, length } = options;
  const most = Math.min(...sessions.map(({ executable }) => executable.context ?? Number.POSITIVE_INFINITY));
  if (length > most) throw new Refusal(diagnose('option-out-of-range', { option: '--length', range: `${most} at most, which is what the model looks at`, found: length }));
  return { feeds: Object.assign({}, ...sessions.map((session) => seededInputs(session, { seed, rows, length }))) as Tensors, diagnostics: [] };
}

/** The results, then for each layer the value that lies furthest apart. */
function tableOf({ results, inside }: Verdict, isClose: (one: Comparison) => boolean): string {
  const layers = new Map<string, Comparison>();
  for (const one of inside) {
    const layer = /^(.*?\.\d+)(?=\.|$)/.exec(one.name)?.[1] ?? one.name.split('.').slice(0, -1).join('.');
    const worst = layers.get(layer);
    if (!worst || one.distance > worst.distance) layers.set(layer, one);
  }
  const row = (one: Comparison): readonly string[] => [
    one.name,
    `[${one.dims.join(', ')}]`,
    one.distance.toExponential(1),
    one.largest ? `${one.largest.same} of ${one.largest.rows}` : '',
    isClose(one) ? '' : 'differs',
  ];
  const head = ['', 'sizes', 'max|a-b| / max|b|', 'same largest', ''];
  const words = inside.length > 0 ? `\n${inside.length} values inside, the furthest apart of each layer:\n${table([head, ...[...layers.values()].map(row)])}` : '';
  return `${table([head, ...results.map(row)])}${words}`;
}
