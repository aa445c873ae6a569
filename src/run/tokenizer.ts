/** Text to tokens and back: by the checkpoint's own tokenizer.json, or with bytes as tokens. */

import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Template } from '@huggingface/jinja';
import { Tokenizer as FileTokenizer } from '@huggingface/tokenizers';
import { diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import type { TokenizerPlace } from './executable.ts';
import { isObject, type JsonObject, readJson } from './json.ts';
import { streamText, type TextStream } from './stream-text.ts';

/** One turn of a conversation. */
export interface Turn {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** Turns text into tokens and tokens into text. */
export interface Tokenizer {
  /** The tokens of a text; with those that begin and end one unless `special` is false. */
  encode(text: string, special?: boolean): readonly number[];
  /** The text of tokens, without those that only mark something. */
  decode(tokens: readonly number[]): string;
  /** Decodes a continuation as it comes; `before` is what it continues. */
  stream(before: readonly number[]): TextStream;
  /** A conversation in the words the model was trained on, with the beginning of the answer. Encode it with `special` false. */
  chat(turns: readonly Turn[]): Outcome<string>;
  /** The token that begins a text and the one that ends it, where the settings name them. */
  readonly bos?: number;
  readonly eos?: number;
}

/** Opens the tokenizer of an executable. */
export function openTokenizer(place: TokenizerPlace | undefined): Outcome<Tokenizer> {
  if (!place) return { ok: false, diagnostics: [diagnose('tokenizer-missing', { place: 'with this model' })] };
  return place.kind === 'bytes' ? { ok: true, value: byteTokenizer, diagnostics: [] } : openFolder(place.folder);
}

/** Bytes as tokens: UTF-8, nothing added. Tokens from 256 on are no text. */
export const byteTokenizer: Tokenizer = {
  encode: (text) => [...Buffer.from(text, 'utf8')],
  decode: (tokens) => Buffer.from(tokens.filter((token) => token < 256)).toString('utf8'),
  stream() {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    return {
      push: (token) => (token < 256 ? decoder.decode(Uint8Array.of(token), { stream: true }) : ''),
      end: () => decoder.decode(),
    };
  },
  chat: () => ({ ok: false, diagnostics: [diagnose('chat-template-missing', {})] }),
};

/** Tokens of a text, the first `most` where they suffice: of a long text only as much is read as that takes. Its end may be cut where a word would have become other tokens. */
export function tokensOfText(tokenizer: Tokenizer, text: string, most?: number): readonly number[] {
  if (most === undefined) return tokenizer.encode(text);
  for (let length = most * charactersOfToken; length < text.length; length *= 2) {
    const tokens = tokenizer.encode(text.slice(0, length));
    if (tokens.length >= most + unsettled) return tokens.slice(0, most);
  }
  return tokenizer.encode(text).slice(0, most);
}

/** More than most tokens have, so that one attempt mostly does. */
const charactersOfToken = 8;
/** Tokens at the end of a cut text that may differ from those of the whole. */
const unsettled = 16;

function openFolder(folder: string): Outcome<Tokenizer> {
  const path = join(folder, 'tokenizer.json');
  if (!existsSync(path)) return { ok: false, diagnostics: [diagnose('tokenizer-missing', { place: `in ${folder}: it has no tokenizer.json` })] };
  const file = readJson(path);
  if (!file.ok) return file;
  const settingsPath = join(folder, 'tokenizer_config.json');
  const settings: Outcome<JsonObject> = existsSync(settingsPath) ? readJson(settingsPath) : { ok: true, value: {}, diagnostics: [] };
  if (!settings.ok) return settings;
  try {
    const inner = new FileTokenizer(file.value, settings.value);
    inner.encode('a');
    return { ok: true, value: wrap(inner, settings.value, folder), diagnostics: [] };
  } catch (error) {
    return { ok: false, diagnostics: [diagnose('tokenizer-damaged', { file: path, reason: error instanceof Error ? error.message : String(error) })] };
  }
}

function wrap(inner: FileTokenizer, settings: JsonObject, folder: string): Tokenizer {
  const begin = wordOf(settings['bos_token']);
  const end = wordOf(settings['eos_token']);
  const bos = begin === undefined ? undefined : inner.token_to_id(begin);
  const eos = end === undefined ? undefined : inner.token_to_id(end);
  const addsBos = settings['add_bos_token'] === true;
  const decode = (tokens: readonly number[]): string => (tokens.length === 0 ? '' : inner.decode([...tokens], { skip_special_tokens: true }));
  return {
    encode(text, special = true) {
      const { ids } = inner.encode(text, { add_special_tokens: special });
      return special && addsBos && bos !== undefined && ids[0] !== bos ? [bos, ...ids] : ids;
    },
    decode,
    stream: (before) => streamText(decode, before),
    chat(turns) {
      const template = templateOf(settings, folder);
      if (template === undefined) return { ok: false, diagnostics: [diagnose('chat-template-missing', {})] };
      try {
        return {
          ok: true,
          value: new Template(template).render({ messages: turns.map((turn) => ({ ...turn })), add_generation_prompt: true, bos_token: begin ?? '', eos_token: end ?? '' }),
          diagnostics: [],
        };
      } catch (error) {
        return { ok: false, diagnostics: [diagnose('chat-template-fails', { reason: error instanceof Error ? error.message : String(error) })] };
      }
    },
    ...(bos === undefined ? {} : { bos }),
    ...(eos === undefined ? {} : { eos }),
  };
}

/** A special token of the settings: its text, or an object that holds it. */
function wordOf(setting: unknown): string | undefined {
  if (typeof setting === 'string') return setting;
  const content = isObject(setting) ? setting['content'] : undefined;
  return typeof content === 'string' ? content : undefined;
}

/** The template in the settings (one, or the one called `default` of several), else chat_template.jinja. */
function templateOf(settings: JsonObject, folder: string): string | undefined {
  const given = settings['chat_template'];
  if (typeof given === 'string') return given;
  if (Array.isArray(given)) {
    const named: readonly unknown[] = given;
    const chosen = named.find((one) => isObject(one) && one['name'] === 'default') ?? named[0];
    const template = isObject(chosen) ? chosen['template'] : undefined;
    if (typeof template === 'string') return template;
  }
  const file = join(folder, 'chat_template.jinja');
  return statSync(file, { throwIfNoEntry: false })?.isFile() ? readFileSync(file, 'utf8') : undefined;
}
