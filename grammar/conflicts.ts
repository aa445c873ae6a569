/**
 * Where two tokens are not enough to choose: FIRST₂ and FOLLOW₂ over the serialised grammar.
 *
 * The parser generator checks alternatives only. An ambiguous option or repetition builds without complaint and then rejects
 * valid text, so the generation of the grammar's artefacts and a test refuse any conflict found here.
 */

import type { ISerializedGast, TokenType } from 'chevrotain';

/** A serialised production, seen through the one shape that all kinds share. */
interface Production {
  readonly type: ISerializedGast['type'] | 'Rule' | 'Alternative';
  readonly name?: string;
  readonly definition?: readonly Production[];
  readonly separator?: Production;
}

/** Token names joined by blanks, at most two; fewer where the text described ends there. */
type Words = ReadonlySet<string>;

const length = 2;
const nothing: Words = new Set(['']);

/** The places of a grammar where two tokens do not decide, in words; `start` is the first rule. */
export function conflicts(grammar: readonly ISerializedGast[], tokens: readonly TokenType[], start: string): readonly string[] {
  const rules = grammar as readonly Production[];
  const terminals = expansion(tokens);
  const first = new Map<string, Words>(rules.map((rule) => [rule.name ?? '', new Set()]));
  const follow = new Map<string, Words>(rules.map((rule) => [rule.name ?? '', new Set(rule.name === start ? ['EOF'] : [])]));

  const firstOf = (production: Production): Words => {
    switch (production.type) {
      case 'Terminal':
        return terminals.get(production.name ?? '') ?? new Set([production.name ?? '']);
      case 'NonTerminal':
        return first.get(production.name ?? '') ?? nothing;
      case 'Alternation':
        return union(...inside(production).map(firstOf));
      case 'Option':
        return union(nothing, firstAll(inside(production)));
      case 'Repetition':
      case 'RepetitionWithSeparator':
        return union(nothing, repeated(production));
      case 'RepetitionMandatory':
      case 'RepetitionMandatoryWithSeparator':
        return repeated(production);
      default:
        return firstAll(inside(production));
    }
  };
  const firstAll = (productions: readonly Production[]): Words => productions.map(firstOf).reduce(concat, nothing);
  /** One round of a repetition and what later rounds add to it. */
  const repeated = (production: Production): Words => {
    const once = firstAll(inside(production));
    return concat(once, union(nothing, concat(separatorOf(production), once)));
  };
  const separatorOf = ({ separator }: Production): Words => (separator ? firstOf(separator) : nothing);

  /** Hands every production what can come after it. */
  const walk = (productions: readonly Production[], after: Words, visit: (production: Production, after: Words) => void): void => {
    let behind = after;
    for (const production of [...productions].reverse()) {
      visit(production, behind);
      const again = production.type.startsWith('Repetition') ? union(behind, concat(concat(separatorOf(production), firstAll(inside(production))), behind)) : behind;
      if (production.type === 'Alternation') for (const one of inside(production)) walk(inside(one), behind, visit);
      else if (production.type !== 'NonTerminal' && production.type !== 'Terminal') walk(inside(production), again, visit);
      behind = concat(firstOf(production), behind);
    }
  };

  settle(() => rules.map((rule) => grow(first, rule.name ?? '', firstAll(inside(rule)))).some(Boolean));
  settle(() => {
    let grown = false;
    for (const rule of rules)
      walk(inside(rule), follow.get(rule.name ?? '') ?? nothing, (production, after) => {
        if (production.type === 'NonTerminal') grown = grow(follow, production.name ?? '', after) || grown;
      });
    return grown;
  });

  const found: string[] = [];
  for (const rule of rules)
    walk(inside(rule), follow.get(rule.name ?? '') ?? nothing, (production, after) => {
      for (const [one, other, beyond] of choices(production, after, firstAll, separatorOf)) {
        const clash = clashOf(one, other, after, beyond);
        if (clash !== undefined) found.push(`${rule.name}: ${production.type} cannot decide on ${clash}`);
      }
    });
  return found;
}

/** The decisions of a production: what is tried first, what else could stand there, and what comes after that. */
function choices(
  production: Production,
  after: Words,
  firstAll: (productions: readonly Production[]) => Words,
  separatorOf: (production: Production) => Words,
): readonly (readonly [Words, Words, Words])[] {
  const inner = firstAll(inside(production));
  switch (production.type) {
    case 'Alternation': {
      const ways = inside(production).map((one) => firstAll(inside(one)));
      return ways.flatMap((one, i) => ways.slice(i + 1).map((other) => [one, other, after] as const));
    }
    case 'Option':
    case 'Repetition':
    case 'RepetitionMandatory':
      return [[inner, after, nothing]];
    case 'RepetitionWithSeparator':
    case 'RepetitionMandatoryWithSeparator': {
      const again = [concat(separatorOf(production), inner), after, nothing] as const;
      return production.type === 'RepetitionWithSeparator' ? [[inner, after, nothing], again] : [again];
    }
    default:
      return [];
  }
}

/**
 * Two tokens that begin both. `one` is compared with what follows it and without: the generator looks no further than
 * the end of an option's own content, so content that is the beginning of something else always wins.
 */
function clashOf(one: Words, other: Words, after: Words, beyond: Words): string | undefined {
  const otherwise = concat(other, beyond);
  const extended = concat(one, after);
  return [...otherwise].find((words) => words !== '' && (extended.has(words) || one.has(words) || one.has(words.split(' ')[0] ?? '')));
}

function inside(production: Production): readonly Production[] {
  return production.definition ?? [];
}

/** The tokens of the text that each token or category stands for. */
function expansion(tokens: readonly TokenType[]): ReadonlyMap<string, Words> {
  const concrete = tokens.filter((token) => token.PATTERN !== undefined && token.GROUP === undefined && token.PATTERN.toString() !== '/NOT_APPLICABLE/');
  const named = (token: TokenType, by: TokenType): boolean => token === by || (token.CATEGORIES ?? []).some((category) => named(category, by));
  return new Map(tokens.map((by) => [by.name, new Set(concrete.filter((token) => named(token, by)).map((token) => token.name))]));
}

function union(...sets: readonly Words[]): Words {
  return new Set(sets.flatMap((set) => [...set]));
}

function concat(left: Words, right: Words): Words {
  const result = new Set<string>();
  for (const a of left) {
    const taken = a === '' ? [] : a.split(' ');
    if (taken.length === length) result.add(a);
    else for (const b of right) result.add([...taken, ...(b === '' ? [] : b.split(' '))].slice(0, length).join(' '));
  }
  return result;
}

function grow(sets: Map<string, Words>, name: string, more: Words): boolean {
  const before = sets.get(name) ?? new Set();
  const after = union(before, more);
  sets.set(name, after);
  return after.size > before.size;
}

function settle(step: () => boolean): void {
  while (step());
}
