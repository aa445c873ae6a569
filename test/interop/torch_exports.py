"""Tiny random transformers exported to ONNX by torch, by tracing and by torch.export, with what torch computes for them.

usage: torch_exports.py FOLDER [NAME …]
Writes FOLDER/NAME.onnx and FOLDER/NAME.npy: the result for ids[b, s] = (7 b + 3 s + 1) mod 101, [2, 7], the last two of row 1 masked.
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


folder = Path(sys.argv[1])
for name, attention in [("gpt2", "sdpa"), ("bert", "eager"), ("llama", "sdpa"), ("albert", "eager")]:
    for way in ["traced", "exported"] if name in (sys.argv[2:] or [name]) else []:
        export(name, attention, way, folder)
