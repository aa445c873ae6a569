/** What is written in the settings of a derivation → data that a pass checks, with its faults put where they were written. */

import type { Argument, Call, Expr, Name, Setting, SettingValue } from '../../grammar/ast.ts';
import { parseSettingValue } from '../../grammar/parse.ts';
import type { Span } from '../../grammar/span.ts';
import { Bug } from '../diagnostics/bug.ts';
import type { Diagnostic, Outcome } from '../diagnostics/diagnostic.ts';
import { didYouMean } from '../diagnostics/suggest.ts';
import { emergentWords, readSettings } from '../passes/emergent/read-settings.ts';
import type { EmergentSettings, Written } from '../passes/emergent/settings.ts';
import type { SettingFault } from '../passes/setting-values.ts';
import { numberOf } from './arithmetic.ts';
import { type Env, fault, moduleEnv, newContext, reportAt } from './context.ts';
import { evaluate } from './evaluate.ts';
import { constantFunctions } from './functions.ts';
import type { Module, Program } from './program.ts';
import { lookUpLocal } from './scope.ts';
import { diagnoseFault } from './syntax.ts';
import { thingWords } from './thing.ts';

/** The settings of `emergent` where names mean what they mean in `env`; undefined after a fault. `notes` go with each fault. */
export function emergentSettings(settings: readonly Setting[], at: Span, env: Env, notes: readonly string[] = []): EmergentSettings | undefined {
  const written = settings.map(({ name, value }) => [name.text, writtenOf(value, env)] as const);
  const known = written.flatMap(([name, value]) => (value ? [[name, value] as const] : []));
  const whole = known.length === written.length;
  const read = readSettings(Object.fromEntries(known));
  if ('settings' in read) return whole ? read.settings : undefined;
  // What is missing may be what could not be read.
  for (const one of read.faults) if (whole || one.place.length > 0) reportFault(one, settings, at, env, notes);
  return undefined;
}

/** The settings of `emergent` from texts by name, as the command line has them: `{ group: 'balanced_kmeans(of: keys)' }`. Spans carry `fileOf(name)` for a file. */
export function emergentSettingsOf(texts: Readonly<Record<string, string>>, fileOf: (name: string) => string): Outcome<EmergentSettings> {
  const modules = new Map<string, Module>();
  const diagnostics: Diagnostic[] = [];
  const settings = Object.entries(texts).flatMap(([name, text]): readonly Setting[] => {
    const file = fileOf(name);
    const { value, faults } = parseSettingValue(text, file);
    modules.set(file, { file, text, ast: { kind: 'file', items: [], span: { file, start: 0, end: text.length } }, names: new Map() });
    diagnostics.push(...faults.map(diagnoseFault));
    const start: Span = { file, start: 0, end: 0 };
    return value ? [{ kind: 'setting', span: value.span, name: { kind: 'ident', text: name, span: start }, value }] : [];
  });
  if (diagnostics.length > 0) return { ok: false, diagnostics };
  const root: Module = [...modules.values()][0] ?? { file: '', text: '', ast: { kind: 'file', items: [], span: { file: '', start: 0, end: 0 } }, names: new Map() };
  const program: Program = { root, modules, diagnostics: [], library: () => new Map() };
  const context = newContext(program);
  const read = emergentSettings(settings, root.ast.span, moduleEnv(context, root));
  return read ? { ok: true, value: read, diagnostics: [] } : { ok: false, diagnostics: context.diagnostics };
}

/** One value as data; undefined after a fault. */
function writtenOf(value: SettingValue, env: Env): Written | undefined {
  switch (value.kind) {
    case 'from-file':
      return { kind: 'word', name: 'stored', args: { '': { kind: 'text', value: value.file.value } } };
    case 'repeat':
      return wrongKind('a stack', value.span, env);
    case 'mixture':
      return wrongKind('a mixture', value.span, env);
    case 'name':
      return nameAsWritten(value, env);
    case 'paren':
      return writtenOf(value.inner, env);
    case 'call':
      return callAsWritten(value, env);
    default:
      return constantAsWritten(value, env);
  }
}

/** A word of the settings, or a param or an index with its value. Words go before names, and a name that hides one is a fault. */
function nameAsWritten(value: Name, env: Env): Written | undefined {
  const { text, span } = value;
  const named = env.module.names.get(text);
  if (emergentWords.has(text) && (named || lookUpLocal(env, text))) {
    const related = named && named.kind !== 'broken' ? [{ span: named.name.span, text: 'declared here' }] : [];
    fault(env, 'setting-word-hidden', { word: text }, { at: span, related, fixes: [{ text: `give the ${named?.kind ?? 'other'} another name` }] });
    return undefined;
  }
  if (named || lookUpLocal(env, text) || text === 'inf' || text === 'pi') return constantAsWritten(value, env);
  return { kind: 'word', name: text, args: {} };
}

function callAsWritten(call: Call, env: Env): Written | undefined {
  const { callee } = call;
  if (callee.kind !== 'name' || (!emergentWords.has(callee.text) && (constantFunctions.has(callee.text) || env.module.names.has(callee.text)))) return constantAsWritten(call, env);
  const args = new Map<string, Written>();
  for (const [i, argument] of call.args.entries()) {
    const name = argument.name?.text ?? '';
    if (name === '' && i > 0) return void fault(env, 'argument-needs-name', { what: `\`${callee.text}\`` }, { at: argument.span });
    if (args.has(name)) return void fault(env, 'argument-twice', { callee: callee.text, name }, { at: argument.name?.span ?? argument.span });
    const value = writtenOf(argument.value, env);
    if (!value) return undefined;
    args.set(name, value);
  }
  return { kind: 'word', name: callee.text, args: Object.fromEntries(args) };
}

function constantAsWritten(expr: Expr, env: Env): Written | undefined {
  const thing = evaluate(expr, env);
  switch (thing.kind) {
    case 'poison':
      return undefined;
    case 'int':
    case 'float':
      return { kind: 'number', value: numberOf(thing) ?? unknown() };
    case 'bool':
      return { kind: 'bool', value: thing.value ?? unknown() };
    case 'string':
      return { kind: 'text', value: thing.value ?? unknown() };
    default:
      return wrongKind(thingWords[thing.kind], expr.span, env);
  }
}

/** Outside of layers every constant has a value: a dim is a fault there. */
function unknown(): never {
  throw new Bug('a setting has no value');
}

function wrongKind(found: string, at: Span, env: Env): undefined {
  fault(env, 'wrong-kind', { expected: 'a number, a string, a bool or a word', found }, { at });
}

/** Says what is wrong where it was written; a name that nothing has may be a slip for a param. */
function reportFault({ place, name, diagnostic }: SettingFault, settings: readonly Setting[], at: Span, env: Env, notes: readonly string[]): void {
  const [first, ...inside] = place;
  const setting = settings.find((one) => one.name.text === first);
  const found = setting && inside.reduce<Place>(argumentAt, { name: setting.name.span, value: setting.value });
  const slip = found?.value.kind === 'name' && diagnostic.fixes.length === 0 ? didYouMean(found.value.text, paramsOf(env)) : [];
  const span = !found ? at : name ? found.name : found.value.span;
  reportAt(env, { ...diagnostic, at: { span, text: '' }, notes: [...diagnostic.notes, ...notes], fixes: [...diagnostic.fixes, ...slip] });
}

interface Place {
  readonly name: Span;
  readonly value: SettingValue;
}

/** The argument of a word, by its name, else the first. */
function argumentAt(outer: Place, name: string): Place {
  if (outer.value.kind !== 'call') return outer;
  const { args } = outer.value;
  const found: Argument | undefined = args.find((one) => one.name?.text === name) ?? args.find((one) => !one.name);
  return found ? { name: found.name?.span ?? found.span, value: found.value } : outer;
}

const paramsOf = ({ module }: Env): readonly string[] => [...module.names].filter(([, { kind }]) => kind === 'param').map(([name]) => name);
