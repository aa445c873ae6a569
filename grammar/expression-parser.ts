/** The inner half of the grammar: values, paths, types and expressions. `parser.ts` adds the declarations on top. */

import type { IParserConfig, TokenType } from 'chevrotain';
import { CstParser } from './chevrotain.ts';
import { errorMessages } from './messages.ts';
import * as t from './tokens.ts';

const openers: ReadonlySet<TokenType> = new Set([t.BraceOpen, t.ParenOpen, t.BracketOpen]);

/** The rules of everything that stands inside a declaration. */
export class ExpressionParser extends CstParser {
  constructor(config: IParserConfig) {
    super(t.vocabulary, { maxLookahead: 2, recoveryEnabled: true, nodeLocationTracking: 'onlyOffset', errorMessageProvider: errorMessages, ...config });
  }

  /** An opening bracket made up for recovery would have the parser read what follows as its content. */
  override canTokenTypeBeInsertedInRecovery(type: TokenType): boolean {
    return !openers.has(type);
  }

  protected readonly value = this.RULE('value', () => {
    this.OR([{ ALT: () => this.SUBRULE(this.repeat) }, { ALT: () => this.SUBRULE(this.mixture) }, { ALT: () => this.SUBRULE(this.expr) }]);
  });

  protected readonly repeat = this.RULE('repeat', () => {
    this.CONSUME(t.Repeat);
    this.OPTION(() => {
      this.CONSUME(t.Name);
      this.CONSUME(t.In);
    });
    this.SUBRULE(this.expr);
    this.CONSUME(t.Of);
    this.OR([{ ALT: () => this.SUBRULE(this.table) }, { ALT: () => this.SUBRULE(this.value) }]);
  });

  protected readonly mixture = this.RULE('mixture', () => {
    this.CONSUME(t.Mixture);
    this.SUBRULE(this.expr);
    this.CONSUME(t.Of);
    this.SUBRULE(this.value);
    this.OR([{ ALT: () => this.SUBRULE(this.settings) }, { ALT: () => this.SUBRULE(this.by) }]);
  });

  protected readonly by = this.RULE('by', () => {
    this.CONSUME(t.By);
    this.SUBRULE(this.value);
  });

  protected readonly table = this.RULE('table', () => {
    this.CONSUME(t.BraceOpen);
    this.AT_LEAST_ONE(() => this.SUBRULE(this.row));
    this.CONSUME(t.BraceClose);
  });

  protected readonly row = this.RULE('row', () => {
    this.OR([{ ALT: () => this.CONSUME(t.StringToken) }, { ALT: () => this.CONSUME(t.NumberToken) }, { ALT: () => this.CONSUME(t.True) }, { ALT: () => this.CONSUME(t.False) }]);
    this.CONSUME(t.Colon);
    this.SUBRULE(this.value);
  });

  protected readonly settings = this.RULE('settings', () => {
    this.CONSUME(t.BraceOpen);
    this.MANY(() => this.SUBRULE(this.setting));
    this.CONSUME(t.BraceClose);
  });

  protected readonly setting = this.RULE('setting', () => {
    this.CONSUME(t.Name);
    this.CONSUME(t.Assign);
    this.SUBRULE(this.settingValue);
  });

  readonly settingValue = this.RULE('settingValue', () => {
    this.OR([{ ALT: () => this.SUBRULE(this.fromFile) }, { ALT: () => this.SUBRULE(this.value) }]);
  });

  protected readonly fromFile = this.RULE('fromFile', () => {
    this.CONSUME(t.From);
    this.CONSUME(t.StringToken);
  });

  protected readonly path = this.RULE('path', () => {
    this.CONSUME(t.Name);
    this.MANY(() => this.SUBRULE(this.suffix));
  });

  protected readonly suffix = this.RULE('suffix', () => {
    this.OR([{ ALT: () => this.SUBRULE(this.dot) }, { ALT: () => this.SUBRULE(this.indices) }]);
  });

  protected readonly dot = this.RULE('dot', () => {
    this.CONSUME(t.Dot);
    this.CONSUME(t.Word);
  });

  protected readonly indices = this.RULE('indices', () => {
    this.CONSUME(t.BracketOpen);
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.index) });
    this.CONSUME(t.BracketClose);
  });

  protected readonly index = this.RULE('index', () => {
    this.OPTION(() => {
      this.CONSUME(t.Name);
      this.CONSUME(t.In);
    });
    this.OR([
      {
        ALT: () => {
          this.CONSUME(t.Dots);
          this.OPTION1(() => this.SUBRULE(this.expr, { LABEL: 'to' }));
        },
      },
      {
        ALT: () => {
          this.SUBRULE1(this.expr, { LABEL: 'at' });
          this.OPTION2(() => {
            this.CONSUME1(t.Dots);
            this.OPTION3(() => this.SUBRULE2(this.expr, { LABEL: 'to' }));
          });
        },
      },
    ]);
  });

  protected readonly type = this.RULE('type', () => {
    this.OR([
      { ALT: () => this.CONSUME(t.Layer) },
      {
        ALT: () => {
          this.CONSUME(t.Name);
          this.OPTION(() => this.SUBRULE(this.list));
        },
      },
      { ALT: () => this.SUBRULE1(this.list) },
    ]);
  });

  protected readonly list = this.RULE('list', () => {
    this.CONSUME(t.BracketOpen);
    this.MANY_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.element) });
    this.CONSUME(t.BracketClose);
  });

  protected readonly element = this.RULE('element', () => {
    this.OR([{ ALT: () => this.CONSUME(t.Dots) }, { ALT: () => this.SUBRULE(this.value) }]);
  });

  protected readonly expr = this.RULE('expr', () => {
    this.SUBRULE(this.sum);
    this.OPTION(() => {
      this.CONSUME(t.Comparison);
      this.SUBRULE1(this.sum);
    });
  });

  protected readonly sum = this.RULE('sum', () => {
    this.SUBRULE(this.product);
    this.MANY(() => {
      this.CONSUME(t.Additive);
      this.SUBRULE1(this.product);
    });
  });

  protected readonly product = this.RULE('product', () => {
    this.SUBRULE(this.unary);
    this.MANY(() => {
      this.CONSUME(t.Multiplicative);
      this.SUBRULE1(this.unary);
    });
  });

  protected readonly unary = this.RULE('unary', () => {
    this.OPTION(() => this.CONSUME(t.Minus));
    this.SUBRULE(this.atom);
    this.MANY(() => this.SUBRULE(this.postfix));
  });

  protected readonly postfix = this.RULE('postfix', () => {
    this.OR([{ ALT: () => this.SUBRULE(this.suffix) }, { ALT: () => this.SUBRULE(this.call) }]);
  });

  protected readonly call = this.RULE('call', () => {
    this.CONSUME(t.ParenOpen);
    this.MANY_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.argument) });
    this.CONSUME(t.ParenClose);
  });

  protected readonly argument = this.RULE('argument', () => {
    this.OPTION(() => {
      this.CONSUME(t.Word);
      this.CONSUME(t.Colon);
    });
    this.SUBRULE(this.value);
  });

  protected readonly atom = this.RULE('atom', () => {
    this.OR([
      { ALT: () => this.CONSUME(t.NumberToken) },
      { ALT: () => this.CONSUME(t.StringToken) },
      { ALT: () => this.CONSUME(t.True) },
      { ALT: () => this.CONSUME(t.False) },
      { ALT: () => this.CONSUME(t.Name) },
      { ALT: () => this.SUBRULE(this.paren) },
      { ALT: () => this.SUBRULE(this.list) },
    ]);
  });

  protected readonly paren = this.RULE('paren', () => {
    this.CONSUME(t.ParenOpen);
    this.SUBRULE(this.expr);
    this.CONSUME(t.ParenClose);
  });
}
