/** A diagnostic as data: what is wrong, where, why and what to do. Collected in a sink, never thrown. */

import type { Span } from '../../grammar/span.ts';
import { type Code, catalog, type Entry, type Holes } from './catalog.ts';
import { fill } from './template.ts';

/** How much a diagnostic matters: only an error stops what was asked for. */
export type Severity = Entry['severity'];

/** A place with what to say under it; the text may be empty. */
export interface Label {
  readonly span: Span;
  readonly text: string;
}

/** What to change: words, and the edit where moec can make it. */
export interface Fix {
  readonly text: string;
  readonly edit?: { readonly span: Span; readonly replacement: string };
}

/** One report. `at` is absent for what has no place in a source text, such as a damaged checkpoint. */
export interface Diagnostic {
  readonly code: Code;
  readonly severity: Severity;
  readonly message: string;
  readonly at?: Label;
  /** Other places that explain the fault. */
  readonly related: readonly Label[];
  /** Lines such as `in ffn = SwiGLU(D, H), models/smollm2.moe:15`, outermost last. */
  readonly notes: readonly string[];
  readonly fixes: readonly Fix[];
}

/** Where a report points and what it adds to its message. */
export interface Details {
  readonly at?: Span;
  readonly label?: string;
  readonly related?: readonly Label[];
  readonly notes?: readonly string[];
  readonly fixes?: readonly Fix[];
}

/** Words a diagnostic of `code`; the holes of its template are typed by the catalogue. */
export function diagnose<C extends Code>(code: C, holes: Holes<C>, details: Details = {}): Diagnostic {
  const entry = catalog[code];
  return {
    code,
    severity: entry.severity,
    message: fill(entry.message, holes as Readonly<Record<string, string | number>>),
    ...(details.at ? { at: { span: details.at, text: details.label ?? '' } } : {}),
    related: details.related ?? [],
    notes: details.notes ?? [],
    fixes: details.fixes ?? [],
  };
}

/** Collects diagnostics in the order found, each once. */
export interface Sink {
  readonly all: readonly Diagnostic[];
  report(diagnostic: Diagnostic): void;
  /** Whether an error has been reported. */
  readonly failed: boolean;
}

/** An empty sink. */
export function sink(): Sink {
  const all: Diagnostic[] = [];
  const seen = new Set<string>();
  return {
    all,
    report(diagnostic) {
      const key = `${diagnostic.code}|${diagnostic.message}|${diagnostic.at?.span.file}|${diagnostic.at?.span.start}|${diagnostic.at?.span.end}`;
      if (seen.has(key)) return;
      seen.add(key);
      all.push(diagnostic);
    },
    get failed() {
      return all.some((one) => one.severity === 'error');
    },
  };
}

/** What a step yields that can go wrong by its user's doing: a value, or the diagnostics that say why there is none. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T; readonly diagnostics: readonly Diagnostic[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** The outcome of a step that yields nothing, for these reasons. */
export function refuse(...diagnostics: readonly Diagnostic[]): Outcome<never> {
  return { ok: false, diagnostics };
}
