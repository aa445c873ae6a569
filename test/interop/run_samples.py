"""Runs models of single ops in onnx's ReferenceEvaluator and in OpenVINO, and says the ops again with PyTorch, against the numbers given beside them.

usage: run_samples.py FOLDER
FOLDER/samples.json lists {label, op, model, ports, settings, inputs, outputs}, ports being names of inputs or null; arrays are {dtype, dims, data}. Prints a line for every sample that
is not valid, does not run or is off by more than 1e-5 of the largest number.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import openvino as ov
import torch
from onnx.reference import ReferenceEvaluator

from torch_ops import TORCH

TOLERANCE = 1e-5
DTYPES = {"f32": np.float32, "i64": np.int64, "bool": np.bool_}


def array(given):
    data = [float(x) for x in given["data"]]
    return np.array(data, dtype=np.float64).astype(DTYPES[given["dtype"]]).reshape(given["dims"])


def number(given):
    return float(given) if given in ("inf", "-inf") else given


def distance(found, expected):
    found = np.asarray(found)
    if found.shape != expected.shape:
        return f"is {list(found.shape)}, not {list(expected.shape)}"
    if found.dtype.kind != expected.dtype.kind:
        return f"is {found.dtype}, not {expected.dtype}"
    a, b = found.astype(np.float64), expected.astype(np.float64)
    scale = max(1.0, np.abs(b[np.isfinite(b)]).max(initial=0))
    off = np.where(a == b, 0.0, np.abs(a - b)).max(initial=0) / scale
    return None if off < TOLERANCE else f"is off by {off:g}"


def compare(label, runtime, results, expected):
    for i, (found, wanted) in enumerate(zip(results, expected, strict=True)):
        fault = distance(found, wanted)
        if fault:
            print(f"{label} {runtime}: result {i} {fault}")


def attempt(label, runtime, run, expected):
    try:
        compare(label, runtime, run(), expected)
    except Exception as fault:
        print(f"{label} {runtime}: {type(fault).__name__}: {str(fault).strip().splitlines()[0][:200]}")


def main():
    folder = Path(sys.argv[1])
    core = ov.Core()
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    for sample in json.loads((folder / "samples.json").read_text()):
        label, path = sample["label"], folder / sample["model"]
        feeds = {name: array(given) for name, given in sample["inputs"].items()}
        expected = [array(given) for given in sample["outputs"]]

        def reference():
            model = onnx.load(path)
            onnx.checker.check_model(model, full_check=True)
            return ReferenceEvaluator(model).run(None, feeds)

        def openvino():
            compiled = core.compile_model(core.read_model(path), "CPU", exact)
            results = compiled(feeds)
            return [results[i] for i in range(len(expected))]

        def pytorch():
            exact = [None if name is None else torch.from_numpy(feeds[name]) for name in sample["ports"]]
            inputs = [x.double() if x is not None and x.is_floating_point() else x for x in exact]
            settings = {name: number(given) for name, given in sample["settings"].items() if given is not None}
            result = TORCH[sample["op"]](*inputs, **settings)
            return [(result.float() if result.is_floating_point() else result).numpy()]

        if sample["op"] in TORCH:
            attempt(label, "PyTorch", pytorch, expected)
        attempt(label, "reference", reference, expected)
        attempt(label, "OpenVINO", openvino, expected)


main()
