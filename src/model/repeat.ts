/** `repeat n of L`: layers in a row, from a count, a list, a table or a bound name. */

import type { Repeat, Table, Value } from '../../grammar/ast.ts';
import { constant } from '../graph/dim.ts';
import { int, isPlain, sameConstant, showConstant } from './arithmetic.ts';
import { type Env, fault } from './context.ts';
import { evaluate, evaluateValue, isOpen } from './evaluate.ts';
import { limits } from './limits.ts';
import { type Constant, isLayer, type LayerThing, poison, type Thing, thingWords } from './thing.ts';

/** The stack a `repeat` stands for. */
export function repeatLayers(repeat: Repeat, env: Env): Thing {
  const elements = elementsOf(repeat, env);
  if (!elements) return poison;
  const { items, open } = elements;
  if (repeat.of.kind === 'table') return fromTable(repeat.of, repeat, elements, env);
  const made: LayerThing[] = [];
  for (const item of items) {
    const layers = makeOne(repeat.of, repeat, item, env);
    if (!layers) return poison;
    made.push(...layers);
    if (made.length > limits.layers) return fault(env, 'too-many-layers', { limit: limits.layers }, { at: repeat.span });
  }
  return { kind: 'stack', items: made, open };
}

interface Elements {
  readonly items: readonly Constant[];
  /** Whether a list was given, rather than a count. */
  readonly list: boolean;
  /** One element stands for a number that is not known. */
  readonly open: boolean;
}

function elementsOf({ count }: Repeat, env: Env): Elements | undefined {
  const thing = evaluate(count, env);
  if (thing.kind === 'list') {
    if (!thing.items) return { items: [{ kind: 'string' }], list: true, open: true };
    const items = thing.items.filter(isPlain);
    if (items.length > limits.copies) return void fault(env, 'repeat-too-often', { count: items.length, limit: limits.copies }, { at: count.span });
    return { items, list: true, open: false };
  }
  if (thing.kind !== 'int') {
    if (thing.kind !== 'poison') fault(env, 'repeat-needs-count', { found: isPlain(thing) ? showConstant(thing) : thingWords[thing.kind] }, { at: count.span });
    return undefined;
  }
  const value = constant(thing.value);
  if (value === undefined) {
    if (isOpen(thing)) return { items: [thing], list: false, open: true };
    return void fault(env, 'size-not-known', { name: showConstant(thing) }, { at: count.span });
  }
  if (value < 0) return void fault(env, 'repeat-needs-count', { found: value }, { at: count.span });
  if (value > limits.copies) return void fault(env, 'repeat-too-often', { count: value, limit: limits.copies }, { at: count.span });
  return { items: Array.from({ length: value }, (_, i) => int(i)), list: false, open: false };
}

function makeOne(value: Value, repeat: Repeat, element: Constant, env: Env): readonly LayerThing[] | undefined {
  const inner: Env = repeat.binder ? { ...env, scopes: [new Map<string, Thing>([[repeat.binder.text, element]]), ...env.scopes] } : env;
  const thing = evaluateValue(value, inner);
  if (thing.kind === 'stack') return thing.items;
  if (isLayer(thing)) return [thing];
  if (thing.kind !== 'poison') fault(env, 'not-a-layer', { found: isPlain(thing) ? showConstant(thing) : thingWords[thing.kind] }, { at: value.span });
  return undefined;
}

function fromTable(table: Table, repeat: Repeat, { items, list, open }: Elements, env: Env): Thing {
  if (!list) return fault(env, 'table-needs-list', {}, { at: repeat.count.span, fixes: [{ text: 'give a list, such as `cycle(["a", "b"], L)`' }] });
  const rows = table.rows.map((row) => ({ row, key: evaluate(row.key, env) as Constant }));
  for (const [i, { row, key }] of rows.entries()) {
    const other = rows.slice(0, i).find((one) => sameKey(one.key, key));
    if (other) return fault(env, 'table-key-twice', { key: showConstant(key) }, { at: row.key.span, related: [{ span: other.row.key.span, text: 'stands here first' }] });
  }
  const made: LayerThing[] = [];
  for (const item of open ? rows.slice(0, 1).map(({ key }) => key) : items) {
    const found = rows.find(({ key }) => sameKey(key, item)) ?? (rows.every(({ key }) => mayBeKey(key, item)) ? rows[0] : undefined);
    if (!found)
      return fault(
        env,
        'table-key-missing',
        { key: showConstant(item) },
        {
          at: table.span,
          related: [{ span: repeat.count.span, text: `${showConstant(item)} is in this list` }],
          notes: [`the table has ${rows.map(({ key }) => showConstant(key)).join(', ')}`],
        },
      );
    const layers = makeOne(found.row.value, repeat, item, env);
    if (!layers) return poison;
    made.push(...layers);
  }
  return { kind: 'stack', items: made, open };
}

/** Tables compare by value: flags written 1 and 0 stand for bools. */
function compareKeys(key: Constant, item: Constant): boolean | undefined {
  const plain = (one: Constant): Constant => (one.kind === 'bool' && one.value !== undefined ? int(Number(one.value)) : one);
  return key.kind === item.kind ? sameConstant(key, item) : sameConstant(plain(key), plain(item));
}

const sameKey = (key: Constant, item: Constant): boolean => compareKeys(key, item) === true;

/** Whether an element that is not known, as in a layer checked alone, could be this key. */
const mayBeKey = (key: Constant, item: Constant): boolean => compareKeys(key, item) === undefined;
