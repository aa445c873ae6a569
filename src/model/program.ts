/** What loading yields: files with the names they declare, before anything is evaluated. */

import type { DimDecl, File, Ident, LayerDecl, ModelDecl, ParamDecl, TrainDecl } from '../../grammar/ast.ts';
import type { Diagnostic } from '../diagnostics/diagnostic.ts';

/** How source texts are found: handed in, so that the model never touches the file system. */
export interface Reader {
  /** The text of a file, or undefined where there is none. */
  read(path: string): string | undefined;
  /** The path that `spec` means in an import of `from`: `./x` is relative, `std/layers` is the library, `zoo/llama` a model that comes with moec. */
  resolve(from: string, spec: string): string | undefined;
}

/** What a name of a file stands for. `broken` keeps later uses of a failed import silent. */
export type Entry =
  | { readonly kind: 'dim'; readonly name: Ident; readonly decl: DimDecl; readonly module: Module }
  | { readonly kind: 'param'; readonly name: Ident; readonly decl: ParamDecl; readonly module: Module }
  | { readonly kind: 'layer'; readonly name: Ident; readonly decl: LayerDecl; readonly module: Module }
  | { readonly kind: 'model'; readonly name: Ident; readonly decl: ModelDecl; readonly module: Module }
  | { readonly kind: 'train'; readonly name: Ident; readonly decl: TrainDecl; readonly module: Module }
  | { readonly kind: 'broken'; readonly name: Ident };

/** One source file. */
export interface Module {
  readonly file: string;
  readonly text: string;
  readonly ast: File;
  readonly names: ReadonlyMap<string, Entry>;
}

/** A file and everything it imports. */
export interface Program {
  readonly root: Module;
  /** By path, the root among them. */
  readonly modules: ReadonlyMap<string, Module>;
  readonly diagnostics: readonly Diagnostic[];
  /** The layers of the library, each with what to import it from: for those that a program names without an import. */
  library(): ReadonlyMap<string, string>;
}

/** The words for an entry in messages: `a param`, `a layer`. */
export const entryWords: Readonly<Record<Entry['kind'], string>> = { dim: 'a dim', param: 'a param', layer: 'a layer', model: 'a model', train: 'a training', broken: 'unknown' };
