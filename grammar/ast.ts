/** The AST of a `.moe` file: what was written, not what it means. Every node is readonly, tagged by `kind` and knows its span. */

import type { Span } from './span.ts';

interface Node<K extends string> {
  readonly kind: K;
  readonly span: Span;
}

/** A word standing as a name. */
export interface Ident extends Node<'ident'> {
  readonly text: string;
}

/** A whole file; `items` in the order written. */
export interface File extends Node<'file'> {
  readonly items: readonly Item[];
}

/** What stands at the top of a file. */
export type Item = ImportDecl | DimDecl | ParamDecl | LayerDecl | ModelDecl | TrainDecl;

/** `import { Embedding, RmsNorm } from "std/layers"`. */
export interface ImportDecl extends Node<'import'> {
  readonly names: readonly Ident[];
  readonly from: StringLiteral;
}

/** `dim B, S`: sizes known only at run time. */
export interface DimDecl extends Node<'dim'> {
  readonly doc?: string;
  readonly names: readonly Ident[];
}

/** `param D: int = 576 from config "hidden_size"`. */
export interface ParamDecl extends Node<'param'> {
  readonly doc?: string;
  readonly name: Ident;
  readonly type?: Type;
  readonly value: Expr;
  readonly config: readonly StringLiteral[];
}

/** `layer SwiGLU(D: int, H: int) { … }`. */
export interface LayerDecl extends Node<'layer'> {
  readonly doc?: string;
  readonly name: Ident;
  readonly formals: readonly Formal[];
  readonly body: Body;
}

/** `D: int = 4`, of a layer or of a `forward`. */
export interface Formal extends Node<'formal'> {
  readonly name: Ident;
  readonly type: Type;
  readonly initial?: Expr;
}

/** What stands between the braces of a layer or a model. */
export interface Body extends Node<'body'> {
  readonly members: readonly Member[];
  readonly forward: Forward;
  readonly weights?: Weights;
}

/** What stands before the `forward` of a body. */
export type Member = Require | WeightDecl | PartDecl;

/** `require D % N == 0`. */
export interface Require extends Node<'require'> {
  readonly condition: Expr;
}

/** `shared weight k, v: [D, W] = 0.0`. */
export interface WeightDecl extends Node<'weight'> {
  readonly doc?: string;
  readonly shared: boolean;
  readonly names: readonly Ident[];
  readonly type: Type;
  readonly initial?: Expr;
}

/** `norm = RmsNorm(D)`: a layer that belongs to this one. */
export interface PartDecl extends Node<'part'> {
  readonly doc?: string;
  readonly shared: boolean;
  readonly name: Ident;
  readonly value: Value;
}

/** What a part, an argument or a list element may be. */
export type Value = Repeat | Mixture | Expr;

/** `repeat i in n of X`, or over a list with a table. */
export interface Repeat extends Node<'repeat'> {
  readonly binder?: Ident;
  readonly count: Expr;
  readonly of: Value | Table;
}

/** `{ "sliding_attention": A()  "full_attention": B() }`: what each item of a list stands for. */
export interface Table extends Node<'table'> {
  readonly rows: readonly Row[];
}

/** One line of a table: `"full_attention": B()`. */
export interface Row extends Node<'row'> {
  readonly key: NumberLiteral | StringLiteral | BoolLiteral;
  readonly value: Value;
}

/** `mixture n of L { … }` or `mixture n of L by R`. */
export interface Mixture extends Node<'mixture'> {
  readonly count: Expr;
  readonly of: Value;
  readonly router: Settings | By;
}

/** `by R`: the layer that routes. */
export interface By extends Node<'by'> {
  readonly value: Value;
}

/** `{ score = linear  pick = top(2) }`. */
export interface Settings extends Node<'settings'> {
  readonly settings: readonly Setting[];
}

/** `pick = top(2)`. */
export interface Setting extends Node<'setting'> {
  readonly name: Ident;
  readonly value: SettingValue;
}

/** What a setting may be. */
export type SettingValue = Value | FromFile;

/** `from "small.experts.safetensors"`: as a file has it. */
export interface FromFile extends Node<'from-file'> {
  readonly file: StringLiteral;
}

/** `forward(x: [B, S, D]) -> [B, S, D] { … return … }`. */
export interface Forward extends Node<'forward'> {
  readonly formals: readonly Formal[];
  readonly results: readonly Result[];
  readonly statements: readonly Statement[];
  readonly returns: readonly Expr[];
  /** The stretch of the `return` statement. */
  readonly returnSpan: Span;
}

/** A result of a `forward`: its type, with a name where it has one. */
export interface Result extends Node<'result'> {
  readonly name?: Ident;
  readonly type: Type;
}

/** `a, b = split(x, 2)`. */
export interface Statement extends Node<'statement'> {
  readonly targets: readonly Ident[];
  readonly value: Expr;
}

/** `model Llama for "llama" { … }` or `model A from B { … }`. */
export interface ModelDecl extends Node<'model'> {
  readonly doc?: string;
  readonly name: Ident;
  readonly what: Defined | Derived;
}

/** A model of its own: `for` the families named, with a body. */
export interface Defined extends Node<'defined'> {
  readonly families: readonly StringLiteral[];
  readonly body: Body;
}

/** A model made from another. */
export interface Derived extends Node<'derived'> {
  readonly from: Ident | StringLiteral;
  readonly derivations: readonly Derivation[];
  readonly weights?: Weights;
}

/** `emergent blocks[10..20].ffn { … }`: a pass, a path and settings. */
export interface Derivation extends Node<'derivation'> {
  readonly pass: Ident;
  readonly path: Path;
  readonly settings: Settings;
}

/** `weights from "…" { path <- source }`. */
export interface Weights extends Node<'weights'> {
  readonly from?: StringLiteral;
  readonly bindings: readonly Binding[];
}

/** `q <- "q_proj.weight".T`. */
export interface Binding extends Node<'binding'> {
  readonly targets: readonly Path[];
  readonly source: Expr;
}

/** `train T of Model { … }`. */
export interface TrainDecl extends Node<'train'> {
  readonly doc?: string;
  readonly name: Ident;
  readonly of: Ident;
  readonly settings: readonly Setting[];
  readonly forward: Forward;
}

/** `blocks[i].ffn.gate`: the left of a binding, the object of a derivation. */
export interface Path extends Node<'path'> {
  readonly head: Ident;
  readonly suffixes: readonly Suffix[];
}

/** A step of a path, or an index into a stack. */
export type Suffix = DotSuffix | IndexSuffix;

/** `.ffn`. */
export interface DotSuffix extends Node<'dot'> {
  readonly name: Ident;
}

/** `[i]`, `[10..20]`. */
export interface IndexSuffix extends Node<'indices'> {
  readonly indices: readonly Index[];
}

/** What stands between the brackets of an index. */
export type Index = At | Range;

/** One index: `3`, `i`, `i in [8, 10]`. */
export interface At extends Node<'at'> {
  readonly binder?: Ident;
  readonly value: Expr;
}

/** `a..b`, `a..`, `..b` or `..`; half-open. */
export interface Range extends Node<'range'> {
  readonly binder?: Ident;
  readonly from?: Expr;
  readonly to?: Expr;
}

/** The type of a formal, a weight or a result. */
export type Type = LayerType | TensorType;

/** `layer`: any layer. */
export interface LayerType extends Node<'layer-type'> {}

/** `i64[B, S]`, `[B, S]`, `f32[]`, `int`: `dtype` absent means f32; `dims` absent means a constant of that type. */
export interface TensorType extends Node<'tensor-type'> {
  readonly dtype?: Ident;
  readonly dims?: List;
}

/** `[a, b, ..]`: a shape, a list or a stack. */
export interface List extends Node<'list'> {
  readonly items: readonly (Value | Rest)[];
}

/** `..` inside a list: all that is left. */
export interface Rest extends Node<'rest'> {}

/** An expression, by its kind. */
export type Expr = Binary | Negate | Dot | Indexed | Call | Paren | List | Name | NumberLiteral | StringLiteral | BoolLiteral;

/** What stands between two operands; `@` multiplies matrices. */
export type BinaryOperator = '==' | '!=' | '<=' | '>=' | '<' | '>' | '+' | '-' | '*' | '/' | '%' | '@';

/** `a + b`. */
export interface Binary extends Node<'binary'> {
  readonly operator: BinaryOperator;
  readonly operatorSpan: Span;
  readonly left: Expr;
  readonly right: Expr;
}

/** `-x`. */
export interface Negate extends Node<'negate'> {
  readonly operand: Expr;
}

/** `x.T`, `blocks.norm`. */
export interface Dot extends Node<'member'> {
  readonly object: Expr;
  readonly name: Ident;
}

/** `x[.., new]`, `blocks[2..5]`. */
export interface Indexed extends Node<'indexed'> {
  readonly object: Expr;
  readonly indices: readonly Index[];
}

/** `f(x, axis: -1)`: an op, a layer or a part. */
export interface Call extends Node<'call'> {
  readonly callee: Expr;
  readonly args: readonly Argument[];
}

/** `x` or `axis: -1`. */
export interface Argument extends Node<'argument'> {
  readonly name?: Ident;
  readonly value: Value;
}

/** `(x)`: kept for the formatter. */
export interface Paren extends Node<'paren'> {
  readonly inner: Expr;
}

/** A word that stands for what is declared under it. */
export interface Name extends Node<'name'> {
  readonly text: string;
}

/** `64`, `50_304`, `1e-5`. */
export interface NumberLiteral extends Node<'number'> {
  readonly value: number;
  /** Whether it was written with a point or an exponent. */
  readonly float: boolean;
  readonly text: string;
}

/** `value` is the text between the quotes, escapes resolved. */
export interface StringLiteral extends Node<'string'> {
  readonly value: string;
}

/** `true` or `false`. */
export interface BoolLiteral extends Node<'bool'> {
  readonly value: boolean;
}

/** A comment with where it stands, for the formatter. `doc` marks `///`. */
export interface Comment {
  readonly span: Span;
  readonly text: string;
  readonly doc: boolean;
}
