/** Settings of foreign nodes to AttributeProto and back. */

import { Bug } from '../diagnostics/bug.ts';
import { type ForeignAttr, float, floats, type Raw } from '../graph/onnx.ts';
import type { Attr } from '../graph/op.ts';
import { type AttributeProto, attributeTypes, type Int } from './messages.ts';
import { arrayOf, roundedArray, tensorOf } from './tensor.ts';
import { decode, encode } from './wire.ts';

const utf8 = new TextEncoder();

/** The setting as an attribute; undefined where it is left out. */
export function attributeOf(name: string, attr: Attr | ForeignAttr): AttributeProto | undefined {
  if (attr === undefined) return undefined;
  if (typeof attr === 'number' || typeof attr === 'boolean') return { name, type: attributeTypes.int, i: whole(name, Number(attr)) };
  if (typeof attr === 'string') return { name, type: attributeTypes.string, s: utf8.encode(attr) };
  if (isList(attr)) return listOf(name, attr);
  if ('data' in attr) return { name, type: attributeTypes.tensor, t: tensorOf(attr) };
  if ('terms' in attr) throw new Bug(`${name} is a symbolic size: lowerings make values of those`);
  switch (attr.kind) {
    case 'float':
      return { name, type: attributeTypes.float, f: attr.value };
    case 'floats':
      return { name, type: attributeTypes.floats, floats: attr.values };
    case 'raw':
      return { ...decode('AttributeProto', attr.bytes), name };
  }
}

const isList = (attr: object): attr is readonly unknown[] => Array.isArray(attr);

function listOf(name: string, list: readonly unknown[]): AttributeProto {
  const texts = list.filter((one) => typeof one === 'string');
  if (texts.length === list.length && list.length > 0) return { name, type: attributeTypes.strings, strings: texts.map((one) => utf8.encode(one)) };
  return { name, type: attributeTypes.ints, ints: list.map((one) => (typeof one === 'number' ? whole(name, one) : refuse(name))) };
}

function whole(name: string, value: number): number {
  if (!Number.isSafeInteger(value)) throw new Bug(`${name} is ${value}: a float attribute is written float(${value})`);
  return value;
}

function refuse(name: string): never {
  throw new Bug(`${name} is a list of neither numbers nor texts`);
}

/** A reference to an attribute of the function around the node. */
export function reference(name: string, type: keyof typeof attributeTypes): Raw {
  return rawAttribute({ refAttrName: name, type: attributeTypes[type] });
}

/** An attribute carried as it is. */
export function rawAttribute(attribute: AttributeProto): Raw {
  const { name: _, ...content } = attribute;
  const rounded = attribute.t && roundedArray(attribute.t);
  return { kind: 'raw', bytes: encode('AttributeProto', content), ...(rounded ? { rounded } : {}) };
}

/** The setting an attribute stands for; what the graph has no kind for is carried as it is. Graphs are the caller's. */
export function attrOf(attribute: AttributeProto): ForeignAttr {
  return plain(attribute) ?? rawAttribute(attribute);
}

function plain(attribute: AttributeProto): ForeignAttr {
  if (attribute.refAttrName || attribute.docString || attribute.unknown) return undefined;
  switch (attribute.type) {
    case attributeTypes.float:
      return float(attribute.f ?? 0);
    case attributeTypes.int:
      return exact(attribute.i ?? 0);
    case attributeTypes.string:
      return textOf(attribute.s ?? new Uint8Array());
    case attributeTypes.floats:
      return floats(attribute.floats ?? []);
    case attributeTypes.ints:
      return exactAll(attribute.ints ?? []);
    case attributeTypes.strings:
      return textsOf(attribute.strings ?? []);
    case attributeTypes.tensor: {
      // The name that a tensor has here means nothing, and most writers give it one.
      const bare = attribute.t && !attribute.t.docString && !attribute.t.metadataProps && !attribute.t.unknown;
      return bare && attribute.t ? arrayOf(attribute.t) : undefined;
    }
    default:
      return undefined;
  }
}

const exact = (value: Int): number | undefined => (typeof value === 'number' ? value : undefined);

function exactAll(values: readonly Int[]): readonly number[] | undefined {
  return values.every((value): value is number => typeof value === 'number') ? values : undefined;
}

/** Text, where the bytes are UTF-8: writing it gives the same bytes. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** An empty list stays raw: written plainly it would be a list of numbers. */
function textsOf(list: readonly Uint8Array[]): readonly string[] | undefined {
  const texts = list.map(textOf);
  return texts.length > 0 && texts.every((one) => one !== undefined) ? texts : undefined;
}

/** The attribute with its kind stated; the first versions of the format left that to be seen from which field is there. */
export function typedAttribute(attribute: AttributeProto): AttributeProto {
  if (attribute.type) return attribute;
  const [, type] = fields.find(([field]) => attribute[field] !== undefined) ?? [];
  return type === undefined ? attribute : { ...attribute, type };
}

const fields = [
  ['f', attributeTypes.float],
  ['i', attributeTypes.int],
  ['s', attributeTypes.string],
  ['t', attributeTypes.tensor],
  ['g', attributeTypes.graph],
  ['floats', attributeTypes.floats],
  ['ints', attributeTypes.ints],
  ['strings', attributeTypes.strings],
  ['tensors', attributeTypes.tensors],
  ['graphs', attributeTypes.graphs],
] as const;
