/** The state of one run over a program: what is collected, what is counted, and where an expression stands. */

import type { LayerDecl, ModelDecl, ParamDecl } from '../../grammar/ast.ts';
import { placeOf, type Span } from '../../grammar/span.ts';
import type { Code, Holes } from '../diagnostics/catalog.ts';
import { type Details, type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import type { Frame } from './frame.ts';
import type { Module, Program } from './program.ts';
import { type Constant, type Poison, poison, type Thing, type Trace } from './thing.ts';

/** A param's value and where it came from. */
export interface ResolvedParam {
  readonly name: string;
  readonly decl: ParamDecl;
  readonly value: Constant | Poison;
  readonly from: 'default' | 'config' | 'set';
  /** The key of the config that decided, where one did. */
  readonly key?: string;
}

/** One run. Mutable by nature: diagnostics, memoised params and counters gather here. */
export interface Context {
  readonly program: Program;
  readonly config: unknown;
  readonly set: Readonly<Record<string, string>>;
  readonly params: Map<ParamDecl, ResolvedParam | 'being-resolved'>;
  /** Keys of the config that some param asked for. */
  readonly keysRead: Set<string>;
  readonly diagnostics: Diagnostic[];
  readonly seen: Set<string>;
  /** Layers whose forward was built. */
  readonly ran: Set<LayerDecl | ModelDecl>;
  /** Layers made so far. */
  layers: number;
  /** Layers that some model reached, with the names of each that were read. */
  readonly used: Map<LayerDecl | ModelDecl, Set<string>>;
  /** What models for some family require in vain, kept apart while a file is checked: another model of the file may be the one for these values. */
  readonly refusals?: Map<ModelDecl, Diagnostic[]>;
}

/** A fresh run. */
export function newContext(program: Program, options: { readonly config?: unknown; readonly set?: Readonly<Record<string, string>> } = {}): Context {
  return {
    program,
    config: options.config,
    set: options.set ?? {},
    params: new Map(),
    keysRead: new Set(),
    diagnostics: [],
    seen: new Set(),
    layers: 0,
    used: new Map(),
    ran: new Set(),
  };
}

/** Marks the names of sizes that stand for any number: those of a layer checked alone. It shows nowhere. */
export const openMark = '\u2060';

const bare = <T extends string | number>(word: T): T => (typeof word === 'string' ? (word.replaceAll(openMark, '') as T) : word);

/** Where an expression stands: what names mean there, and the forward it belongs to. */
export interface Env {
  readonly context: Context;
  readonly module: Module;
  /** Innermost first; the names of the module come after them. */
  readonly scopes: readonly ReadonlyMap<string, Thing>[];
  readonly trace?: Trace;
  readonly frame?: Frame;
  /** The layer whose names stand in the scopes. */
  readonly owner?: LayerDecl | ModelDecl;
  /** Layers being made, outermost first. */
  readonly makers?: readonly (LayerDecl | ModelDecl)[];
  /** The part being declared, for traces. */
  readonly site?: Span;
  /** Depth of layers inside layers. */
  readonly depth: number;
}

/** The top of a file. */
export function moduleEnv(context: Context, module: Module): Env {
  return { context, module, scopes: [], depth: 0 };
}

/** Reports a fault at this place with the trace of layers that led there; one report a place and code. Yields poison. */
export function fault<C extends Code>(env: Env, code: C, holes: Holes<C>, details: Details = {}): Poison {
  const shown = Object.fromEntries(Object.entries<string | number>(holes).map(([name, word]) => [name, bare(word)])) as Holes<C>;
  reportAt(
    env,
    diagnose(code, shown, {
      ...details,
      ...(details.label === undefined ? {} : { label: bare(details.label) }),
      related: (details.related ?? []).map((one) => ({ ...one, text: bare(one.text) })),
    }),
  );
  return poison;
}

/** Reports a diagnostic with the trace of layers that led there; one report a place and code. */
export function reportAt({ context, trace }: Env, diagnostic: Diagnostic): void {
  const { code, at, message, notes } = diagnostic;
  const key = at ? `${code}|${at.span.file}|${at.span.start}|${at.span.end}` : `${code}|${message}`;
  if (context.seen.has(key)) return;
  context.seen.add(key);
  context.diagnostics.push({ ...diagnostic, notes: [...notes, ...traceNotes(context.program, trace)] });
}

/** The lines `in ffn = SwiGLU(D, H), models/x.moe:15`, innermost first. */
function traceNotes(program: Program, trace: Trace | undefined): readonly string[] {
  const notes: string[] = [];
  for (let one = trace; one; one = one.parent) notes.push(`in ${quote(program, one.span)}, ${one.span.file}:${lineOf(program, one.span)}`);
  return notes.length <= 8 ? notes : [...notes.slice(0, 4), `… ${notes.length - 7} more`, ...notes.slice(-3)];
}

/** What the author wrote there, on one line. */
export function quote(program: Program, span: Span, limit = 72): string {
  const text = (program.modules.get(span.file)?.text ?? '')
    .slice(span.start, span.end)
    .replace(/\/\/[^\n]*/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return text.length <= limit ? text : `${text.slice(0, limit - 2)} …`;
}

function lineOf(program: Program, span: Span): number {
  return placeOf(program.modules.get(span.file)?.text ?? '', span.start).line;
}

/** Notes that a layer's name was read. */
export function markUsed(context: Context, owner: LayerDecl | ModelDecl, name: string): void {
  context.used.get(owner)?.add(name);
}
