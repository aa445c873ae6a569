/** What the small files of a checkpoint say about running it: where texts begin and end, how long they may be, and how they become tokens. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Outcome } from '../diagnostics/diagnostic.ts';
import type { TokenizerPlace } from './executable.ts';
import { isObject, type JsonObject, readJson } from './json.ts';

/** The facts of a checkpoint folder; absent where no file states them. */
export interface CheckpointInfo {
  readonly config: JsonObject;
  readonly tokenizer: TokenizerPlace | undefined;
  /** Tokens that end a text. */
  readonly stop: readonly number[];
  readonly context?: number;
  readonly vocabulary?: number;
  readonly bos?: number;
  readonly pad?: number;
}

/** A tokenizer that sets no limit writes a number like 10^30. */
const unlimited = 1e9;

/** Reads config.json, generation_config.json and tokenizer_config.json, whichever are there. */
export function checkpointInfo(folder: string): Outcome<CheckpointInfo> {
  const [model, generation, words] = ['config.json', 'generation_config.json', 'tokenizer_config.json'].map((name) => optional(join(folder, name)));
  if (!model?.ok || !generation?.ok || !words?.ok) return { ok: false, diagnostics: [model, generation, words].flatMap((one) => one?.diagnostics ?? []) };
  const config = isObject(model.value['text_config']) ? { ...model.value, ...model.value['text_config'] } : model.value;
  const first = (...names: readonly string[]): number | undefined => names.map((name) => whole(config[name])).find((value) => value !== undefined);
  const length = whole(words.value['model_max_length']);
  const context = first('max_position_embeddings', 'n_positions', 'n_ctx', 'max_seq_len', 'seq_length') ?? (length !== undefined && length < unlimited ? length : undefined);
  const vocabulary = first('vocab_size', 'n_vocab');
  const bos = whole(generation.value['bos_token_id']) ?? first('bos_token_id');
  const pad = whole(generation.value['pad_token_id']) ?? first('pad_token_id');
  return {
    ok: true,
    diagnostics: [],
    value: {
      config: model.value,
      tokenizer: existsSync(join(folder, 'tokenizer.json')) ? { kind: 'file', folder } : undefined,
      stop: [...new Set([...tokens(generation.value['eos_token_id']), ...tokens(config['eos_token_id'])])],
      ...(context === undefined ? {} : { context }),
      ...(vocabulary === undefined ? {} : { vocabulary }),
      ...(bos === undefined ? {} : { bos }),
      ...(pad === undefined ? {} : { pad }),
    },
  };
}

function optional(path: string): Outcome<JsonObject> {
  return existsSync(path) ? readJson(path) : { ok: true, value: {}, diagnostics: [] };
}

function whole(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : undefined;
}

/** One token or a list of them. */
function tokens(value: unknown): readonly number[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.flatMap((one) => whole(one) ?? []);
}
