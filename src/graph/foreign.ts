/** Ops of ONNX that a graph carries as they are: what an import does not know, and what a lowering leaves. */

import { Bug } from '../diagnostics/bug.ts';
import type { Op } from './op.ts';

const known = new Map<string, Op>();

/** The op `type` of `domain`; `''` is ai.onnx. Asked twice, it is the same object. */
export function foreign(type: string, domain = ''): Op {
  const key = domain === '' ? type : `${domain}.${type}`;
  const found = known.get(key);
  if (found) return found;
  const refuse = (): never => {
    throw new Bug(`${key} is a node of ONNX: only a runtime knows what it does`);
  };
  const op: Op = {
    name: `onnx.${key}`,
    call: null,
    doc: `${key} of ONNX.`,
    inputs: ['inputs*'],
    outputs: ['outputs*'],
    attrs: {},
    foreign: { domain, type },
    type: refuse,
    eval: refuse,
    grad: 'none',
    lower: refuse,
    samples: [],
  };
  known.set(key, op);
  return op;
}
