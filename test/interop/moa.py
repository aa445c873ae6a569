"""The translation transformer of the MoA paper in numpy, written out token by token and head by head.

usage: moa.py FOLDER
FOLDER holds config.json, model.safetensors with weights by their paths, and in.NAME.npy. Writes out.logits.npy.
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file


def softmax(x):
    powers = np.exp(x - x.max())
    return powers / powers.sum()


def waves(count, width):
    return np.array([[np.sin(p / 10000 ** (j / width)) if j % 2 == 0 else np.cos(p / 10000 ** ((j - 1) / width)) for j in range(width)] for p in range(count)])


class Model:
    def __init__(self, folder):
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = {name: value.astype(np.float64) for name, value in load_file(folder / "model.safetensors").items()}

    def norm(self, x, path):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + self.config["eps"]) * self.weights[f"{path}.gain"] + self.weights[f"{path}.bias"]

    def feed_forward(self, x, path):
        w = self.weights
        return np.maximum(x @ w[f"{path}.up"] + w[f"{path}.up_bias"], 0) @ w[f"{path}.down"] + w[f"{path}.down_bias"]

    def heads(self, queries, rows, path, visible):
        """Section 2 of the paper: every token's picked heads read the rows that it may see."""
        w, picked = self.weights, self.config["picked"]
        keys, values = rows @ w[f"{path}.k"], rows @ w[f"{path}.v"]
        out = np.zeros_like(queries)
        for t, x in enumerate(queries):
            p = softmax(x @ w[f"{path}.router.gate"])
            for e in np.argsort(-p, kind="stable")[:picked]:
                q = x @ w[f"{path}.q"][e]
                seen = [j for j in range(len(rows)) if visible(t, j)]
                shares = softmax(np.array([q @ keys[j] for j in seen]) / np.sqrt(self.config["W"]))
                out[t] += p[e] * (sum(share * values[j] for share, j in zip(shares, seen)) @ w[f"{path}.o"][e])
        return out

    def encode(self, ids, mask):
        D = self.config["D"]
        x = self.weights["embed.table"][ids] * np.sqrt(D) + waves(len(ids), D)
        for i in range(self.config["L"]):
            at = f"encoder.{i}"
            h = self.norm(x + self.heads(x, x, f"{at}.attn", lambda t, j: mask[j]), f"{at}.norm1")
            x = self.norm(h + self.feed_forward(h, f"{at}.ffn"), f"{at}.norm2")
        return x

    def decode(self, ids, memory, mask):
        D = self.config["D"]
        y = self.weights["embed.table"][ids] * np.sqrt(D) + waves(len(ids), D)
        for i in range(self.config["L"]):
            at = f"decoder.{i}"
            g = self.norm(y + self.heads(y, y, f"{at}.attn", lambda t, j: j <= t), f"{at}.norm1")
            h = self.norm(g + self.heads(g, memory, f"{at}.cross", lambda t, j: mask[j]), f"{at}.norm2")
            y = self.norm(h + self.feed_forward(h, f"{at}.ffn"), f"{at}.norm3")
        return y @ self.weights["embed.table"].T


def main(folder):
    folder = Path(folder)
    model = Model(folder)
    read, mask, written = (np.load(folder / f"in.{name}.npy") for name in ("input_ids", "attention_mask", "decoder_input_ids"))
    logits = [model.decode(written[b], model.encode(read[b], mask[b] > 0), mask[b] > 0) for b in range(len(read))]
    np.save(folder / "out.logits.npy", np.array(logits, np.float32))


if __name__ == "__main__":
    main(sys.argv[1])
