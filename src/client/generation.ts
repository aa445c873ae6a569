/** The part of a generated client that continues prompts, for models with a cache. */

import type { InterfaceDeclarationStructure, OptionalKind } from 'ts-morph';
import { isPast, pastPrefix, presentPrefix } from '../passes/cache-names.ts';
import type { Executable } from '../run/executable.ts';
import type { Port } from '../run/tensor.ts';
import { quotedText, tensorTypes } from './ports.ts';

/** What generation needs to know of a decoder. */
export type Decoder = Pick<Executable, 'stop' | 'context' | 'active'> & { readonly inputs: readonly Port[] };

/** `GenerateOptions`, without its name. */
export function generateOptions({ stop, context, active }: Decoder): Omit<OptionalKind<InterfaceDeclarationStructure>, 'name'> {
  return {
    docs: ['How a prompt is continued.'],
    properties: [
      {
        name: 'maxTokens',
        type: 'number',
        hasQuestionToken: true,
        isReadonly: true,
        docs: [`The most tokens; 256 where left out${context === undefined ? '' : `, and never beyond the context of ${context}`}.`],
      },
      {
        name: 'stopTokens',
        type: 'readonly number[]',
        hasQuestionToken: true,
        isReadonly: true,
        docs: [`Tokens that end the text; ${stop.length === 0 ? 'none' : `[${stop.join(', ')}]`} where left out.`],
      },
      {
        name: 'pick',
        type: '(logits: Float32Array) => number',
        hasQuestionToken: true,
        isReadonly: true,
        docs: ['Picks the next token of the logits of the last position; the largest where left out.'],
      },
      ...(active
        ? [
            {
              name: 'active',
              type: 'number',
              hasQuestionToken: true,
              isReadonly: true,
              docs: [`How many experts a token picks, 1 to ${active.most}; ${active.usual} where left out.`],
            },
          ]
        : []),
    ],
  };
}

/** The method of the object that `load` returns. */
export function generateMethod({ inputs, stop, context, active }: Decoder): string {
  const takes = (name: string): boolean => inputs.some((port) => port.name === name);
  const caches = inputs.filter(isPast);
  const sizes = (port: Port): string => `[${port.dims.map((size, axis) => (typeof size === 'number' ? size : axis === 0 ? 1 : 0)).join(', ')}]`;
  const empty = caches.map((port) => `${quotedText(port.name)}: new Tensor('${tensorTypes[port.dtype]}', [], ${sizes(port)}),`).join('\n');
  const feeds = [
    'input_ids: row(ids),',
    takes('attention_mask') ? 'attention_mask: row(new Array<number>(length).fill(1)),' : '',
    takes('position_ids') ? 'position_ids: row(ids.map((_, i) => length - ids.length + i)),' : '',
    takes('token_type_ids') ? 'token_type_ids: row(ids.map(() => 0)),' : '',
    active ? "active: new Tensor('int64', BigInt64Array.of(BigInt(active)), [])," : '',
    '...cache,',
  ].filter((line) => line !== '');
  return `async *generate(prompt, { maxTokens = 256, stopTokens = [${stop.join(', ')}], pick = largest${active ? `, active = ${active.usual}` : ''} } = {}) {
  const row = (values: readonly number[]): Tensor => new Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
  let cache: Record<string, Tensor> = {
    ${empty}
  };
  let ids = [...prompt];
  let length = prompt.length;
  if (length === 0${context === undefined ? '' : ` || length >= ${context}`}) throw new RangeError(\`a prompt of \${length} tokens${context === undefined ? '' : `; the context is ${context}`}\`);
  for (let count = 0; count < maxTokens${context === undefined ? '' : ` && length < ${context}`}; count++) {
    const results = await session.run({
      ${feeds.join('\n')}
    });
    const logits = results['logits'] as TypedTensor<'float32'>;
    cache = Object.fromEntries(Object.entries(results).filter(([name]) => name.startsWith('${presentPrefix}')).map(([name, value]) => [name.replace('${presentPrefix}', '${pastPrefix}'), value as Tensor]));
    const token = pick(logits.data.subarray(-(logits.dims[2] ?? 0)));
    yield token;
    if (stopTokens.includes(token)) return;
    ids = [token];
    length++;
  }
},`;
}

/** The default of `pick`. */
export const largestFunction = `/** The token with the largest logit, the lower one of equals. */
function largest(logits: Float32Array): number {
  return logits.reduce((best, value, token) => (value > (logits[best] ?? Number.NEGATIVE_INFINITY) ? token : best), 0);
}`;
