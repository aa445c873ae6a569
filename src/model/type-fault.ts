/** A fault of an op's type rule → a report: which of its arguments or settings is marked, and what stands beside it. */

import type { Span } from '../../grammar/span.ts';
import type { Label } from '../diagnostics/diagnostic.ts';
import { show } from '../graph/dim.ts';
import type { TypeFault } from '../graph/fail.ts';
import type { Op } from '../graph/op.ts';
import { spell } from '../graph/type.ts';
import { type Env, fault, quote } from './context.ts';
import { type Operand, spellSized, spellValue } from './frame.ts';

type Operands = readonly (Operand | undefined)[];

/** Where an op was applied: its operands, where its settings were written, and the whole expression. */
export interface Application {
  readonly op: Op;
  readonly inputs: Operands;
  readonly settings: ReadonlyMap<string, Span>;
  readonly span: Span;
}

/** Reports that the arguments of an op do not fit. */
export function reportTypeFault(env: Env, error: TypeFault, application: Application): void {
  const { inputs } = application;
  const multiplies = error.code === 'inner-sizes-differ';
  const { at, label, related } = multiplies ? innerSizes(inputs, application.span) : place(error, application);
  const fix = multiplies ? (declareFix(inputs) ?? transposeFix(env, error, inputs)) : error.fix;
  // The holes were typed where the rule failed; here only their names are known.
  fault(env, error.code, written(error.holes) as never, { at, ...(label === undefined ? {} : { label }), related, fixes: fix === undefined ? [] : [{ text: fix }] });
}

const infix: Readonly<Record<string, string>> = {
  add: '+',
  sub: '-',
  mul: '*',
  div: '/',
  mod: '%',
  matmul: '@',
  eq: '==',
  ne: '!=',
  lt: '<',
  le: '<=',
  gt: '>',
  ge: '>=',
  neg: '-',
};

/** Ops as they are written in the language. */
function written(holes: TypeFault['holes']): TypeFault['holes'] {
  const { op } = holes;
  return typeof op !== 'string' || op.startsWith('`') ? holes : { ...holes, op: `\`${infix[op] ?? op}\`` };
}

interface Placed {
  readonly at: Span;
  readonly label?: string;
  readonly related: readonly Label[];
}

/** Faults of two operands that do not go together: neither alone is the wrong one. */
const mutual: readonly string[] = ['sizes-differ', 'dtypes-differ', 'ranks-differ', 'attention-shapes-differ', 'heads-do-not-group'];

/** The setting that a fault is about, where it was written. */
const settingOf: Readonly<Record<string, readonly string[]>> = {
  'no-such-axis': ['axis'],
  'not-a-permutation': ['order'],
  'split-sizes-wrong': ['sizes'],
  'split-needs-parts': ['count', 'sizes'],
  'does-not-divide': ['count', 'heads'],
  'element-count-differs': ['dims'],
  'cannot-broadcast': ['dims'],
  'picks-too-many': ['k'],
  'size-must-be-known': ['width'],
};

function place(error: TypeFault, { op, inputs, settings, span }: Application): Placed {
  const operands = inputs.filter((one): one is Operand => one !== undefined && one.span.end > one.span.start && !isSame(one.span, span));
  const wrong = inputs[op.inputs.findIndex((one) => one.replace(/[?*]$/, '') === error.port)];
  const setting = [...(settingOf[error.code] ?? []), String(error.holes['setting'] ?? '')].map((name) => settings.get(name)).find((one) => one !== undefined);
  if (setting) return { at: setting, related: labels(operands.slice(0, 1)) };
  if (!wrong || mutual.includes(error.code)) return { at: span, related: [...labels(operands.slice(0, 3)), ...declared(operands).slice(0, 1)] };
  if (wrong.blame) return { at: wrong.blame, related: labels([wrong]) };
  return { at: wrong.span, label: `is ${spellSized(wrong.tensor.type)}`, related: [...labels(operands.filter((one) => one !== wrong).slice(0, 1)), ...declared([wrong])] };
}

const isSame = (a: Span, b: Span): boolean => a.file === b.file && a.start === b.start && a.end === b.end;
const labels = (operands: readonly Operand[]): readonly Label[] => operands.map((one) => ({ span: one.span, text: `is ${spellSized(one.tensor.type)}` }));
const declared = (operands: readonly Operand[]): readonly Label[] =>
  operands.flatMap(({ tensor }) => (tensor.weight ? [{ span: tensor.weight.decl.type.span, text: `\`${tensor.weight.name}\` is declared here` }] : []));

/** Of a product the left operand is marked, and its cause where the weight on the right is declared. */
function innerSizes(inputs: Operands, span: Span): Placed {
  const [left, right] = inputs;
  if (!left || !right) return { at: span, related: [] };
  const [inner, other] = [left.tensor.type.dims.at(-1), right.tensor.type.dims.at(-2) ?? right.tensor.type.dims.at(-1)];
  const ends = inner ? `ends in ${spellValue(inner)}` : 'has no axis';
  const begins = other ? `begins with ${spellValue(other)}` : 'has no axis';
  const decl = right.tensor.weight?.decl;
  const row = decl?.type.kind === 'tensor-type' ? decl.type.dims?.items.at(-2) : undefined;
  return { at: left.span, label: ends, related: [{ span: row?.span ?? decl?.type.span ?? right.span, text: begins }] };
}

/** For a weight that fits when its sizes are exchanged: how to declare it. */
function declareFix([left, right]: Operands): string | undefined {
  const weight = right?.tensor.weight;
  const [a, b] = weight?.type.dims ?? [];
  const inner = left?.tensor.type.dims.at(-1);
  if (!weight || !a || !b || !inner || weight.type.dims.length !== 2 || show(b) !== show(inner)) return undefined;
  return `declare \`weight ${weight.name}: [${spell(b)}, ${spell(a)}]\``;
}

function transposeFix(env: Env, { fix }: TypeFault, [, right]: Operands): string | undefined {
  const text = right ? quote(env.context.program, right.span) : '';
  return fix !== undefined && text.endsWith('.T') ? `drop \`.T\`: \`${text.slice(0, -2)}\`` : fix;
}
