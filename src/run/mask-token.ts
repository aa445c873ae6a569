/** Which token stands for one that is to be guessed, by the small files of a checkpoint. */

import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isObject, type JsonObject, readJson } from './json.ts';

/** What a mask is called where no file names it. */
const usual = ['[MASK]', '<mask>'];

/** The number of the mask token: the one tokenizer_config.json names, or one of the usual ones, found in tokenizer.json or vocab.txt. */
export function maskTokenOf(folder: string): number | undefined {
  const settings = objectIn(join(folder, 'tokenizer_config.json'));
  const given = settings['mask_token'];
  const named = isObject(given) ? given['content'] : given;
  const words = typeof named === 'string' ? [named] : usual;
  const added = objectIn(join(folder, 'tokenizer.json'))['added_tokens'];
  const known = (Array.isArray(added) ? added : []).filter(isObject).find(({ content }) => words.some((word) => word === content))?.['id'];
  if (typeof known === 'number') return known;
  const vocabulary = join(folder, 'vocab.txt');
  const at = statSync(vocabulary, { throwIfNoEntry: false })?.isFile()
    ? readFileSync(vocabulary, 'utf8')
        .split(/\r?\n/)
        .findIndex((line) => words.includes(line))
    : -1;
  return at < 0 ? undefined : at;
}

function objectIn(path: string): JsonObject {
  const read = existsSync(path) ? readJson(path) : undefined;
  return read?.ok ? read.value : {};
}
