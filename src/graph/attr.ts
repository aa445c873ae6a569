/** Telling the kinds of settings apart, and comparing them. */

import type { Dim } from './dim.ts';
import { type NdArray, ndArray } from './nd-array.ts';
import type { Float, Floats, ForeignAttr, Raw } from './onnx.ts';
import type { Attr } from './op.ts';

const isObject = (attr: unknown): attr is object => typeof attr === 'object' && attr !== null && !Array.isArray(attr);

/** Whether the setting is an array of numbers with a shape. */
export function isArray(attr: Attr): attr is NdArray {
  return isObject(attr) && 'data' in attr;
}

/** Whether the setting is a symbolic size. */
export function isDim(attr: Attr): attr is Dim {
  return isObject(attr) && 'terms' in attr;
}

/** Whether the setting is a float attribute of ONNX. */
export function isFloat(attr: Attr): attr is Float {
  return isObject(attr) && 'kind' in attr && attr.kind === 'float';
}

/** Whether the setting is a list of floats of ONNX. */
export function isFloats(attr: Attr): attr is Floats {
  return isObject(attr) && 'kind' in attr && attr.kind === 'floats';
}

/** Whether the setting is an attribute of ONNX that is carried as bytes. */
export function isRaw(attr: Attr): attr is Raw {
  return isObject(attr) && 'kind' in attr && attr.kind === 'raw';
}

/** The array that a `Constant` of ONNX with this setting is; undefined for text and for what is carried as bytes. */
export function constantArray(attr: Attr | ForeignAttr): NdArray | undefined {
  if (typeof attr === 'number') return ndArray([], [attr], 'i64');
  if (isArray(attr)) return attr;
  if (isFloat(attr)) return ndArray([], [attr.value]);
  if (isFloats(attr)) return ndArray([attr.values.length], attr.values);
  return Array.isArray(attr) && attr.every((one) => typeof one === 'number') ? ndArray([attr.length], attr, 'i64') : undefined;
}

/** Whether two settings mean the same. */
export function sameAttr(a: Attr, b: Attr): boolean {
  return a === b || keyOfAttr(a) === keyOfAttr(b);
}

/** A text that two settings share exactly when they mean the same. */
export function keyOfAttr(attr: Attr): string {
  if (typeof attr === 'number') return Object.is(attr, -0) ? '-0' : String(attr);
  if (attr === undefined || typeof attr === 'boolean') return String(attr);
  if (typeof attr === 'string') return JSON.stringify(attr);
  if (isArray(attr)) return `${attr.dtype}[${attr.dims.join()}]{${attr.data.join()}}`;
  if (isFloat(attr)) return `float ${attr.value}`;
  if (isFloats(attr)) return `floats ${attr.values.join()}`;
  if (isRaw(attr)) return `raw ${attr.bytes.join()}`;
  if (isDim(attr)) return `dim ${keyOfDim(attr)}`;
  return `[${attr.map((one: Attr) => keyOfAttr(one)).join()}]`;
}

function keyOfDim(size: Dim): string {
  return size.terms.map(({ numerator, denominator, powers }) => `${numerator}/${denominator}${powers.map(([name, power]) => ` ${name}^${power}`).join('')}`).join(' + ');
}
