"""The static analyses of experts by numpy and scipy, for the tensors of Mixtral, gpt-oss and JetMoE as their own checkpoints name them."""

import json
import sys

import numpy as np
from safetensors.numpy import load_file
from scipy.optimize import linear_sum_assignment
from scipy.stats import kendalltau, linregress


def mixtral(t, i):
    at = f"model.layers.{i}.block_sparse_moe."
    each = lambda name: [t[f"{at}experts.{e}.{name}.weight"] for e in range(5)]
    yield "ffn", t[at + "gate.weight"], {"gate": each("w1"), "up": each("w3"), "down": [w.T for w in each("w2")]}


def gpt_oss(t, i):
    at = f"model.layers.{i}.mlp."
    both, down = t[at + "experts.gate_up_proj"], t[at + "experts.down_proj"]
    yield "ffn.ffn", t[at + "router.weight"], {"gate": [w[:, ::2].T for w in both], "up": [w[:, 1::2].T for w in both], "down": list(down)}


def jetmoe(t, i):
    at = f"model.layers.{i}.self_attention.experts."
    yield "attn", t[at + "router.layer.weight"], {"q": list(t[at + "input_linear.weight"]), "o": [w.T for w in t[at + "output_linear.weight"]]}
    at = f"model.layers.{i}.mlp."
    both = t[at + "input_linear.weight"]
    half = both.shape[1] // 2
    yield "ffn", t[at + "router.layer.weight"], {"gate": [w[:half] for w in both], "up": [w[half:] for w in both], "down": [w.T for w in t[at + "output_linear.weight"]]}


def cosines(vectors):
    rows = np.stack([v / np.linalg.norm(v) for v in vectors])
    return rows @ rows.T


def matched(a, b):
    """Cosine of two matrices [neurons, width] once the neurons of b are in the order most like a's, and how that order lies to theirs."""
    unit = lambda m: m / np.linalg.norm(m, axis=1, keepdims=True)
    _, order = linear_sum_assignment(unit(a) @ unit(b).T, maximize=True)
    return float(cosines([a.ravel(), b[order].ravel()])[0, 1]), float(kendalltau(order, np.arange(len(order))).statistic)


def report(path, gate, matrices):
    gates = cosines(gate.astype(np.float64))
    below = np.tril_indices(len(gates), -1)
    for name, experts in matrices.items():
        experts = [w.astype(np.float64) for w in experts]
        averaged = cosines([w.mean(axis=0) for w in experts])
        pairs = {f"{i},{j}": matched(experts[i], experts[j]) for i in range(len(experts)) for j in range(i + 1, len(experts))}
        yield {
            "path": path,
            "name": name,
            "whole": cosines([w.ravel() for w in experts]).tolist(),
            "averaged": averaged.tolist(),
            "pairs": pairs,
            "gate": gates.tolist(),
            "r": float(linregress(averaged[below], gates[below]).rvalue),
        }


def main(folder, family, layers):
    tensors = load_file(f"{folder}/model.safetensors")
    found = [one for i in range(int(layers)) for at, gate, matrices in globals()[family](tensors, i) for one in report(f"body.blocks.{i}.{at}", gate, matrices)]
    print(json.dumps(found))


main(*sys.argv[1:])
