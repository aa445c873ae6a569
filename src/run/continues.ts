/** Whether a model is one to continue texts with, or one that reads them from both sides. */

import { join } from 'node:path';
import type { Node } from '../graph/graph.ts';
import { isPast } from '../passes/cache-names.ts';
import { recognised } from '../passes/recognition.ts';
import { decodes, hasCache } from '../targets/pipeline.ts';
import { fillable } from './decode.ts';
import type { Found } from './find-model.ts';
import { readJson } from './json.ts';

/** Whether a model continues texts: its attention sees only what came before. Of one of ONNX a cache and the configuration beside it say so as well. */
export function continues({ model: { graph }, imported, folder }: Pick<Found, 'model' | 'imported' | 'folder'>): boolean {
  if (!imported) return decodes(graph);
  if (!graph.inputs.some(({ name }) => name === 'input_ids')) return false;
  return hasCache(graph) || (folder !== undefined && predictsNext(folder)) || graph.nodes.some(isCausal) || decodes(recognised(graph));
}

/** Whether a prompt is all that a model needs to continue it: it takes nothing that no prompt gives. */
export function takesPrompts(found: Pick<Found, 'model' | 'imported' | 'folder'>): boolean {
  return continues(found) && found.model.graph.inputs.every((input) => fillable.has(input.name) || isPast(input));
}

/** The attentions of ONNX and of onnxruntime that say they see only what came before. */
function isCausal({ op, attrs }: Node): boolean {
  return op.foreign?.type === 'GroupQueryAttention' || (/Attention$/.test(op.foreign?.type ?? '') && (attrs['is_causal'] === 1 || attrs['unidirectional'] === 1));
}

/** Whether the architecture of a checkpoint is one that predicts the next token. */
function predictsNext(folder: string): boolean {
  const config = readJson(join(folder, 'config.json'));
  const named = config.ok ? config.value['architectures'] : undefined;
  return Array.isArray(named) && named.some((one) => /(ForCausalLM|LMHeadModel)$/.test(String(one)));
}
