/** What was done to a model, as data: which parts, by which pass, with which settings. The passes carry it out on the graph. */

import type { Span } from '../../grammar/span.ts';
import type { EmergentSettings } from '../passes/emergent/settings.ts';

/** One derivation that stands in the end, in the order written. A `merge` leaves no trace: it takes back what it merges. */
export interface Derivation {
  readonly pass: 'emergent';
  readonly targets: readonly DerivationTarget[];
  /** Where it was written. Files that its settings name are relative to the file of this span. */
  readonly span: Span;
  /** The files that its settings name, each once. */
  readonly files: readonly NamedFile[];
}

/** One part, with its settings. */
export interface DerivationTarget {
  /** As the graph has it, such as `blocks.3.ffn`; of an ONNX file, as the feed-forwards found in it are called. */
  readonly path: string;
  readonly settings: EmergentSettings;
}

/** A file that a declaration names: relative to the file of the span. */
export interface NamedFile {
  readonly path: string;
  readonly span: Span;
}

/** What the graph of a model is before its derivations: its own, that of a model it is derived from, or an ONNX file. */
export type Base = { readonly kind: 'own' } | { readonly kind: 'model'; readonly name: string } | { readonly kind: 'onnx'; readonly file: NamedFile };
