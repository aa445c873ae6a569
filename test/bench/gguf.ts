/** Writes a mixture of Mixtral's kind with random weights as GGUF, for llama.cpp to be measured on the same shape. */

import { closeSync, openSync, writeSync } from 'node:fs';

export interface MixtureShape {
  readonly V: number;
  readonly D: number;
  readonly H: number;
  readonly L: number;
  readonly N: number;
  readonly G: number;
  readonly E: number;
  readonly k: number;
}

type Setting = readonly [name: string, kind: 'u32' | 'f32' | 'string' | 'strings' | 'floats' | 'ints', value: number | string | readonly string[] | readonly number[]];

/** Codes of the types of settings. */
const codes = { u32: 4, f32: 6, string: 8, strings: 9, floats: 9, ints: 9 } as const;
const items = { strings: 8, floats: 6, ints: 5 } as const;
const alignment = 32;

/** Writes the model to `file`. Numbers repeat after a million; norms are one. */
export function writeGguf(file: string, shape: MixtureShape): void {
  const tensors = tensorsOf(shape);
  const settings = settingsOf(shape);
  const parts: Buffer[] = [Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(settings.length), ...settings.flatMap(encode)];
  let offset = 0;
  for (const { name, dims } of tensors) {
    parts.push(text(name), u32(dims.length), ...dims.map(u64), u32(0), u64(offset));
    offset += Math.ceil((elements(dims) * 4) / alignment) * alignment;
  }
  const head = Buffer.concat(parts);
  const out = openSync(file, 'w');
  writeSync(out, head);
  writeSync(out, Buffer.alloc((alignment - (head.length % alignment)) % alignment));
  const noise = Float32Array.from({ length: 1 << 20 }, (_, i) => Math.sin((i + 1) * 12.9898) * Math.sqrt(2));
  for (const { name, dims } of tensors) {
    const scale = 1 / Math.sqrt(dims[0] ?? 1);
    const piece = Buffer.from((name.includes('norm') ? new Float32Array(elements(dims)).fill(1) : noise.map((x) => x * scale)).buffer);
    for (let left = elements(dims) * 4; left > 0; left -= piece.length) writeSync(out, piece, 0, Math.min(left, piece.length));
  }
  closeSync(out);
}

const elements = (dims: readonly number[]): number => dims.reduce((product, size) => product * size, 1);

/** Sizes as GGUF has them, the innermost first. Every size is a multiple of the alignment. */
function tensorsOf({ V, D, H, L, N, G, E }: MixtureShape): readonly { readonly name: string; readonly dims: readonly number[] }[] {
  const width = D / N;
  const block = (i: number) => [
    { name: `blk.${i}.attn_norm.weight`, dims: [D] },
    { name: `blk.${i}.attn_q.weight`, dims: [D, D] },
    { name: `blk.${i}.attn_k.weight`, dims: [D, G * width] },
    { name: `blk.${i}.attn_v.weight`, dims: [D, G * width] },
    { name: `blk.${i}.attn_output.weight`, dims: [D, D] },
    { name: `blk.${i}.ffn_norm.weight`, dims: [D] },
    { name: `blk.${i}.ffn_gate_inp.weight`, dims: [D, E] },
    { name: `blk.${i}.ffn_gate_exps.weight`, dims: [D, H, E] },
    { name: `blk.${i}.ffn_up_exps.weight`, dims: [D, H, E] },
    { name: `blk.${i}.ffn_down_exps.weight`, dims: [H, D, E] },
  ];
  return [
    { name: 'token_embd.weight', dims: [D, V] },
    ...Array.from({ length: L }, (_, i) => block(i)).flat(),
    { name: 'output_norm.weight', dims: [D] },
    { name: 'output.weight', dims: [D, V] },
  ];
}

function settingsOf({ V, D, H, L, N, G, E, k }: MixtureShape): readonly Setting[] {
  return [
    ['general.architecture', 'string', 'llama'],
    ['general.name', 'string', 'bench'],
    ['llama.vocab_size', 'u32', V],
    ['llama.context_length', 'u32', 2048],
    ['llama.embedding_length', 'u32', D],
    ['llama.block_count', 'u32', L],
    ['llama.feed_forward_length', 'u32', H],
    ['llama.rope.dimension_count', 'u32', D / N],
    ['llama.attention.head_count', 'u32', N],
    ['llama.attention.head_count_kv', 'u32', G],
    ['llama.attention.layer_norm_rms_epsilon', 'f32', 1e-5],
    ['llama.expert_count', 'u32', E],
    ['llama.expert_used_count', 'u32', k],
    ['tokenizer.ggml.model', 'string', 'llama'],
    ['tokenizer.ggml.tokens', 'strings', Array.from({ length: V }, (_, i) => wordOf(i))],
    ['tokenizer.ggml.scores', 'floats', new Array<number>(V).fill(0)],
    ['tokenizer.ggml.token_type', 'ints', Array.from({ length: V }, (_, i) => (i === 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1))],
  ];
}

/** A vocabulary as SentencePiece lays it out: three words of control, 256 bytes, then anything. */
function wordOf(i: number): string {
  return ['<unk>', '<s>', '</s>'][i] ?? (i < 259 ? `<0x${(i - 3).toString(16).toUpperCase().padStart(2, '0')}>` : `t${i}`);
}

function encode([name, kind, value]: Setting): readonly Buffer[] {
  const head = [text(name), u32(codes[kind])];
  if (typeof value === 'string') return [...head, text(value)];
  if (typeof value === 'number') return [...head, kind === 'f32' ? f32(value) : u32(value)];
  const item = kind === 'strings' ? items.strings : kind === 'floats' ? items.floats : items.ints;
  return [...head, u32(item), u64(value.length), ...value.map((one) => (typeof one === 'string' ? text(one) : kind === 'floats' ? f32(one) : u32(one)))];
}

function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}

function f32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeFloatLE(value);
  return buffer;
}

function u64(value: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
}

const text = (value: string): Buffer => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
