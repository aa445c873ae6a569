/** The words and signs of the language, in the order the lexer tries them. A label is what an error calls the token. */

import type { ITokenConfig, TokenType } from 'chevrotain';
import { createToken, Lexer } from './chevrotain.ts';

/** Any word at all: names, soft words and reserved words. It stands after a dot and before a colon in a call. */
export const Word = createToken({ name: 'WORD', label: 'a word', pattern: Lexer.NA });

/** A word that is free to be a name. */
export const Name = createToken({ name: 'NAME', label: 'a name', pattern: /[A-Za-z_][A-Za-z0-9_]*/, categories: [Word] });

/** The operators of one strength. */
export const Comparison = createToken({ name: 'COMPARISON', label: 'a comparison', pattern: Lexer.NA });
export const Additive = createToken({ name: 'ADDITIVE', label: '`+` or `-`', pattern: Lexer.NA });
export const Multiplicative = createToken({ name: 'MULTIPLICATIVE', label: '`*`, `/`, `%` or `@`', pattern: Lexer.NA });

const word = (text: string, categories: TokenType[]): TokenType => createToken({ name: title(text), label: `\`${text}\``, pattern: text, longer_alt: Name, categories });
const reserved = (text: string): TokenType => word(text, [Word]);
/** Reserved only where the grammar asks for it; a name everywhere else. */
const soft = (text: string): TokenType => word(text, [Name]);
const sign = (name: string, text: string, category?: TokenType): TokenType =>
  createToken({ name, label: `\`${text}\``, pattern: text, ...(category ? { categories: [category] } : {}) });

export const Import = reserved('import');
export const From = reserved('from');
export const Dim = reserved('dim');
export const Param = reserved('param');
export const Layer = reserved('layer');
export const Weight = reserved('weight');
export const Forward = reserved('forward');
export const Return = reserved('return');
export const Require = reserved('require');
export const Repeat = reserved('repeat');
export const Mixture = reserved('mixture');
export const Of = reserved('of');
export const True = reserved('true');
export const False = reserved('false');

export const Weights = soft('weights');
export const Shared = soft('shared');
export const Model = soft('model');
export const Train = soft('train');
export const Config = soft('config');
export const Onnx = soft('onnx');
export const By = soft('by');
export const In = soft('in');
export const For = soft('for');

/** The words that can never be names. */
export const reservedWords: readonly TokenType[] = [Import, From, Dim, Param, Layer, Weight, Forward, Return, Require, Repeat, Mixture, Of, True, False];
/** The words that are names wherever the grammar does not ask for them. */
export const softWords: readonly TokenType[] = [Weights, Shared, Model, Train, Config, Onnx, By, In, For];

/** `12`, `50_304`, `1e-5`, `0.5`; a point needs digits on both sides, so that `0..3` is a range. */
export const NumberToken = createToken({ name: 'NUMBER', label: 'a number', pattern: /\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d[\d_]*)?/ });
export const StringToken = createToken({ name: 'STRING', label: 'a string', pattern: /"(?:[^"\\\r\n]|\\[^\r\n])*"/ });
/** A string that its line ends; it parses as a string, and the lexer's report says what is wrong. */
export const OpenString = createToken({ name: 'OPEN_STRING', label: 'a string', pattern: /"(?:[^"\\\r\n]|\\[^\r\n])*\\?/, categories: [StringToken] });

export const BraceOpen = sign('BRACE_OPEN', '{');
export const BraceClose = sign('BRACE_CLOSE', '}');
export const ParenOpen = sign('PAREN_OPEN', '(');
export const ParenClose = sign('PAREN_CLOSE', ')');
export const BracketOpen = sign('BRACKET_OPEN', '[');
export const BracketClose = sign('BRACKET_CLOSE', ']');
export const Comma = sign('COMMA', ',');
export const Colon = sign('COLON', ':');
export const Dots = sign('DOTS', '..');
export const Dot = sign('DOT', '.');
export const Arrow = sign('ARROW', '->');
export const Source = sign('SOURCE', '<-');
export const Assign = sign('ASSIGN', '=');
export const Equal = sign('EQUAL', '==', Comparison);
export const Unequal = sign('UNEQUAL', '!=', Comparison);
export const AtMost = sign('AT_MOST', '<=', Comparison);
export const AtLeast = sign('AT_LEAST', '>=', Comparison);
export const Less = sign('LESS', '<', Comparison);
export const Greater = sign('GREATER', '>', Comparison);
export const Plus = sign('PLUS', '+', Additive);
export const Minus = sign('MINUS', '-', Additive);
export const Times = sign('TIMES', '*', Multiplicative);
export const Over = sign('OVER', '/', Multiplicative);
export const Modulo = sign('MODULO', '%', Multiplicative);
export const MatMul = sign('MAT_MUL', '@', Multiplicative);

const aside = (config: ITokenConfig): TokenType => createToken({ ...config, group: 'comments' });
const DocComment = aside({ name: 'DOC_COMMENT', pattern: /\/\/\/(?!\/)[^\r\n]*/ });
const LineComment = aside({ name: 'COMMENT', pattern: /\/\/[^\r\n]*/ });
const Blank = createToken({ name: 'BLANK', pattern: /[ \t\r\n\uFEFF]+/, group: Lexer.SKIPPED, line_breaks: true });

/** Longer words first, since the lexer takes the first that fits: `forward` before `for`, `weights` before `weight`. */
const words = [...reservedWords, ...softWords].sort((a, b) => b.name.length - a.name.length);

/** Every token that stands in a text, in the order the lexer tries them; two-character signs before their first half. */
// biome-ignore format: one group a line
export const tokenTypes: readonly TokenType[] = [
  Blank, DocComment, LineComment,
  ...words, Name, NumberToken, StringToken, OpenString,
  Arrow, Source, Dots, Equal, Unequal, AtMost, AtLeast,
  BraceOpen, BraceClose, ParenOpen, ParenClose, BracketOpen, BracketClose, Comma, Colon, Dot,
  Less, Greater, Assign, Plus, Minus, Times, Over, Modulo, MatMul,
];

/** The tokens a parser has to know: those of the text and the categories. */
export const vocabulary: TokenType[] = [...tokenTypes, Word, Comparison, Additive, Multiplicative];

/** Splits a text into tokens; comments go to the group `comments`. */
export const lexer = new Lexer([...vocabulary], { ensureOptimizations: true });

function title(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
