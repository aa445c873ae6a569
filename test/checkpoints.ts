/** Tiny checkpoints of our own making for tests: a Llama over bytes with a tokenizer.json, and a BERT, seeded and the same on any machine. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { count } from '../src/graph/nd-array.ts';
import type { DType } from '../src/graph/type.ts';
import { toBytes } from '../src/weights/elements.ts';
import { randomNumbers } from '../src/weights/random.ts';
import { type WrittenTensor, writeSafetensors } from '../src/weights/write.ts';

/** Sizes by tensor name. */
export type Shapes = Readonly<Record<string, readonly number[]>>;

/** What a made checkpoint departs in. */
export interface Departures {
  readonly config?: Readonly<Record<string, unknown>>;
  /** Element type of every tensor; f32 where left out. */
  readonly dtype?: DType;
  /** Tensors to add, to give other sizes, or, with undefined, to leave out. */
  readonly shapes?: Readonly<Record<string, readonly number[] | undefined>>;
  /** Tensors of one shard each, with an index, instead of one file. */
  readonly shards?: number;
}

export const llamaConfig = {
  model_type: 'llama',
  vocab_size: 258,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 48,
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
  tie_word_embeddings: false,
  bos_token_id: 256,
  eos_token_id: 257,
} as const;

/** Tensors of a Llama of that config. */
export function llamaShapes(config: typeof llamaConfig): Shapes {
  const { vocab_size: V, hidden_size: D, intermediate_size: H, num_hidden_layers: L, num_attention_heads: N, num_key_value_heads: G } = config;
  const layer: Shapes = {
    'self_attn.q_proj.weight': [D, D],
    'self_attn.k_proj.weight': [(D / N) * G, D],
    'self_attn.v_proj.weight': [(D / N) * G, D],
    'self_attn.o_proj.weight': [D, D],
    'mlp.gate_proj.weight': [H, D],
    'mlp.up_proj.weight': [H, D],
    'mlp.down_proj.weight': [D, H],
    'input_layernorm.weight': [D],
    'post_attention_layernorm.weight': [D],
  };
  const layers = Array.from({ length: L }, (_, i) => Object.entries(layer).map(([name, dims]) => [`model.layers.${i}.${name}`, dims] as const)).flat();
  return { 'model.embed_tokens.weight': [V, D], ...Object.fromEntries(layers), 'model.norm.weight': [D], 'lm_head.weight': [V, D] };
}

/** Writes a Llama checkpoint into `folder`, which is made, and returns it. */
export function makeLlama(folder: string, { config, dtype = 'f32', shapes, shards }: Departures = {}): string {
  const full = { ...llamaConfig, ...config };
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(full));
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(byteTokenizer()));
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ bos_token: '<s>', eos_token: '</s>' }));
  writeTensors(folder, { ...llamaShapes(full as typeof llamaConfig), ...shapes }, dtype, shards);
  return folder;
}

/** Writes seeded random tensors of these sizes: model.safetensors, or that many shards with an index. */
function writeTensors(folder: string, shapes: Readonly<Record<string, readonly number[] | undefined>>, dtype: DType = 'f32', shards = 1): void {
  const tensors = Object.entries(shapes).flatMap(([name, dims]) => (dims ? [tensorOf(name, dims, dtype)] : []));
  if (shards === 1) {
    writeSafetensors(join(folder, 'model.safetensors'), tensors);
    return;
  }
  const fileOf = (at: number): string => `model-${(at % shards) + 1}-of-${shards}.safetensors`;
  for (let shard = 0; shard < shards; shard++)
    writeSafetensors(
      join(folder, fileOf(shard)),
      tensors.filter((_, at) => at % shards === shard),
    );
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map: Object.fromEntries(tensors.map(({ name }, at) => [name, fileOf(at)])) }));
}

/** Numbers of deviation 1.5/√width, around 1 for the gains of norms; exact in bf16, so that every element type holds the same model. */
function tensorOf(name: string, dims: readonly number[], dtype: DType): WrittenTensor {
  const norm = /norm/i.test(name) && name.endsWith('weight');
  const numbers = randomNumbers(name, 1, norm ? 0.1 : 1.5 / Math.sqrt(dims.at(-1) ?? 1), 0, count(dims));
  return {
    name,
    dtype,
    dims,
    bytes: [
      toBytes(
        dtype,
        numbers.map((x) => Math.round((norm ? 1 + x : x) * 64) / 64),
      ),
    ],
  };
}

/** The bytes of UTF-8 as the alphabet of byte-level BPE spells them (GPT-2's table), without merges; 256 begins a text, 257 ends it. */
function byteTokenizer(): object {
  const printable = [...range(33, 127), ...range(161, 173), ...range(174, 256)];
  const hidden = range(0, 256).filter((byte) => !printable.includes(byte));
  const vocab = Object.fromEntries([
    ...printable.map((byte) => [String.fromCharCode(byte), byte] as const),
    ...hidden.map((byte, i) => [String.fromCharCode(256 + i), byte] as const),
  ]);
  const added = ['<s>', '</s>'].map((content, i) => ({ id: 256 + i, content, special: true, single_word: false, lstrip: false, rstrip: false, normalized: false }));
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: bytes,
    post_processor: null,
    decoder: bytes,
    model: { type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false, byte_fallback: false, vocab, merges: [] },
  };
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

const bertConfig = {
  model_type: 'bert',
  architectures: ['BertModel'],
  vocab_size: 31,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  max_position_embeddings: 12,
  type_vocab_size: 2,
  layer_norm_eps: 1e-12,
  hidden_act: 'gelu',
} as const;

/** Writes a BERT without a head into `folder`, which is made, and returns it. */
export function makeBert(folder: string): string {
  const { vocab_size: V, hidden_size: D, intermediate_size: H, max_position_embeddings: P, type_vocab_size: K } = bertConfig;
  const affine = (name: string, from: number, to: number): Shapes => ({ [`${name}.weight`]: [to, from], [`${name}.bias`]: [to] });
  const norm = (name: string): Shapes => ({ [`${name}.weight`]: [D], [`${name}.bias`]: [D] });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(bertConfig));
  writeTensors(folder, {
    'embeddings.word_embeddings.weight': [V, D],
    'embeddings.position_embeddings.weight': [P, D],
    'embeddings.token_type_embeddings.weight': [K, D],
    ...norm('embeddings.LayerNorm'),
    ...affine('encoder.layer.0.attention.self.query', D, D),
    ...affine('encoder.layer.0.attention.self.key', D, D),
    ...affine('encoder.layer.0.attention.self.value', D, D),
    ...affine('encoder.layer.0.attention.output.dense', D, D),
    ...norm('encoder.layer.0.attention.output.LayerNorm'),
    ...affine('encoder.layer.0.intermediate.dense', D, H),
    ...affine('encoder.layer.0.output.dense', H, D),
    ...norm('encoder.layer.0.output.LayerNorm'),
    ...affine('pooler.dense', D, D),
  });
  return folder;
}
