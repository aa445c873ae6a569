/**
 * Messages of onnx.proto to bytes and back. The reader and writer are those that onnx-proto's codec stands on; its generated
 * code knows ONNX 1.10 and drops the rest, so the fields come from `schema.ts`, and unknown ones are kept as they stood.
 */

import protobuf from 'protobufjs/minimal.js';
import { Bug } from '../diagnostics/bug.ts';
import type { Int, Messages, ModelProto } from './messages.ts';
import { type Field, type Scalar, shapeOf } from './schema.ts';

type Reader = protobuf.Reader;
type Writer = protobuf.Writer;

/** Bytes that are not a message of onnx.proto: cut off, or never one. */
export class WireFault extends Error {}

/** Graphs inside graphs may nest this deep, as protobuf's own readers allow. */
const deepest = 100;

/** The bytes of a model. The same model gives the same bytes. */
export function encodeModel(model: ModelProto): Uint8Array {
  return encode('ModelProto', model);
}

/** The model in these bytes; a `WireFault` where they hold none. */
export function decodeModel(bytes: Uint8Array): ModelProto {
  return decode('ModelProto', bytes);
}

/** The bytes of any message. */
export function encode<M extends keyof Messages>(type: M, message: Messages[M]): Uint8Array {
  const writer = protobuf.Writer.create();
  writeMessage(type, message as Fields, writer);
  return view(writer.finish());
}

/** Any message of these bytes; a `WireFault` where they hold none. */
export function decode<M extends keyof Messages>(type: M, bytes: Uint8Array): Messages[M] {
  try {
    const message: Fields = {};
    const reader = protobuf.Reader.create(bytes);
    readMessage(type, reader, bytes.length, message, 0);
    return message as Messages[M];
  } catch (error) {
    if (error instanceof WireFault) throw error;
    throw new WireFault(`not a ${type}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** A message seen as a table of its fields. */
type Fields = { [field: string]: unknown };

function writeMessage(type: Field['type'], message: Fields, writer: Writer): void {
  const shape = shapeOf(type);
  if (!shape) throw new Bug(`${type} is no message`);
  for (const field of shape.fields) {
    const content = message[field.name];
    if (content !== undefined) writeField(field, content, writer);
  }
  const unknown = message['unknown'] as readonly Uint8Array[] | undefined;
  for (const piece of unknown ?? []) writeRaw(piece, writer);
}

function writeField(field: Field, content: unknown, writer: Writer): void {
  if (!field.repeated) return writeOne(field, content, writer);
  const list = content as ArrayLike<unknown>;
  if (!field.packed) {
    for (let i = 0; i < list.length; i++) writeOne(field, list[i], writer);
    return;
  }
  if (list.length === 0) return;
  writer.uint32((field.number << 3) | 2).fork();
  for (let i = 0; i < list.length; i++) writeScalar(field, list[i], writer);
  writer.ldelim();
}

function writeOne(field: Field, content: unknown, writer: Writer): void {
  if (isScalar(field.type)) {
    writer.uint32((field.number << 3) | wireTypes[field.type]);
    writeScalar(field, content, writer);
    return;
  }
  writer.uint32((field.number << 3) | 2).fork();
  writeMessage(field.type, content as Fields, writer);
  writer.ldelim();
}

function writeScalar(field: Field, content: unknown, writer: Writer): void {
  switch (field.type) {
    case 'int32':
      return void writer.int32(wholeNumber(field, content));
    case 'int64':
      return void writer.int64(whole(field, content));
    case 'uint64':
      return void writer.uint64(whole(field, content));
    case 'float':
      return void writer.float(number(field, content));
    case 'double':
      return void writer.double(number(field, content));
    case 'string':
      if (typeof content !== 'string') throw new Bug(`${field.name} takes text, not ${typeof content}`);
      return void writer.string(content);
    default:
      if (!(content instanceof Uint8Array)) throw new Bug(`${field.name} takes bytes, not ${typeof content}`);
      writer.bytes(content);
  }
}

/** The number, which protobuf's writer would take as 0 were it a BigInt. */
function number(field: Field, content: unknown): number {
  if (typeof content !== 'number') throw new Bug(`${field.name} takes a number, not a ${typeof content}`);
  return content;
}

function wholeNumber(field: Field, content: unknown): number {
  const given = number(field, content);
  if (!Number.isSafeInteger(given)) throw new Bug(`${field.name} takes a whole number, not ${given}`);
  return given;
}

function whole(field: Field, content: unknown): protobuf.Long | number {
  if (typeof content !== 'object' || content === null) return wholeNumber(field, content);
  return content as protobuf.Long;
}

/** Bytes as they are, without the length that `bytes` puts in front. */
function writeRaw(piece: Uint8Array, writer: Writer): void {
  const raw = writer as Writer & { _push(fn: (value: Uint8Array, buffer: Uint8Array, at: number) => void, length: number, value: Uint8Array): Writer };
  raw._push((value, buffer, at) => buffer.set(value, at), piece.length, piece);
}

function readMessage(type: Field['type'], reader: Reader, end: number, message: Fields, depth: number): void {
  const shape = shapeOf(type);
  if (!shape) throw new Bug(`${type} is no message`);
  if (depth > deepest) throw new WireFault(`messages nest deeper than ${deepest}`);
  if (end > reader.len) throw new WireFault(`a ${type} ends beyond the end of the file`);
  while (reader.pos < end) {
    const start = reader.pos;
    const tag = reader.uint32();
    const field = shape.byNumber.get(tag >>> 3);
    if (field && fits(field, tag & 7)) {
      readField(field, tag & 7, reader, message, depth);
    } else {
      if (tag >>> 3 === 0) throw new WireFault(`a ${type} has a field 0`);
      skip(reader, tag & 7, depth);
      listIn<Uint8Array>(message, 'unknown').push(view(reader.buf.subarray(start, reader.pos)));
    }
  }
  if (reader.pos !== end) throw new WireFault(`a ${type} runs over its end`);
}

/** Past one field's content. The reader's own `skipType` follows nested groups without a bound. */
function skip(reader: Reader, wireType: number, depth: number): void {
  if (wireType !== 3) return void reader.skipType(wireType);
  if (depth > deepest) throw new WireFault(`groups nest deeper than ${deepest}`);
  for (let tag = reader.uint32(); (tag & 7) !== 4; tag = reader.uint32()) skip(reader, tag & 7, depth + 1);
}

function readField(field: Field, wireType: number, reader: Reader, message: Fields, depth: number): void {
  if (!isScalar(field.type)) return readNested(field, reader, message, depth);
  if (!field.repeated) {
    message[field.name] = readScalar(field.type, reader);
    return;
  }
  const list = listIn<unknown>(message, field.name);
  if (wireType !== 2 || wireTypes[field.type] === 2) {
    list.push(readScalar(field.type, reader));
    return;
  }
  const end = reader.uint32() + reader.pos;
  if (end > reader.len) throw new WireFault(`${field.name} ends beyond the end of the file`);
  while (reader.pos < end) list.push(readScalar(field.type, reader));
}

function readNested(field: Field, reader: Reader, message: Fields, depth: number): void {
  const end = reader.uint32() + reader.pos;
  // A message that comes in two parts is the merge of both, as protobuf has it.
  const earlier = field.repeated ? undefined : (message[field.name] as Fields | undefined);
  const nested = earlier ?? {};
  readMessage(field.type, reader, end, nested, depth + 1);
  if (field.repeated) listIn<Fields>(message, field.name).push(nested);
  else message[field.name] = nested;
}

/** The list under a name, begun where there is none. */
function listIn<T>(message: Fields, name: string): T[] {
  message[name] ??= [];
  return message[name] as T[];
}

function readScalar(type: Scalar, reader: Reader): unknown {
  switch (type) {
    case 'int32':
      return reader.int32();
    case 'int64':
      return exact(reader.int64(), true);
    case 'uint64':
      return exact(reader.uint64(), false);
    case 'float':
      return reader.float();
    case 'double':
      return reader.double();
    case 'string':
      return reader.string();
    default:
      return view(reader.bytes());
  }
}

/** The same bytes as a plain array; they stay where they lie in the file. */
function view(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The number where a double holds it, else its halves. */
function exact(read: number | { readonly low: number; readonly high: number }, signed: boolean): Int {
  if (typeof read === 'number') return read;
  const { low, high } = read;
  const value = (signed ? high | 0 : high >>> 0) * 2 ** 32 + (low >>> 0);
  return Number.isSafeInteger(value) ? value : { low: low | 0, high: high | 0 };
}

const wireTypes = { int32: 0, int64: 0, uint64: 0, double: 1, string: 2, bytes: 2, float: 5 } as const satisfies Record<Scalar, number>;

function isScalar(type: Field['type']): type is Scalar {
  return type in wireTypes;
}

/** Whether content of this wire type can be the field's; a repeated number may come packed. */
function fits(field: Field, wireType: number): boolean {
  if (!isScalar(field.type)) return wireType === 2;
  return wireType === wireTypes[field.type] || (field.repeated && wireType === 2);
}
