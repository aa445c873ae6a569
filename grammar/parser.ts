/** The grammar: one rule per property, in the order of LANGUAGE.md. It yields a CST and knows nothing of meaning. */

import type { IParserConfig, TokenType } from 'chevrotain';
import { ExpressionParser } from './expression-parser.ts';
import * as t from './tokens.ts';

/**
 * The parser of `.moe` files: LL(2), with recovery.
 *
 * Where two alternatives share a soft word (`shared weight`, `shared = …`) they are written out in full, because the generator
 * looks into an option only as far as the option itself goes. `forward` and `return` stand before their rules, not in them:
 * a repetition recovers at its next element only if a token, not a rule, comes after it.
 */
export class MoeParser extends ExpressionParser {
  constructor(config: IParserConfig = {}) {
    super(config);
    this.performSelfAnalysis();
  }

  readonly file = this.RULE('file', () => {
    this.MANY(() => this.SUBRULE(this.item));
  });

  private readonly item = this.RULE('item', () => {
    this.OR([
      { ALT: () => this.SUBRULE(this.importDecl) },
      { ALT: () => this.SUBRULE(this.dimDecl) },
      { ALT: () => this.SUBRULE(this.paramDecl) },
      { ALT: () => this.SUBRULE(this.layerDecl) },
      { ALT: () => this.SUBRULE(this.modelDecl) },
      { ALT: () => this.SUBRULE(this.trainDecl) },
    ]);
  });

  private readonly importDecl = this.RULE('importDecl', () => {
    this.CONSUME(t.Import);
    this.CONSUME(t.BraceOpen);
    this.names();
    this.CONSUME(t.BraceClose);
    this.CONSUME(t.From);
    this.CONSUME(t.StringToken);
  });

  private readonly dimDecl = this.RULE('dimDecl', () => {
    this.CONSUME(t.Dim);
    this.names();
  });

  private readonly paramDecl = this.RULE('paramDecl', () => {
    this.CONSUME(t.Param);
    this.CONSUME(t.Name);
    this.OPTION(() => {
      this.CONSUME(t.Colon);
      this.SUBRULE(this.type);
    });
    this.CONSUME(t.Assign);
    this.SUBRULE(this.expr);
    this.OPTION1(() => {
      this.CONSUME(t.From);
      this.CONSUME(t.Config);
      this.strings();
    });
  });

  private readonly layerDecl = this.RULE('layerDecl', () => {
    this.CONSUME(t.Layer);
    this.CONSUME(t.Name);
    this.SUBRULE(this.formals);
    this.SUBRULE(this.body);
  });

  private readonly body = this.RULE('body', () => {
    this.CONSUME(t.BraceOpen);
    this.MANY({ GATE: () => this.beginsMember(), DEF: () => this.SUBRULE(this.member) });
    this.CONSUME(t.Forward);
    this.SUBRULE(this.equation);
    this.OPTION(() => this.SUBRULE(this.weightsDecl));
    this.CONSUME(t.BraceClose);
  });

  private readonly formals = this.RULE('formals', () => {
    this.CONSUME(t.ParenOpen);
    this.MANY_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.formal) });
    this.CONSUME(t.ParenClose);
  });

  private readonly formal = this.RULE('formal', () => {
    this.CONSUME(t.Name);
    this.CONSUME(t.Colon);
    this.SUBRULE(this.type);
    this.OPTION(() => {
      this.CONSUME(t.Assign);
      this.SUBRULE(this.expr);
    });
  });

  private readonly member = this.RULE('member', () => {
    this.OR([
      { ALT: () => this.SUBRULE(this.requirement) },
      {
        ALT: () => {
          this.CONSUME(t.Shared);
          this.SUBRULE(this.weightDecl);
        },
      },
      {
        ALT: () => {
          this.CONSUME1(t.Shared);
          this.SUBRULE(this.partDecl);
        },
      },
      { ALT: () => this.SUBRULE1(this.weightDecl) },
      { ALT: () => this.SUBRULE1(this.partDecl) },
    ]);
  });

  private readonly requirement = this.RULE('requirement', () => {
    this.CONSUME(t.Require);
    this.SUBRULE(this.expr);
  });

  private readonly weightDecl = this.RULE('weightDecl', () => {
    this.CONSUME(t.Weight);
    this.names();
    this.CONSUME(t.Colon);
    this.SUBRULE(this.type);
    this.OPTION(() => {
      this.CONSUME(t.Assign);
      this.SUBRULE(this.expr);
    });
  });

  private readonly partDecl = this.RULE('partDecl', () => {
    this.CONSUME(t.Name);
    this.CONSUME(t.Assign);
    this.SUBRULE(this.value);
  });

  private readonly equation = this.RULE('equation', () => {
    this.SUBRULE(this.formals);
    this.CONSUME(t.Arrow);
    this.SUBRULE(this.results);
    this.CONSUME(t.BraceOpen);
    this.MANY({ GATE: () => !this.beginsItem(), DEF: () => this.SUBRULE(this.statement) });
    this.CONSUME(t.Return);
    this.SUBRULE(this.returns);
    this.CONSUME(t.BraceClose);
  });

  private readonly results = this.RULE('results', () => {
    this.OR([
      {
        ALT: () => {
          this.CONSUME(t.ParenOpen);
          this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.namedResult) });
          this.CONSUME(t.ParenClose);
        },
      },
      { ALT: () => this.SUBRULE1(this.namedResult) },
      { ALT: () => this.SUBRULE(this.type) },
    ]);
  });

  private readonly namedResult = this.RULE('namedResult', () => {
    this.CONSUME(t.Name);
    this.CONSUME(t.Colon);
    this.SUBRULE(this.type);
  });

  private readonly statement = this.RULE('statement', () => {
    this.names();
    this.CONSUME(t.Assign);
    this.SUBRULE(this.expr);
  });

  private readonly returns = this.RULE('returns', () => {
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.expr) });
  });

  private readonly weightsDecl = this.RULE('weightsDecl', () => {
    this.CONSUME(t.Weights);
    this.OPTION(() => {
      this.CONSUME(t.From);
      this.CONSUME(t.StringToken);
    });
    this.OPTION1(() => {
      this.CONSUME(t.BraceOpen);
      this.MANY(() => this.SUBRULE(this.binding));
      this.CONSUME(t.BraceClose);
    });
  });

  private readonly binding = this.RULE('binding', () => {
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.path) });
    this.CONSUME(t.Source);
    this.SUBRULE(this.expr);
  });

  private readonly modelDecl = this.RULE('modelDecl', () => {
    this.CONSUME(t.Model);
    this.CONSUME(t.Name);
    this.OR([{ ALT: () => this.SUBRULE(this.derived) }, { ALT: () => this.SUBRULE(this.defined) }]);
  });

  private readonly defined = this.RULE('defined', () => {
    this.OPTION(() => {
      this.CONSUME(t.For);
      this.strings();
    });
    this.SUBRULE(this.body);
  });

  private readonly derived = this.RULE('derived', () => {
    this.CONSUME(t.From);
    this.OR([
      {
        ALT: () => {
          this.CONSUME(t.Onnx);
          this.CONSUME(t.StringToken);
        },
      },
      { ALT: () => this.CONSUME(t.Name) },
    ]);
    this.CONSUME(t.BraceOpen);
    this.MANY(() => this.SUBRULE(this.derivation));
    this.OPTION(() => this.SUBRULE(this.weightsDecl));
    this.CONSUME(t.BraceClose);
  });

  private readonly derivation = this.RULE('derivation', () => {
    this.CONSUME(t.Name);
    this.SUBRULE(this.path);
    this.SUBRULE(this.settings);
  });

  private readonly trainDecl = this.RULE('trainDecl', () => {
    this.CONSUME(t.Train);
    this.CONSUME(t.Name);
    this.CONSUME(t.Of);
    this.CONSUME1(t.Name);
    this.CONSUME(t.BraceOpen);
    this.MANY({ GATE: () => !this.beginsItem(), DEF: () => this.SUBRULE(this.setting) });
    this.CONSUME(t.Forward);
    this.SUBRULE(this.equation);
    this.CONSUME(t.BraceClose);
  });

  /**
   * Whether a member begins here. The rule itself would decide the same, but would fail without taking a token where
   * none does, and a repetition that is stuck does not recover.
   */
  private beginsMember(): boolean {
    const [first, second] = [this.LA(1).tokenType, this.LA(2).tokenType];
    if (first === t.Shared && second === t.Weight) return true;
    return first === t.Require || first === t.Weight || (isName(first) && (second === t.Assign || (first === t.Shared && isName(second))));
  }

  /** Whether a soft word begins a model or a training here: inside a block, where its closing bracket is missing. */
  private beginsItem(): boolean {
    const first = this.LA(1).tokenType;
    return (first === t.Model || first === t.Train) && isName(this.LA(2).tokenType);
  }

  /** `a, b, c`: at most once in a rule. */
  private names(): void {
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.CONSUME(t.Name, { LABEL: 'names' }) });
  }

  /** `"a", "b"`: at most once in a rule, and in no rule that also uses `names`. */
  private strings(): void {
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.CONSUME(t.StringToken, { LABEL: 'strings' }) });
  }
}

function isName(type: TokenType): boolean {
  return type === t.Name || (type.CATEGORIES ?? []).includes(t.Name);
}
