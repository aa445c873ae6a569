"""Tiny random checkpoints of the families with experts, made by `transformers`, with what it computes for them.

usage: make_moe_checkpoints.py FOLDER [NAME ...]
As make_checkpoints.py, whose form the folders have. Tensors have the names and shapes of released checkpoints. Beside what is expected of all
positions stand two prompts and their greedy continuations: greedy.input_ids, greedy.attention_mask, greedy.tokens.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import transformers as t
from generate import PROMPTS, padded, theirs
from make_checkpoints import scramble, write

BASE = dict(vocab_size=101, hidden_size=48, intermediate_size=40, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)
QWEN = dict(**BASE, num_experts=5, num_experts_per_tok=2, moe_intermediate_size=24)
LATENT = dict(BASE, num_key_value_heads=6, n_routed_experts=8, num_experts_per_tok=3, moe_intermediate_size=24, first_k_dense_replace=1, kv_lora_rank=16, qk_rope_head_dim=8, qk_nope_head_dim=12, v_head_dim=10, rms_norm_eps=1e-5)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16)
GPT_OSS = dict(BASE, num_local_experts=5, num_experts_per_tok=2, head_dim=12, sliding_window=4, num_hidden_layers=4)
JETMOE = dict({key: value for key, value in BASE.items() if key != "num_attention_heads"}, num_key_value_heads=3, kv_channels=8, num_local_experts=5, num_experts_per_tok=2)
LLAMA4 = dict(BASE, num_local_experts=5, head_dim=8, intermediate_size_mlp=44, num_hidden_layers=4, attention_chunk_size=4, floor_scale=3)
VISION = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, vision_output_dim=16, image_size=28, patch_size=14, projector_input_dim=16, projector_output_dim=16)
PLAIN = dict(rope_type="default", rope_theta=10000.0)


def mixtral(**changes):
    return lambda: t.MixtralForCausalLM(t.MixtralConfig(**{**BASE, "num_local_experts": 5, "head_dim": 8, **changes}))


def olmoe(**changes):
    return lambda: t.OlmoeForCausalLM(t.OlmoeConfig(**{**BASE, "num_experts": 5, "num_experts_per_tok": 3, **changes}))


def qwen2(**changes):
    return lambda: t.Qwen2MoeForCausalLM(t.Qwen2MoeConfig(**{**QWEN, "shared_expert_intermediate_size": 36, **changes}))


def qwen3(**changes):
    return lambda: t.Qwen3MoeForCausalLM(t.Qwen3MoeConfig(**{**QWEN, "head_dim": 12, **changes}))


def deepseek_v2(**changes):
    return lambda: t.DeepseekV2ForCausalLM(t.DeepseekV2Config(**{**LATENT, "q_lora_rank": 20, "n_shared_experts": 2, **changes}))


def deepseek_v3(**changes):
    return lambda: t.DeepseekV3ForCausalLM(t.DeepseekV3Config(**{**LATENT, "q_lora_rank": 20, "n_shared_experts": 1, "n_group": 4, "topk_group": 2, **changes}))


def phimoe(**changes):
    return lambda: t.PhimoeForCausalLM(t.PhimoeConfig(**{**BASE, "num_local_experts": 5, "router_jitter_noise": 0.3, **changes}))


def gpt_oss(**changes):
    return lambda: t.GptOssForCausalLM(t.GptOssConfig(**{**GPT_OSS, **changes}))


def granitemoe(**changes):
    scales = dict(embedding_multiplier=1.5, attention_multiplier=0.3, residual_multiplier=0.7, logits_scaling=2.5)
    return lambda: t.GraniteMoeForCausalLM(t.GraniteMoeConfig(**{**BASE, "num_local_experts": 5, "num_experts_per_tok": 2, **scales, **changes}))


def granitemoeshared(**changes):
    scales = dict(embedding_multiplier=1.5, attention_multiplier=0.3, residual_multiplier=0.7, logits_scaling=2.5)
    return lambda: t.GraniteMoeSharedForCausalLM(t.GraniteMoeSharedConfig(**{**BASE, "num_local_experts": 5, "num_experts_per_tok": 2, "shared_intermediate_size": 28, **scales, **changes}))


def jetmoe(**changes):
    return lambda: t.JetMoeForCausalLM(t.JetMoeConfig(**{**JETMOE, **changes}))


def llama4(**changes):
    return lambda: t.Llama4ForCausalLM(t.Llama4TextConfig(**{**LLAMA4, **changes}))


MODELS = {
    "mixtral": mixtral(),
    "mixtral-window": mixtral(sliding_window=4, num_experts_per_tok=3),
    "mixtral-tied": mixtral(tie_word_embeddings=True, head_dim=12),
    "olmoe": olmoe(),
    "olmoe-normalised": olmoe(norm_topk_prob=True, clip_qkv=0.8, num_key_value_heads=6),
    "qwen2_moe": qwen2(),
    "qwen2_moe-normalised": qwen2(norm_topk_prob=True, decoder_sparse_step=2, num_hidden_layers=4, qkv_bias=False),
    "qwen2_moe-dense": qwen2(mlp_only_layers=[1], use_sliding_window=True, sliding_window=4, max_window_layers=2),
    "qwen3_moe": qwen3(norm_topk_prob=True),
    "qwen3_moe-raw": qwen3(mlp_only_layers=[0], tie_word_embeddings=True, attention_bias=True),
    "qwen3_moe-yarn": qwen3(norm_topk_prob=True, rope_parameters=YARN, use_sliding_window=True, sliding_window=4),
    "deepseek_v2": deepseek_v2(topk_method="group_limited_greedy", n_group=4, topk_group=2, routed_scaling_factor=1.5),
    "deepseek_v2-lite": deepseek_v2(q_lora_rank=None, topk_method="greedy"),
    "deepseek_v2-yarn": deepseek_v2(topk_method="greedy", rope_parameters=dict(YARN, mscale=0.7, mscale_all_dim=0.9)),
    "deepseek_v3": deepseek_v3(),
    "deepseek_v3-raw": deepseek_v3(norm_topk_prob=False, q_lora_rank=None, first_k_dense_replace=0, rope_interleave=False),
    "deepseek_v3-yarn": deepseek_v3(n_group=1, topk_group=1, rope_parameters=dict(YARN, mscale=1.0, mscale_all_dim=1.0)),
    "phimoe": phimoe(),
    "phimoe-biased": phimoe(attention_bias=True, lm_head_bias=True, sliding_window=4),
    "phimoe-long": phimoe(rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, short_factor=[1.0, 1.3, 1.7, 2.0], long_factor=[1.0, 2.0, 3.0, 4.0], short_mscale=1.2, long_mscale=1.4, original_max_position_embeddings=32)),
    "gpt_oss": gpt_oss(rope_parameters=dict(YARN, beta_fast=32.0, beta_slow=1.0, truncate=False)),
    "gpt_oss-full": gpt_oss(layer_types=["full_attention", "full_attention", "sliding_attention", "sliding_attention"], swiglu_limit=0.5, rope_parameters=PLAIN),
    "granitemoe": granitemoe(),
    "granitemoe-tied": granitemoe(tie_word_embeddings=True, attention_bias=True),
    "granitemoeshared": granitemoeshared(),
    "jetmoe": jetmoe(),
    "jetmoe-three": jetmoe(num_experts_per_tok=3, tie_word_embeddings=False),
    "llama4": llama4(rope_parameters=dict(rope_type="llama3", rope_theta=10000.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)),
    "llama4-seeing": lambda: t.Llama4ForConditionalGeneration(t.Llama4Config(text_config=dict(LLAMA4, rope_parameters=PLAIN), vision_config=VISION)),
    "llama4-maverick": llama4(interleave_moe_layer_step=2, use_qk_norm=False, rope_parameters=PLAIN),
}


def scramble_all(model):
    """Buffers that are saved are numbers like any other."""
    scramble(model)
    generator = torch.Generator().manual_seed(13)
    for name, buffer in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.4)
    model.set_attn_implementation("eager")
    model.set_experts_implementation("eager") if model.config.model_type not in ("jetmoe", "llama4_text") else None


def record_greedy(where, model):
    """Two prompts of different lengths, padded on the left, and what `generate` writes after them."""
    model.generation_config.eos_token_id = None
    ids, mask = padded(PROMPTS)
    for name, value in {"input_ids": ids, "attention_mask": mask, "tokens": np.array(theirs(model, PROMPTS, [], 1.0), np.int64)}.items():
        np.save(where / f"greedy.{name}.npy", value)


def main(folder, *names):
    for name in names or MODELS:
        record_greedy(Path(folder) / name / "expected", write(Path(folder) / name, name, MODELS[name], scramble_all))


if __name__ == "__main__":
    main(*sys.argv[1:])
