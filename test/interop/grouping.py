"""Groupings, ridge regression and low-rank repairs by k-means-constrained, scipy and numpy, written from the papers and systems they come from.

usage: grouping.py kmeans|carved|ridge|membership|low-rank FOLDER
FOLDER holds the inputs as .npy files and options.json. Prints one JSON object.
"""

import json
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

task, folder = sys.argv[1], Path(sys.argv[2])
load = lambda name: np.load(folder / f"{name}.npy").astype(np.float64) if (folder / f"{name}.npy").exists() else None
options = json.loads((folder / "options.json").read_text())


def kmeans():
    from k_means_constrained import KMeansConstrained

    points, k = load("points"), options["clusters"]
    size = len(points) // k
    found = KMeansConstrained(n_clusters=k, size_min=size, size_max=size, random_state=0, n_init=options["restarts"], max_iter=1000).fit(points)
    # Inertia by the definition, for its labels and for ours.
    inertia = lambda labels: sum(((points[labels == c] - points[labels == c].mean(0)) ** 2).sum() for c in range(k))
    return {"theirs": inertia(found.labels_), "ours": inertia(load("labels").astype(int))}


def carved():
    """CMoE, steps 1 to 5: profile, shared experts, centroids, balanced L1 assignment, representatives."""
    x, gate, up, labels = load("x"), load("gate"), load("up"), load("labels").astype(int)
    n, most, shared = options["experts"], options["most"], options["shared"]
    unit = lambda m: m / np.linalg.norm(m, axis=1, keepdims=True)
    g = unit(x) @ unit(gate).T
    h = np.abs(g / (1 + np.exp(-g)) * (unit(x) @ unit(up).T))
    marks = np.zeros_like(h)
    np.put_along_axis(marks, np.argsort(-h, axis=1, kind="stable")[:, :most], 1, axis=1)
    mean = marks.mean(0)
    order = np.argsort(-mean, kind="stable")
    rest = np.sort(order[shared:])
    columns = marks.T[rest]
    m = len(rest) // n
    centroids = columns[np.argsort(-columns.mean(1), kind="stable")[:n]]
    far = np.abs(columns[:, None] - centroids[None]).sum(-1)
    rows, places = linear_sum_assignment(np.repeat(far, m, axis=1))
    # Ties leave several best assignments: ours has to cost the same, and what follows is held against ours.
    ours = labels[rest]
    representatives = []
    for e in range(n):
        members = rest[ours == e]
        centroid = marks.T[members].mean(0)
        representatives.append(int(members[np.argmin(np.abs(marks.T[members] - centroid).sum(1))]))
    return {
        "rates": mean.tolist(),
        "shared": np.sort(order[:shared]).tolist(),
        "least": far[rows, places // m].sum(),
        "cost": far[np.arange(len(rest)), ours].sum(),
        "representatives": representatives,
    }


def ridge_of(features, targets, penalty):
    centred = features - features.mean(0)
    size = np.sqrt(penalty * (centred**2).sum(0).mean())
    # As a least-squares problem with rows for the penalty, not by normal equations.
    wide = np.vstack([centred, size * np.eye(features.shape[1])])
    tall = np.vstack([targets - targets.mean(0), np.zeros((features.shape[1], targets.shape[1]))])
    return np.linalg.lstsq(wide, tall, rcond=None)[0], wide


def ridge():
    features, targets = load("features"), load("targets")
    weights, _ = ridge_of(features, targets, options["penalty"])
    return {"weights": weights.tolist(), "intercept": (targets.mean(0) - features.mean(0) @ weights).tolist()}


def low_rank():
    """The best map of rank r is the full ridge regression with its fitted values cut to rank r by an SVD."""
    x, h, down, labels, r = load("x"), load("h"), load("down"), load("labels").astype(int), options["rank"]
    experts = labels.max() + 1
    outputs = np.concatenate([h[:, labels == e] @ down[labels == e] for e in range(experts)], axis=1)
    weights, wide = ridge_of(x, outputs, options["penalty"])
    u, s, vt = np.linalg.svd(wide @ weights, full_matrices=False)
    best = weights @ vt[:r].T @ vt[:r]
    mean = outputs.mean(0) - x.mean(0) @ best
    project, expand, means = load("project"), load("expand"), load("means")
    width = down.shape[1]
    ours = np.concatenate([project @ expand[e * r : (e + 1) * r] for e in range(experts)], axis=1)
    loss = lambda a, b: ((outputs - x @ a - b) ** 2).sum() + ((wide[len(x) :] @ a) ** 2).sum()
    z = x @ project
    return {
        "theirs": loss(best, mean),
        "ours": loss(ours, means.reshape(experts * width)),
        "meansAlone": ((outputs - outputs.mean(0)) ** 2).sum(),
        "map": float(np.linalg.norm(ours - best) / np.linalg.norm(best)),
        "spectrum": (s[: r + 1] ** 2).tolist(),
        "variance": float(z.var(0).max()),
    }


def membership():
    """The same convex objective, minimised by scipy's L-BFGS to the end."""
    from scipy.optimize import minimize

    phi, losses, k, penalty = load("features"), load("losses"), options["picks"], options["penalty"]
    tokens, experts = losses.shape
    order = -np.sort(-losses, axis=1)
    picked = (losses >= order[:, k - 1 : k]).astype(float)
    cost = np.abs(losses**2 - (order[:, k - 1 : k + 1].mean(1, keepdims=True)) ** 2)
    cost = np.minimum(4, cost / cost.mean())
    centred = phi - phi.mean(0)
    ridge = penalty * centred.var(0).mean() / 4

    def objective(flat):
        w = flat.reshape(-1, experts)
        s = centred @ w[:-1] + w[-1]
        loss = (cost * (np.logaddexp(0, s) - picked * s)).sum() / tokens + ridge / 2 * (w[:-1] ** 2).sum()
        pull = cost * (1 / (1 + np.exp(-s)) - picked) / tokens
        return loss, np.vstack([centred.T @ pull + ridge * w[:-1], pull.sum(0)]).ravel()

    start = np.zeros((phi.shape[1] + 1) * experts)
    best = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 3000, "maxfun": 10000, "ftol": 1e-13, "gtol": 1e-9})
    weights, intercept = load("weights"), load("intercept")
    ours = np.vstack([weights, intercept + phi.mean(0) @ weights])
    return {"start": objective(start)[0], "theirs": best.fun, "ours": objective(ours.ravel())[0]}


print(json.dumps({"membership": membership, "kmeans": kmeans, "carved": carved, "ridge": ridge, "low-rank": low_rank}[task]()))
