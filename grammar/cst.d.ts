import type { CstNode, ICstVisitor, IToken } from "chevrotain";

export interface ValueCstNode extends CstNode {
  name: "value";
  children: ValueCstChildren;
}

export type ValueCstChildren = {
  repeat?: RepeatCstNode[];
  mixture?: MixtureCstNode[];
  expr?: ExprCstNode[];
};

export interface RepeatCstNode extends CstNode {
  name: "repeat";
  children: RepeatCstChildren;
}

export type RepeatCstChildren = {
  Repeat: IToken[];
  NAME?: IToken[];
  In?: IToken[];
  expr: ExprCstNode[];
  Of: IToken[];
  table?: TableCstNode[];
  value?: ValueCstNode[];
};

export interface MixtureCstNode extends CstNode {
  name: "mixture";
  children: MixtureCstChildren;
}

export type MixtureCstChildren = {
  Mixture: IToken[];
  expr: ExprCstNode[];
  Of: IToken[];
  value: ValueCstNode[];
  settings?: SettingsCstNode[];
  by?: ByCstNode[];
};

export interface ByCstNode extends CstNode {
  name: "by";
  children: ByCstChildren;
}

export type ByCstChildren = {
  By: IToken[];
  value: ValueCstNode[];
};

export interface TableCstNode extends CstNode {
  name: "table";
  children: TableCstChildren;
}

export type TableCstChildren = {
  BRACE_OPEN: IToken[];
  row: RowCstNode[];
  BRACE_CLOSE: IToken[];
};

export interface RowCstNode extends CstNode {
  name: "row";
  children: RowCstChildren;
}

export type RowCstChildren = {
  STRING?: IToken[];
  NUMBER?: IToken[];
  True?: IToken[];
  False?: IToken[];
  COLON: IToken[];
  value: ValueCstNode[];
};

export interface SettingsCstNode extends CstNode {
  name: "settings";
  children: SettingsCstChildren;
}

export type SettingsCstChildren = {
  BRACE_OPEN: IToken[];
  setting?: SettingCstNode[];
  BRACE_CLOSE: IToken[];
};

export interface SettingCstNode extends CstNode {
  name: "setting";
  children: SettingCstChildren;
}

export type SettingCstChildren = {
  NAME: IToken[];
  ASSIGN: IToken[];
  value: ValueCstNode[];
};

export interface PathCstNode extends CstNode {
  name: "path";
  children: PathCstChildren;
}

export type PathCstChildren = {
  NAME: IToken[];
  suffix?: SuffixCstNode[];
};

export interface SuffixCstNode extends CstNode {
  name: "suffix";
  children: SuffixCstChildren;
}

export type SuffixCstChildren = {
  dot?: DotCstNode[];
  indices?: IndicesCstNode[];
};

export interface DotCstNode extends CstNode {
  name: "dot";
  children: DotCstChildren;
}

export type DotCstChildren = {
  DOT: IToken[];
  WORD: IToken[];
};

export interface IndicesCstNode extends CstNode {
  name: "indices";
  children: IndicesCstChildren;
}

export type IndicesCstChildren = {
  BRACKET_OPEN: IToken[];
  index: IndexCstNode[];
  COMMA?: IToken[];
  BRACKET_CLOSE: IToken[];
};

export interface IndexCstNode extends CstNode {
  name: "index";
  children: IndexCstChildren;
}

export type IndexCstChildren = {
  NAME?: IToken[];
  In?: IToken[];
  DOTS?: (IToken)[];
  to?: (ExprCstNode)[];
  at?: ExprCstNode[];
};

export interface TypeCstNode extends CstNode {
  name: "type";
  children: TypeCstChildren;
}

export type TypeCstChildren = {
  Layer?: IToken[];
  NAME?: IToken[];
  list?: (ListCstNode)[];
};

export interface ListCstNode extends CstNode {
  name: "list";
  children: ListCstChildren;
}

export type ListCstChildren = {
  BRACKET_OPEN: IToken[];
  element?: ElementCstNode[];
  COMMA?: IToken[];
  BRACKET_CLOSE: IToken[];
};

export interface ElementCstNode extends CstNode {
  name: "element";
  children: ElementCstChildren;
}

export type ElementCstChildren = {
  DOTS?: IToken[];
  value?: ValueCstNode[];
};

export interface ExprCstNode extends CstNode {
  name: "expr";
  children: ExprCstChildren;
}

export type ExprCstChildren = {
  sum: (SumCstNode)[];
  COMPARISON?: IToken[];
};

export interface SumCstNode extends CstNode {
  name: "sum";
  children: SumCstChildren;
}

export type SumCstChildren = {
  product: (ProductCstNode)[];
  ADDITIVE?: IToken[];
};

export interface ProductCstNode extends CstNode {
  name: "product";
  children: ProductCstChildren;
}

export type ProductCstChildren = {
  unary: (UnaryCstNode)[];
  MULTIPLICATIVE?: IToken[];
};

export interface UnaryCstNode extends CstNode {
  name: "unary";
  children: UnaryCstChildren;
}

export type UnaryCstChildren = {
  MINUS?: IToken[];
  atom: AtomCstNode[];
  postfix?: PostfixCstNode[];
};

export interface PostfixCstNode extends CstNode {
  name: "postfix";
  children: PostfixCstChildren;
}

export type PostfixCstChildren = {
  suffix?: SuffixCstNode[];
  call?: CallCstNode[];
};

export interface CallCstNode extends CstNode {
  name: "call";
  children: CallCstChildren;
}

export type CallCstChildren = {
  PAREN_OPEN: IToken[];
  argument?: ArgumentCstNode[];
  COMMA?: IToken[];
  PAREN_CLOSE: IToken[];
};

export interface ArgumentCstNode extends CstNode {
  name: "argument";
  children: ArgumentCstChildren;
}

export type ArgumentCstChildren = {
  WORD?: IToken[];
  COLON?: IToken[];
  value: ValueCstNode[];
};

export interface AtomCstNode extends CstNode {
  name: "atom";
  children: AtomCstChildren;
}

export type AtomCstChildren = {
  NUMBER?: IToken[];
  STRING?: IToken[];
  True?: IToken[];
  False?: IToken[];
  NAME?: IToken[];
  paren?: ParenCstNode[];
  list?: ListCstNode[];
};

export interface ParenCstNode extends CstNode {
  name: "paren";
  children: ParenCstChildren;
}

export type ParenCstChildren = {
  PAREN_OPEN: IToken[];
  expr: ExprCstNode[];
  PAREN_CLOSE: IToken[];
};

export interface FileCstNode extends CstNode {
  name: "file";
  children: FileCstChildren;
}

export type FileCstChildren = {
  item?: ItemCstNode[];
};

export interface ItemCstNode extends CstNode {
  name: "item";
  children: ItemCstChildren;
}

export type ItemCstChildren = {
  importDecl?: ImportDeclCstNode[];
  dimDecl?: DimDeclCstNode[];
  paramDecl?: ParamDeclCstNode[];
  layerDecl?: LayerDeclCstNode[];
  modelDecl?: ModelDeclCstNode[];
  trainDecl?: TrainDeclCstNode[];
};

export interface ImportDeclCstNode extends CstNode {
  name: "importDecl";
  children: ImportDeclCstChildren;
}

export type ImportDeclCstChildren = {
  Import: IToken[];
  BRACE_OPEN: IToken[];
  names: IToken[];
  COMMA?: IToken[];
  BRACE_CLOSE: IToken[];
  From: IToken[];
  STRING: IToken[];
};

export interface DimDeclCstNode extends CstNode {
  name: "dimDecl";
  children: DimDeclCstChildren;
}

export type DimDeclCstChildren = {
  Dim: IToken[];
  names: IToken[];
  COMMA?: IToken[];
};

export interface ParamDeclCstNode extends CstNode {
  name: "paramDecl";
  children: ParamDeclCstChildren;
}

export type ParamDeclCstChildren = {
  Param: IToken[];
  NAME: IToken[];
  COLON?: IToken[];
  type?: TypeCstNode[];
  ASSIGN: IToken[];
  expr: ExprCstNode[];
  From?: IToken[];
  Config?: IToken[];
  strings?: IToken[];
  COMMA?: IToken[];
};

export interface LayerDeclCstNode extends CstNode {
  name: "layerDecl";
  children: LayerDeclCstChildren;
}

export type LayerDeclCstChildren = {
  Layer: IToken[];
  NAME: IToken[];
  formals: FormalsCstNode[];
  body: BodyCstNode[];
};

export interface BodyCstNode extends CstNode {
  name: "body";
  children: BodyCstChildren;
}

export type BodyCstChildren = {
  BRACE_OPEN: IToken[];
  member?: MemberCstNode[];
  forwardDecl: ForwardDeclCstNode[];
  weightsDecl?: WeightsDeclCstNode[];
  BRACE_CLOSE: IToken[];
};

export interface FormalsCstNode extends CstNode {
  name: "formals";
  children: FormalsCstChildren;
}

export type FormalsCstChildren = {
  PAREN_OPEN: IToken[];
  formal?: FormalCstNode[];
  COMMA?: IToken[];
  PAREN_CLOSE: IToken[];
};

export interface FormalCstNode extends CstNode {
  name: "formal";
  children: FormalCstChildren;
}

export type FormalCstChildren = {
  NAME: IToken[];
  COLON: IToken[];
  type: TypeCstNode[];
  ASSIGN?: IToken[];
  expr?: ExprCstNode[];
};

export interface MemberCstNode extends CstNode {
  name: "member";
  children: MemberCstChildren;
}

export type MemberCstChildren = {
  requirement?: RequirementCstNode[];
  Shared?: (IToken)[];
  weightDecl?: (WeightDeclCstNode)[];
  partDecl?: (PartDeclCstNode)[];
};

export interface RequirementCstNode extends CstNode {
  name: "requirement";
  children: RequirementCstChildren;
}

export type RequirementCstChildren = {
  Require: IToken[];
  expr: ExprCstNode[];
};

export interface WeightDeclCstNode extends CstNode {
  name: "weightDecl";
  children: WeightDeclCstChildren;
}

export type WeightDeclCstChildren = {
  Weight: IToken[];
  names: IToken[];
  COMMA?: IToken[];
  COLON: IToken[];
  type: TypeCstNode[];
  ASSIGN?: IToken[];
  expr?: ExprCstNode[];
};

export interface PartDeclCstNode extends CstNode {
  name: "partDecl";
  children: PartDeclCstChildren;
}

export type PartDeclCstChildren = {
  NAME: IToken[];
  ASSIGN: IToken[];
  value: ValueCstNode[];
};

export interface ForwardDeclCstNode extends CstNode {
  name: "forwardDecl";
  children: ForwardDeclCstChildren;
}

export type ForwardDeclCstChildren = {
  Forward: IToken[];
  formals: FormalsCstNode[];
  ARROW: IToken[];
  results: ResultsCstNode[];
  BRACE_OPEN: IToken[];
  statement?: StatementCstNode[];
  returnStatement: ReturnStatementCstNode[];
  BRACE_CLOSE: IToken[];
};

export interface ResultsCstNode extends CstNode {
  name: "results";
  children: ResultsCstChildren;
}

export type ResultsCstChildren = {
  PAREN_OPEN?: IToken[];
  namedResult?: (NamedResultCstNode)[];
  COMMA?: IToken[];
  PAREN_CLOSE?: IToken[];
  type?: TypeCstNode[];
};

export interface NamedResultCstNode extends CstNode {
  name: "namedResult";
  children: NamedResultCstChildren;
}

export type NamedResultCstChildren = {
  NAME: IToken[];
  COLON: IToken[];
  type: TypeCstNode[];
};

export interface StatementCstNode extends CstNode {
  name: "statement";
  children: StatementCstChildren;
}

export type StatementCstChildren = {
  names: IToken[];
  COMMA?: IToken[];
  ASSIGN: IToken[];
  expr: ExprCstNode[];
};

export interface ReturnStatementCstNode extends CstNode {
  name: "returnStatement";
  children: ReturnStatementCstChildren;
}

export type ReturnStatementCstChildren = {
  Return: IToken[];
  expr: ExprCstNode[];
  COMMA?: IToken[];
};

export interface WeightsDeclCstNode extends CstNode {
  name: "weightsDecl";
  children: WeightsDeclCstChildren;
}

export type WeightsDeclCstChildren = {
  Weights: IToken[];
  From?: IToken[];
  STRING?: IToken[];
  BRACE_OPEN?: IToken[];
  binding?: BindingCstNode[];
  BRACE_CLOSE?: IToken[];
};

export interface BindingCstNode extends CstNode {
  name: "binding";
  children: BindingCstChildren;
}

export type BindingCstChildren = {
  path: PathCstNode[];
  COMMA?: IToken[];
  SOURCE: IToken[];
  expr: ExprCstNode[];
};

export interface ModelDeclCstNode extends CstNode {
  name: "modelDecl";
  children: ModelDeclCstChildren;
}

export type ModelDeclCstChildren = {
  Model: IToken[];
  NAME: IToken[];
  derived?: DerivedCstNode[];
  defined?: DefinedCstNode[];
};

export interface DefinedCstNode extends CstNode {
  name: "defined";
  children: DefinedCstChildren;
}

export type DefinedCstChildren = {
  For?: IToken[];
  strings?: IToken[];
  COMMA?: IToken[];
  body: BodyCstNode[];
};

export interface DerivedCstNode extends CstNode {
  name: "derived";
  children: DerivedCstChildren;
}

export type DerivedCstChildren = {
  From: IToken[];
  Onnx?: IToken[];
  STRING?: IToken[];
  NAME?: IToken[];
  BRACE_OPEN: IToken[];
  derivation?: DerivationCstNode[];
  weightsDecl?: WeightsDeclCstNode[];
  BRACE_CLOSE: IToken[];
};

export interface DerivationCstNode extends CstNode {
  name: "derivation";
  children: DerivationCstChildren;
}

export type DerivationCstChildren = {
  NAME: IToken[];
  path: PathCstNode[];
  settings: SettingsCstNode[];
};

export interface TrainDeclCstNode extends CstNode {
  name: "trainDecl";
  children: TrainDeclCstChildren;
}

export type TrainDeclCstChildren = {
  Train: IToken[];
  NAME: (IToken)[];
  Of: IToken[];
  BRACE_OPEN: IToken[];
  setting?: SettingCstNode[];
  forwardDecl: ForwardDeclCstNode[];
  BRACE_CLOSE: IToken[];
};

export interface ICstNodeVisitor<IN, OUT> extends ICstVisitor<IN, OUT> {
  value(children: ValueCstChildren, param?: IN): OUT;
  repeat(children: RepeatCstChildren, param?: IN): OUT;
  mixture(children: MixtureCstChildren, param?: IN): OUT;
  by(children: ByCstChildren, param?: IN): OUT;
  table(children: TableCstChildren, param?: IN): OUT;
  row(children: RowCstChildren, param?: IN): OUT;
  settings(children: SettingsCstChildren, param?: IN): OUT;
  setting(children: SettingCstChildren, param?: IN): OUT;
  path(children: PathCstChildren, param?: IN): OUT;
  suffix(children: SuffixCstChildren, param?: IN): OUT;
  dot(children: DotCstChildren, param?: IN): OUT;
  indices(children: IndicesCstChildren, param?: IN): OUT;
  index(children: IndexCstChildren, param?: IN): OUT;
  type(children: TypeCstChildren, param?: IN): OUT;
  list(children: ListCstChildren, param?: IN): OUT;
  element(children: ElementCstChildren, param?: IN): OUT;
  expr(children: ExprCstChildren, param?: IN): OUT;
  sum(children: SumCstChildren, param?: IN): OUT;
  product(children: ProductCstChildren, param?: IN): OUT;
  unary(children: UnaryCstChildren, param?: IN): OUT;
  postfix(children: PostfixCstChildren, param?: IN): OUT;
  call(children: CallCstChildren, param?: IN): OUT;
  argument(children: ArgumentCstChildren, param?: IN): OUT;
  atom(children: AtomCstChildren, param?: IN): OUT;
  paren(children: ParenCstChildren, param?: IN): OUT;
  file(children: FileCstChildren, param?: IN): OUT;
  item(children: ItemCstChildren, param?: IN): OUT;
  importDecl(children: ImportDeclCstChildren, param?: IN): OUT;
  dimDecl(children: DimDeclCstChildren, param?: IN): OUT;
  paramDecl(children: ParamDeclCstChildren, param?: IN): OUT;
  layerDecl(children: LayerDeclCstChildren, param?: IN): OUT;
  body(children: BodyCstChildren, param?: IN): OUT;
  formals(children: FormalsCstChildren, param?: IN): OUT;
  formal(children: FormalCstChildren, param?: IN): OUT;
  member(children: MemberCstChildren, param?: IN): OUT;
  requirement(children: RequirementCstChildren, param?: IN): OUT;
  weightDecl(children: WeightDeclCstChildren, param?: IN): OUT;
  partDecl(children: PartDeclCstChildren, param?: IN): OUT;
  forwardDecl(children: ForwardDeclCstChildren, param?: IN): OUT;
  results(children: ResultsCstChildren, param?: IN): OUT;
  namedResult(children: NamedResultCstChildren, param?: IN): OUT;
  statement(children: StatementCstChildren, param?: IN): OUT;
  returnStatement(children: ReturnStatementCstChildren, param?: IN): OUT;
  weightsDecl(children: WeightsDeclCstChildren, param?: IN): OUT;
  binding(children: BindingCstChildren, param?: IN): OUT;
  modelDecl(children: ModelDeclCstChildren, param?: IN): OUT;
  defined(children: DefinedCstChildren, param?: IN): OUT;
  derived(children: DerivedCstChildren, param?: IN): OUT;
  derivation(children: DerivationCstChildren, param?: IN): OUT;
  trainDecl(children: TrainDeclCstChildren, param?: IN): OUT;
}
