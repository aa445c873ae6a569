"""Tiny random checkpoints of the families, made by `transformers`, with what it computes for them.

usage: make_checkpoints.py FOLDER [NAME ...]
Each FOLDER/NAME holds a checkpoint and expected.npz: the inputs by name and the results by name, all positions.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import transformers as t

LLAMA = dict(vocab_size=101, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2, pad_token_id=0)
BERT = dict(vocab_size=97, hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=40, pad_token_id=0)
GPT2 = dict(vocab_size=101, n_embd=48, n_layer=3, n_head=4, n_positions=64, bos_token_id=1, eos_token_id=2)
ALBERT = dict(vocab_size=97, embedding_size=24, hidden_size=48, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4, max_position_embeddings=40, pad_token_id=0)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)

MODELS = {
    "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**LLAMA)),
    "llama-tied": lambda: t.LlamaForCausalLM(t.LlamaConfig(**LLAMA, tie_word_embeddings=True)),
    "llama-biased": lambda: t.LlamaForCausalLM(t.LlamaConfig(**LLAMA, attention_bias=True, mlp_bias=True, head_dim=12)),
    "llama3": lambda: t.LlamaForCausalLM(t.LlamaConfig(**LLAMA, rope_parameters=LLAMA3)),
    "llama-linear": lambda: t.LlamaForCausalLM(t.LlamaConfig(**LLAMA, rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.0))),
    "mistral": lambda: t.MistralForCausalLM(t.MistralConfig(**LLAMA, sliding_window=5, head_dim=8)),
    "gpt2": lambda: t.GPT2LMHeadModel(t.GPT2Config(**GPT2)),
    "gpt2-relu": lambda: t.GPT2LMHeadModel(t.GPT2Config(**GPT2, activation_function="relu", n_inner=56)),
    "bert-masked": lambda: t.BertForMaskedLM(t.BertConfig(**BERT)),
    "bert": lambda: t.BertModel(t.BertConfig(**BERT)),
    "bert-classifier": lambda: t.BertForSequenceClassification(t.BertConfig(**BERT, num_labels=3)),
    "albert-masked": lambda: t.AlbertForMaskedLM(t.AlbertConfig(**ALBERT)),
    "albert": lambda: t.AlbertModel(t.AlbertConfig(**ALBERT, hidden_act="gelu")),
}


def scramble(model):
    """Numbers large enough that no layer is nearly the identity, biases and gains included."""
    generator = torch.Generator().manual_seed(7)
    for name, weight in model.named_parameters():
        spread = 0.4 if weight.ndim == 1 else 1.2 / weight.shape[-1] ** 0.5
        with torch.no_grad():
            weight.copy_(torch.randn(weight.shape, generator=generator) * spread + (1.0 if "norm" in name.lower() and "weight" in name or "ln_" in name and "weight" in name else 0.0))


def inputs_of(name, model):
    generator = torch.Generator().manual_seed(11)
    ids = torch.randint(3, model.config.get_text_config().vocab_size, (2, 11), generator=generator)
    if "bert" not in name:
        return {"input_ids": ids}
    mask = torch.ones_like(ids)
    mask[1, 8:] = 0
    segments = torch.zeros_like(ids)
    segments[:, 5:] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": segments}


def write(where, name, make, scramble):
    """One checkpoint, its recorded inputs and results; the model. Of a model that also sees pictures the part that writes is asked, since 5.24 the whole one fails where there is no picture."""
    # A second thread gains nothing on models of this size, and waits for its turn on a machine that has other work.
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = make().eval().float()
    scramble(model)
    model.tie_weights()
    shards = {"max_shard_size": "40KB"} if name == "llama" else {}
    model.save_pretrained(where, **shards)
    feeds = inputs_of(name, model)
    with torch.no_grad():
        results = getattr(model, "language_model", model)(**feeds)
    keep = {key: results[key] for key in ("logits", "last_hidden_state", "pooler_output") if key in results and results[key] is not None}
    if name == "albert":
        keep.pop("pooler_output", None)
    (where / "expected").mkdir(exist_ok=True)
    for key, value in feeds.items():
        np.save(where / "expected" / f"in.{key}.npy", value.numpy())
    for key, value in keep.items():
        np.save(where / "expected" / f"out.{key}.npy", value.numpy())
    return getattr(model, "language_model", model)


def main(folder, *names):
    for name in names or MODELS:
        make = MODELS[name]
        write(Path(folder) / name, name, make, scramble)


if __name__ == "__main__":
    main(*sys.argv[1:])
