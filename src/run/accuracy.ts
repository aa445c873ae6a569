/** How often the most probable answer of a model is right: masked tokens guessed one at a time, or texts put in classes. */

import { diagnose, type Outcome, refuse } from '../diagnostics/diagnostic.ts';
import type { MeasureOptions } from './evaluate.ts';
import type { Session } from './session.ts';
import { floatsOf } from './tensor.ts';
import { logitsOf, strangeToken, textFeeds, whyNoText } from './text-feeds.ts';

/** A text of which some tokens are to be guessed, each from all the others. */
export interface MaskedText {
  readonly tokens: readonly number[];
  readonly masked: readonly number[];
}

/** A text and the number of its class. */
export interface LabelledText {
  readonly tokens: readonly number[];
  readonly label: number;
}

/** Right answers, of how many. */
export interface Accuracy {
  readonly right: number;
  readonly total: number;
}

/** Masks each of the positions by itself and counts where the most probable token is the one that stood there. */
export async function maskedAccuracy(session: Session, texts: readonly MaskedText[], mask: number, options: MeasureOptions = {}): Promise<Outcome<readonly Accuracy[]>> {
  const jobs = texts.flatMap(({ tokens, masked }, text) =>
    chunks(masked, rowsAtOnce(tokens.length)).map((positions) => ({
      text,
      rows: positions.map((position) => tokens.map((token, i) => (i === position ? mask : token))),
      right: (logits: Logits) => positions.filter((position, row) => largest(logits, row * tokens.length + position) === tokens[position]).length,
    })),
  );
  return answer(session, texts.length, 3, jobs, options);
}

/** Counts the texts whose most probable class is their label. */
export async function classAccuracy(session: Session, texts: readonly LabelledText[], options: MeasureOptions = {}): Promise<Outcome<readonly Accuracy[]>> {
  const jobs = texts.map(({ tokens, label }, text) => ({ text, rows: [tokens], right: (logits: Logits) => (largest(logits, 0) === label ? 1 : 0) }));
  return answer(session, texts.length, 2, jobs, options);
}

/** Rows of one length that the model reads at once, and how its answer to them is counted. */
interface Job {
  readonly text: number;
  readonly rows: readonly (readonly number[])[];
  right(logits: Logits): number;
}

/** Rows of `size` numbers, one after the other. */
interface Logits {
  readonly numbers: Float32Array;
  readonly size: number;
}

/** Tokens of one run at most: what keeps the logits small. */
const tokensAtOnce = 2_048;

const rowsAtOnce = (length: number): number => Math.max(1, Math.floor(tokensAtOnce / Math.max(1, length)));

async function answer(session: Session, texts: number, rank: number, jobs: readonly Job[], { signal, progress }: MeasureOptions): Promise<Outcome<readonly Accuracy[]>> {
  const port = logitsOf(session);
  const unfit = whyNoText(session) ?? jobs.map(({ rows: [row = []] }) => strangeToken(session.executable, row)).find((one) => one !== undefined);
  if (unfit || !port) return refuse(unfit ?? diagnose('cannot-evaluate', { reason: 'it has no result `logits`' }));
  const counts = Array.from({ length: texts }, () => ({ right: 0, total: 0 }));
  for (const [done, { text, rows, right }] of jobs.entries()) {
    signal?.throwIfAborted();
    const results = await session.run(textFeeds(session, rows), [port.name]);
    if (!results.ok) return results;
    const logits = results.value[port.name];
    if (logits?.dims.length !== rank)
      return refuse(
        diagnose('cannot-evaluate', { reason: `\`${port.name}\` has ${logits?.dims.length ?? 0} axes, not ${rank}: one answer for each ${rank === 3 ? 'token' : 'text'}` }),
      );
    const count = counts[text];
    if (count) Object.assign(count, { right: count.right + right({ numbers: floatsOf(logits), size: logits.dims.at(-1) ?? 0 }), total: count.total + rows.length });
    progress?.(done + 1, jobs.length);
  }
  return { ok: true, value: counts, diagnostics: [] };
}

function chunks<T>(all: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
}

/** The index of the largest number of a row. */
function largest({ numbers, size }: Logits, at: number): number {
  const row = numbers.subarray(at * size, (at + 1) * size);
  let best = 0;
  for (let i = 1; i < row.length; i++) if ((row[i] ?? 0) > (row[best] ?? 0)) best = i;
  return best;
}
