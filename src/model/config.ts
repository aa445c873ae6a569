/** What a checkpoint's `config.json` says: keys looked up for params, and those that nobody read. */

import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';

/** Whether a JSON value is an object. */
export function isObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

/** The value under a key, dots entering nested objects; undefined where absent, null or an empty list. */
export function lookUpKey(config: unknown, key: string): unknown {
  let at: unknown = config;
  const whole = isObject(config) && Object.hasOwn(config, key) ? config[key] : undefined;
  if (whole !== undefined) at = whole;
  else {
    for (const step of key.split('.')) {
      if (!isObject(at) || !Object.hasOwn(at, step)) return undefined;
      at = at[step];
    }
  }
  return at === null || (Array.isArray(at) && at.length === 0) ? undefined : at;
}

/** Keys that say how a model was made, stored, trained or is to be sampled from; never what it computes. */
const harmless = new Set([
  '_name_or_path',
  '_attn_implementation',
  '_attn_implementation_autoset',
  'architectures',
  'attention_dropout',
  'attention_probs_dropout_prob',
  'attn_pdrop',
  'auto_map',
  'bad_words_ids',
  'bos_token_id',
  'chunk_size_feed_forward',
  'down_scale_factor',
  'initial_context_length',
  'seq_aux',
  'aux_loss_alpha',
  'ep_size',
  'qk_head_dim',
  'num_nextn_predict_layers',
  'router_z_loss_coef',
  'aux_loss_coef',
  'input_jitter_noise',
  'router_jitter_noise',
  'gap_size',
  'num_memory_blocks',
  'classifier_dropout',
  'classifier_dropout_prob',
  'cross_attention_hidden_size',
  'decoder_start_token_id',
  'diversity_penalty',
  'do_sample',
  'dropout',
  'dtype',
  'early_stopping',
  'embd_pdrop',
  'encoder_no_repeat_ngram_size',
  'eos_token_id',
  'exponential_decay_length_penalty',
  'finetuning_task',
  'forced_bos_token_id',
  'forced_eos_token_id',
  'gradient_checkpointing',
  'hidden_dropout',
  'hidden_dropout_prob',
  'id2label',
  'initializer_factor',
  'initializer_range',
  'is_decoder',
  'is_encoder_decoder',
  'keys_to_ignore_at_inference',
  'label2id',
  'length_penalty',
  'max_length',
  'max_position_embeddings',
  'min_length',
  'model_type',
  'n_ctx',
  'net_structure_type',
  'no_repeat_ngram_size',
  'num_beam_groups',
  'num_beams',
  'num_return_sequences',
  'output_attentions',
  'output_hidden_states',
  'output_router_logits',
  'output_scores',
  'pad_token_id',
  'prefix',
  'pretraining_tp',
  'problem_type',
  'pruned_heads',
  'remove_invalid_values',
  'repetition_penalty',
  'resid_pdrop',
  'return_dict',
  'return_dict_in_generate',
  'router_aux_loss_coef',
  'sep_token_id',
  'suppress_tokens',
  'task_specific_params',
  'temperature',
  'tf_legacy_loss',
  'tie_encoder_decoder',
  'tokenizer_class',
  'top_k',
  'top_p',
  'torch_dtype',
  'torchscript',
  'transformers_version',
  'typical_p',
  'use_bfloat16',
  'use_cache',
  'summary_activation',
  'summary_first_dropout',
  'summary_proj_to_labels',
  'summary_type',
  'summary_use_proj',
  'reorder_and_upcast_attn',
  'quantization_config',
  'begin_suppress_tokens',
]);

/** Values that say that nothing unusual is asked for. */
const neutral = (value: unknown): boolean =>
  value === null || value === false || (Array.isArray(value) && value.length === 0) || (isObject(value) && Object.keys(value).length === 0);

/** One note for all the keys that no param asked for and that could mean a different model; nested objects are entered where some param was. */
export function unreadKeys(config: unknown, read: ReadonlySet<string>): readonly Diagnostic[] {
  const unread = isObject(config) ? [...walk(config, '', read)] : [];
  if (unread.length === 0) return [];
  const shown = unread.slice(0, 12).map(({ key, value }) => `${key} = ${short(value)}`);
  return [
    diagnose(
      'config-key-unread',
      { keys: unread.length === 1 ? `\`${unread[0]?.key ?? ''}\`` : `${unread.length} keys` },
      { notes: [...shown, ...(unread.length > 12 ? [`and ${unread.length - 12} more`] : [])] },
    ),
  ];
}

function* walk(config: Readonly<Record<string, unknown>>, prefix: string, read: ReadonlySet<string>): Generator<{ readonly key: string; readonly value: unknown }> {
  for (const [name, value] of Object.entries(config)) {
    const key = prefix + name;
    if (read.has(key) || harmless.has(name) || name.startsWith('_') || neutral(value)) continue;
    if (isObject(value) && [...read].some((one) => one.startsWith(`${key}.`))) yield* walk(value, `${key}.`, read);
    else if (prefix === '' || !isObject(value)) yield { key, value };
  }
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? '';
  return text.length <= 48 ? text : `${text.slice(0, 46)} …`;
}
