"""Tiny random transformers exported to ONNX by torch, by tracing and by torch.export, with what torch computes for them.

usage: torch_exports.py FOLDER [NAME …]
Writes FOLDER/NAME.onnx and FOLDER/NAME.npy: the result for ids[b, s] = (7 b + 3 s + 1) mod 101, [2, 7], the last two of row 1 masked.
The Llama also as FOLDER/llama-cached.onnx, which takes past keys and values and gives present ones, with 12 tokens for each of two prompts.
(A GPT-2 that is traced so does not step as torch does: the lengths of the trace stay in its mask.)
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import torch
import transformers as t

warnings.filterwarnings("ignore")
SIZES = dict(vocab_size=101, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64)

MODELS = {
    "gpt2": lambda **how: t.GPT2LMHeadModel(t.GPT2Config(vocab_size=101, n_embd=32, n_layer=2, n_head=4, n_positions=64, use_cache=False, **how)),
    "bert": lambda **how: t.BertModel(t.BertConfig(**SIZES, intermediate_size=64, **how)),
    "llama": lambda **how: t.LlamaForCausalLM(t.LlamaConfig(**SIZES, num_key_value_heads=2, intermediate_size=88, use_cache=False, **how)),
    "albert": lambda **how: t.AlbertModel(t.AlbertConfig(**SIZES, embedding_size=16, intermediate_size=64, **how)),
}


class Whole(torch.nn.Module):
    """The first result alone, as exporters want it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask, return_dict=False)[0]


def export(name, attention, way, folder):
    torch.manual_seed(0)
    model = Whole(MODELS[name](attn_implementation=attention)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * (0.2 if weight.dim() > 1 else 0.1))
    b, s = torch.meshgrid(torch.arange(2), torch.arange(7), indexing="ij")
    ids, mask = (7 * b + 3 * s + 1) % 101, torch.ones(2, 7, dtype=torch.int64)
    mask[1, 5:] = 0
    file = str(folder / f"{name}-{attention}-{way}.onnx")
    names = dict(input_names=["input_ids", "attention_mask"], output_names=["out"])
    if way == "traced":
        axes = {one: {0: "batch", 1: "seq"} for one in names["input_names"]}
        torch.onnx.export(model, (ids, mask), file, **names, dynamic_axes=axes, opset_version=17, dynamo=False)
    else:
        axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("seq", max=64)}
        torch.onnx.export(model, (ids, mask), file, **names, dynamic_shapes=(axes, axes), dynamo=True, external_data=False, verbose=False)
    with torch.no_grad():
        np.save(file.replace(".onnx", ".npy"), model(ids, mask).numpy())


class Cached(torch.nn.Module):
    """Logits and present keys and values, from past ones: what exporters for generation write."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, position_ids, *past):
        cache = t.DynamicCache()
        for layer in range(len(past) // 2):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        out = self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, past_key_values=cache, use_cache=True)
        return out.logits, *[one for layer in out.past_key_values.layers for one in (layer.keys, layer.values)]


def export_cached(folder):
    torch.manual_seed(0)
    model = MODELS["llama"](attn_implementation="eager").eval()
    model.config.use_cache = True
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    ends = [f"{layer}.{part}" for layer in range(2) for part in ("key", "value")]
    past = [torch.zeros(1, 2, 4, 8) for _ in ends]
    pasts, presents = [f"past_key_values.{end}" for end in ends], [f"present.{end}" for end in ends]
    axes = {one: {0: "batch", 1: "seq"} for one in ("input_ids", "position_ids", "logits")}
    axes |= {"attention_mask": {0: "batch", 1: "total"}, **{one: {0: "batch", 2: "past"} for one in pasts}, **{one: {0: "batch", 2: "total"} for one in presents}}
    given = (torch.ones(1, 3, dtype=torch.int64), torch.ones(1, 7, dtype=torch.int64), torch.arange(4, 7)[None], *past)
    names = dict(input_names=["input_ids", "attention_mask", "position_ids", *pasts], output_names=["logits", *presents])
    torch.onnx.export(Cached(model), given, str(folder / "llama-cached.onnx"), **names, dynamic_axes=axes, opset_version=17, dynamo=False)
    prompts = [[1, 5, 9, 33, 7], [80, 2]]
    written = [model.generate(torch.tensor([one]), max_new_tokens=12, do_sample=False, eos_token_id=None)[0, len(one) :] for one in prompts]
    np.save(folder / "llama-cached.npy", torch.stack(written).numpy())


folder = Path(sys.argv[1])
if "llama" in (sys.argv[2:] or ["llama"]):
    export_cached(folder)
for name, attention in [("gpt2", "sdpa"), ("bert", "eager"), ("llama", "sdpa"), ("albert", "eager")]:
    for way in ["traced", "exported"] if name in (sys.argv[2:] or [name]) else []:
        export(name, attention, way, folder)
