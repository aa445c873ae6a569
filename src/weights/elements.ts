/** Element types as bytes: little-endian numbers of every type to f64 and back. Used wherever numbers meet a file. */

import { Bug } from '../diagnostics/bug.ts';
import type { DType } from '../graph/type.ts';

/** The numbers in these bytes. i64 and u64 beyond 2^53 are rounded; everything else is exact. */
export function fromBytes(dtype: DType, bytes: Uint8Array): Float64Array {
  switch (dtype) {
    case 'f64':
      return new Float64Array(typed(Float64Array, bytes));
    case 'f32':
      return new Float64Array(typed(Float32Array, bytes));
    case 'f16':
      return throughTable(typed(Uint16Array, bytes), f16Table());
    case 'bf16':
      return throughTable(typed(Uint16Array, bytes), bf16Table());
    case 'i64':
      return fromHalves(bytes, true);
    case 'u64':
      return fromHalves(bytes, false);
    case 'i32':
      return new Float64Array(typed(Int32Array, bytes));
    case 'u32':
      return new Float64Array(typed(Uint32Array, bytes));
    case 'i16':
      return new Float64Array(typed(Int16Array, bytes));
    case 'u16':
      return new Float64Array(typed(Uint16Array, bytes));
    case 'i8':
      return new Float64Array(typed(Int8Array, bytes));
    case 'u8':
      return new Float64Array(bytes);
    case 'bool':
      return Float64Array.from(bytes, (one) => (one === 0 ? 0 : 1));
    case 'string':
      throw new Bug('strings have no numbers');
  }
}

/** The bytes of these numbers: floats rounded to nearest, ties to even; whole numbers truncated and held at the ends of their range; a bool is whether it differs from 0. */
export function toBytes(dtype: DType, values: Float64Array): Uint8Array {
  switch (dtype) {
    case 'f64':
      return bytesIn(values.slice());
    case 'f32':
      return bytesIn(new Float32Array(values));
    case 'f16':
      return bytesIn(mapInto(new Uint16Array(values.length), values, toF16));
    case 'bf16':
      return bytesIn(mapInto(new Uint16Array(values.length), values, toBf16));
    case 'i64':
      return toHalves(values, true);
    case 'u64':
      return toHalves(values, false);
    case 'i32':
      return bytesIn(mapInto(new Int32Array(values.length), values, within(-(2 ** 31), 2 ** 31 - 1)));
    case 'u32':
      return bytesIn(mapInto(new Uint32Array(values.length), values, within(0, 2 ** 32 - 1)));
    case 'i16':
      return bytesIn(mapInto(new Int16Array(values.length), values, within(-(2 ** 15), 2 ** 15 - 1)));
    case 'u16':
      return bytesIn(mapInto(new Uint16Array(values.length), values, within(0, 2 ** 16 - 1)));
    case 'i8':
      return bytesIn(mapInto(new Int8Array(values.length), values, within(-128, 127)));
    case 'u8':
      return mapInto(new Uint8Array(values.length), values, within(0, 255));
    case 'bool':
      return Uint8Array.from(values, (one) => (one === 0 ? 0 : 1));
    case 'string':
      throw new Bug('strings have no bytes of one width');
  }
}

function mapInto<A extends NumberArray>(into: A, values: Float64Array, by: (value: number) => number): A {
  for (let i = 0; i < values.length; i++) into[i] = by(values[i] ?? 0);
  return into;
}

function throughTable(bits: Uint16Array, table: Float64Array): Float64Array {
  const numbers = new Float64Array(bits.length);
  for (let i = 0; i < bits.length; i++) numbers[i] = table[bits[i] ?? 0] ?? 0;
  return numbers;
}

const f16Table = tableOf(fromF16);
const bf16Table = tableOf(fromBf16);

/** All 65,536 numbers of a 16-bit type, made when first asked for. */
function tableOf(numberOf: (bits: number) => number): () => Float64Array {
  let table: Float64Array | undefined;
  return () => (table ??= Float64Array.from({ length: 65_536 }, (_, bits) => numberOf(bits)));
}

/** The number an IEEE half stands for. */
export function fromF16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The number a bfloat16 stands for. */
export function fromBf16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 7) & 255;
  const fraction = bits & 127;
  if (exponent === 255) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -133 : sign * (128 + fraction) * 2 ** (exponent - 134);
}

/** The IEEE half nearest to `x`, ties to even. */
export function toF16(x: number): number {
  return toSmallFloat(x, 10, -14, 0x7c00, 0x7e00);
}

/** The bfloat16 nearest to `x`, ties to even. */
export function toBf16(x: number): number {
  return toSmallFloat(x, 7, -126, 0x7f80, 0x7fc0);
}

const scratch = new DataView(new ArrayBuffer(8));
/** 2^-128 to 2^152; `**` is many times slower than looking one up. */
const powers = Float64Array.from({ length: 281 }, (_, i) => 2 ** (i - 128));

/** Rounds in one step from f64: by way of f32 some ties would round twice. */
function toSmallFloat(x: number, fractionBits: number, leastExponent: number, infinity: number, nan: number): number {
  if (Number.isNaN(x)) return nan;
  scratch.setFloat64(0, x);
  const high = scratch.getUint32(0);
  const sign = (high >>> 16) & 0x8000;
  const exponent = Math.max(((high >>> 20) & 2047) - 1023, leastExponent);
  if (exponent > 1 - leastExponent) return sign | infinity;
  // |x| in units of the last place is exact; adding and taking away 2^52 rounds it to even.
  const units = Math.abs(x) * (powers[fractionBits - exponent + 128] ?? 0) + 2 ** 52 - 2 ** 52;
  const bits = (exponent - leastExponent) * (1 << fractionBits) + units;
  return sign | Math.min(bits, infinity);
}

const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

type NumberArray = Float64Array | Float32Array | Int32Array | Uint32Array | Int16Array | Uint16Array | Int8Array | Uint8Array;

interface ArrayType<A extends NumberArray> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, offset: number, length: number): A;
}

/** The bytes seen as numbers of the machine; copied where they do not lie on a multiple of their width. */
function typed<A extends NumberArray>(type: ArrayType<A>, bytes: Uint8Array): A {
  const width = type.BYTES_PER_ELEMENT;
  if (bytes.length % width !== 0) throw new Bug(`${bytes.length} bytes are not numbers of ${width} bytes`);
  const even = littleEndian && bytes.byteOffset % width === 0 ? bytes : swapped(new Uint8Array(bytes), width);
  return new type(even.buffer, even.byteOffset, bytes.length / width);
}

function bytesIn(values: NumberArray): Uint8Array {
  return swapped(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), values.BYTES_PER_ELEMENT);
}

/** In place: files are little-endian whatever the machine is. */
function swapped(bytes: Uint8Array, width: number): Uint8Array {
  if (littleEndian) return bytes;
  for (let i = 0; i < bytes.length; i += width) bytes.subarray(i, i + width).reverse();
  return bytes;
}

const within = (least: number, most: number) => (x: number) => Math.min(Math.max(Math.trunc(x), least), most);

function fromHalves(bytes: Uint8Array, signed: boolean): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float64Array.from(
    { length: bytes.length / 8 },
    (_, i) => (signed ? view.getInt32(8 * i + 4, true) : view.getUint32(8 * i + 4, true)) * 2 ** 32 + view.getUint32(8 * i, true),
  );
}

function toHalves(values: Float64Array, signed: boolean): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  const [least, most] = signed ? [-(2 ** 63), 2 ** 63] : [0, 2 ** 64];
  values.forEach((value, i) => {
    const x = Math.trunc(value);
    // The largest whole number is no double: what lies at or beyond it becomes it.
    const [high, low] = x >= most ? [most / 2 ** 32 - 1, 2 ** 32 - 1] : x <= least ? [least / 2 ** 32, 0] : [Math.floor(x / 2 ** 32), x - Math.floor(x / 2 ** 32) * 2 ** 32];
    view.setUint32(8 * i, low, true);
    view.setUint32(8 * i + 4, high, true);
  });
  return bytes;
}
