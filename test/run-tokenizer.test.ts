import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { stopFilter } from '../src/run/stop-text.ts';
import { byteTokenizer, openTokenizer, type Tokenizer } from '../src/run/tokenizer.ts';
import { fixture } from './fixtures.ts';

const stories = fixture('stories260k');

function opened(folder: string): Tokenizer {
  const outcome = openTokenizer({ kind: 'file', folder });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.value;
}

const streamed = (tokenizer: Tokenizer, before: readonly number[], tokens: readonly number[]): readonly string[] => {
  const text = tokenizer.stream(before);
  return [...tokens.map((token) => text.push(token)), text.end()];
};

/** Text in NFC, without the mark of broken characters. */
const words = fc.string({ unit: 'grapheme', maxLength: 30 }).map((text) => text.normalize('NFC').replaceAll('\uFFFD', '?'));

describe.skipIf(!stories)('the tokenizer of stories260k (skipped where fixtures are absent)', () => {
  const folder = stories ?? '';
  const expected = JSON.parse(stories ? readFileSync(`${folder}/expected.json`, 'utf8') : '[]') as readonly { text: string; ids: readonly number[]; perplexity?: number }[];

  it('gives the recorded tokens', () => {
    const tokenizer = opened(folder);
    const texts = expected.filter(({ perplexity }) => perplexity !== undefined);
    expect(texts.length).toBe(2);
    for (const { text, ids } of texts) expect(tokenizer.encode(text)).toEqual(ids);
    expect(tokenizer.encode('')).toEqual([1]);
    expect([tokenizer.bos, tokenizer.eos]).toEqual([1, 2]);
  });

  it('streams the recorded continuation with its first space', () => {
    const [, , { ids, text } = { ids: [], text: '' }] = expected;
    const pieces = streamed(opened(folder), ids.slice(0, 1), ids.slice(1));
    expect(pieces.join('')).toBe(text);
    expect(pieces.every((piece) => piece.length < 16)).toBe(true);
  });

  it('streams any text whole, with no half character in any piece', () => {
    const tokenizer = opened(folder);
    const prompt = tokenizer.encode('Tom had');
    fc.assert(
      fc.property(words, (text) => {
        const [, ...tokens] = tokenizer.encode(`x${text}`);
        const pieces = streamed(tokenizer, prompt, tokens);
        expect(pieces.join('')).toBe(` x${text}`);
        expect(pieces.join('')).not.toContain('\uFFFD');
      }),
      { numRuns: 300, seed: 5 },
    );
  });

  it('has no chat template', () => {
    const told = opened(folder).chat([{ role: 'user', content: 'Hi' }]);
    expect(told.ok ? [] : told.diagnostics.map(({ code }) => code)).toEqual(['chat-template-missing']);
  });
});

describe('bytes as tokens', () => {
  it('are UTF-8, streamed without half characters', () => {
    fc.assert(
      fc.property(words, (text) => {
        const tokens = byteTokenizer.encode(text);
        expect(tokens).toEqual([...new TextEncoder().encode(text)]);
        expect(byteTokenizer.decode(tokens)).toBe(text);
        expect(streamed(byteTokenizer, [], tokens).join('')).toBe(text);
      }),
    );
    expect(streamed(byteTokenizer, [], [0xf0, 0x9f, 0x98, 0x80, 0x21, 0xc3])).toEqual(['', '', '', '😀', '!', '', '\uFFFD']);
  });
});

describe('stop texts', () => {
  it('end a text at the first of them, however it is cut', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 20 });
    const stop = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 6 }), fc.array(stop, { maxLength: 3 }), (pieces, stops) => {
        const all = pieces.join('');
        const filter = stopFilter(stops);
        let said = '';
        let ended = false;
        for (const piece of pieces) {
          const { text: more, stopped } = filter.push(piece);
          said += more;
          ended = stopped;
          if (stopped) break;
        }
        if (!ended) said += filter.end();
        const at = stops.map((word) => all.indexOf(word)).filter((index) => index >= 0);
        expect(ended).toBe(at.length > 0);
        // A shorter stop that ends earlier is seen before a longer one that begins earlier, so the cut may come after the leftmost beginning, never after the text of a stop.
        expect(all.startsWith(said)).toBe(true);
        expect(stops.some((word) => said.includes(word))).toBe(false);
        if (!ended) expect(said).toBe(all);
      }),
      { numRuns: 1000, seed: 2 },
    );
  });
});

interface Said {
  readonly chat?: string;
  readonly texts: readonly { readonly text: string; readonly ids: readonly number[]; readonly bare: readonly number[]; readonly decoded: string }[];
}

describe.each(['byte-level', 'word-piece', 'unigram'])('a %s tokenizer, against the library that defines the format', (name) => {
  const folder = fileURLToPath(new URL(`run/tokenizers/${name}`, import.meta.url));
  const { texts } = JSON.parse(readFileSync(`${folder}/expected.json`, 'utf8')) as Said;
  const tokenizer = opened(folder);

  it.each(texts)('takes %j apart and puts it together', ({ text, ids, bare, decoded }) => {
    expect(tokenizer.encode(text)).toEqual(ids);
    expect(tokenizer.encode(text, false)).toEqual(bare);
    expect(tokenizer.decode(ids)).toBe(decoded);
  });

  it.each(texts)('streams %j after a prompt as it decodes the two together', ({ bare }) => {
    const prompt = tokenizer.encode('We know', false);
    const before = tokenizer.decode(prompt);
    expect(before + streamed(tokenizer, prompt, bare).join('')).toBe(tokenizer.decode([...prompt, ...bare]));
  });
});

it('the chat template is filled as the library fills it', () => {
  const folder = fileURLToPath(new URL('run/tokenizers/byte-level', import.meta.url));
  const { chat } = JSON.parse(readFileSync(`${folder}/expected.json`, 'utf8')) as Said;
  expect(opened(folder).chat([{ role: 'user', content: ' Who are you? ' }])).toEqual({ ok: true, value: chat, diagnostics: [] });
});

describe('a tokenizer that cannot be used', () => {
  const folder = mkdtempSync(join(tmpdir(), 'moec-test-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const told = (files: Readonly<Record<string, string>>): readonly string[] => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    return openTokenizer({ kind: 'file', folder }).diagnostics.map(({ code }) => code);
  };

  it('is refused with a diagnostic', () => {
    expect(told({})).toEqual(['tokenizer-missing']);
    expect(told({ 'tokenizer.json': '{' })).toEqual(['json-unreadable']);
    expect(told({ 'tokenizer.json': '{}' })).toEqual(['tokenizer-damaged']);
    expect(told({ 'tokenizer.json': '{"model": {"type": "Unknown"}}' })).toEqual(['tokenizer-damaged']);
    expect(openTokenizer(undefined).diagnostics.map(({ message }) => message)).toEqual(['there is no tokenizer with this model']);
  });

  it('and so is a chat template that stops', () => {
    const text = readFileSync(new URL('run/tokenizers/byte-level/tokenizer.json', import.meta.url), 'utf8');
    expect(told({ 'tokenizer.json': text, 'tokenizer_config.json': '{"chat_template": "{{ raise_exception(\'only one turn\') }}"}' })).toEqual([]);
    expect(opened(folder).chat([{ role: 'user', content: 'Hi' }])).toMatchObject({
      ok: false,
      diagnostics: [{ code: 'chat-template-fails', message: 'the chat template cannot be used: only one turn' }],
    });
  });
});
