"""A compiled generation in one call of onnxruntime, against `transformers` continuing the same prompts.

usage: generate.py FOLDER CHECKPOINT
FOLDER is what `moec compile --generate` wrote of CHECKPOINT. Every model in it is checked. Prints one JSON object: for each case, the tokens of
both, a row for each prompt; the prompts have different lengths and are padded on the left.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
import transformers

STEPS = 16
PAD = 0
PROMPTS = [[5, 17, 29, 41, 53, 65, 77], [88, 13, 34]]


def padded(rows):
    longest = max(map(len, rows))
    ids = [[PAD] * (longest - len(row)) + row for row in rows]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
    return np.array(ids, np.int64), np.array(mask, np.int64)


def ours(session, stop, penalty):
    ids, mask = padded(PROMPTS)
    feeds = {
        "input_ids": ids,
        "attention_mask": mask,
        "max_new_tokens": np.array(STEPS, np.int64),
        "temperature": np.array(0, np.float32),
        "top_k": np.array(0, np.int64),
        "top_p": np.array(1, np.float32),
        "min_p": np.array(0, np.float32),
        "repetition_penalty": np.array(penalty, np.float32),
        "stop_tokens": np.array(stop, np.int64),
        "pad_token": np.array(PAD, np.int64),
        "uniforms": np.zeros((STEPS, len(PROMPTS)), np.float32),
    }
    return session.run(["tokens"], feeds)[0].T.tolist()


def theirs(model, rows, stop, penalty):
    """Continuations without their prompts. Where a penalty counts, each row alone: `transformers` counts padding as tokens that were there."""
    ids, mask = padded(rows)
    settings = dict(do_sample=False, max_new_tokens=STEPS, pad_token_id=PAD, eos_token_id=stop or None, repetition_penalty=penalty)
    with torch.no_grad():
        tokens = model.generate(torch.tensor(ids), attention_mask=torch.tensor(mask), **settings)
    return tokens[:, ids.shape[1] :].tolist()


def main(folder, checkpoint):
    for name in ("model.onnx", "generate.onnx"):
        path = str(Path(folder) / name)
        onnx.checker.check_model(path, full_check=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, attn_implementation="eager").eval()
    model.generation_config.eos_token_id = None
    session = ort.InferenceSession(str(Path(folder) / "generate.onnx"), providers=["CPUExecutionProvider"])
    greedy = theirs(model, PROMPTS, [], 1.0)
    stop = [greedy[0][5]]
    report = {
        "greedy": {"ours": ours(session, [], 1.0), "theirs": greedy},
        "stopped": {"ours": ours(session, stop, 1.0), "theirs": theirs(model, PROMPTS, stop, 1.0)},
        "penalised": {"ours": ours(session, [], 1.7), "theirs": [theirs(model, [row], [], 1.7)[0] for row in PROMPTS]},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
