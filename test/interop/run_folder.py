"""Runs a compiled folder in other runtimes and compares with recorded results.

usage: run_folder.py FOLDER EXPECTED [RUNTIME ...]
EXPECTED holds in.NAME.npy and out.NAME.npy. Prints one JSON object: for each runtime the largest |a - b| / max|b| over all positions.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx


def load(folder, prefix):
    return {path.name[len(prefix) : -4]: np.load(path) for path in Path(folder).glob(f"{prefix}*.npy")}


def feeds_of(model, given):
    """The recorded inputs; a mask, positions and an empty cache (a size that is not known reads as 0) where the graph asks for them."""
    ids = given["input_ids"]
    feeds = {}
    for one in model.graph.input:
        dims = [d.dim_value for d in one.type.tensor_type.shape.dim]
        if one.name in given:
            feeds[one.name] = given[one.name]
        elif one.name == "attention_mask":
            feeds[one.name] = np.ones_like(ids)
        elif one.name == "position_ids":
            feeds[one.name] = np.broadcast_to(np.arange(ids.shape[1]), ids.shape).copy()
        elif one.name.startswith("past_key_values."):
            feeds[one.name] = np.zeros((ids.shape[0], *dims[1:]), np.float32)
        else:
            raise SystemExit(f"no feed for {one.name}")
    return feeds


def reference(path, feeds, wanted):
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(path))
    return dict(zip(evaluator.output_names, evaluator.run(None, feeds)))


def onnxruntime(path, feeds, wanted):
    import onnxruntime as ort

    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))


def openvino(path, feeds, wanted):
    import openvino as ov

    core = ov.Core()
    compiled = core.compile_model(core.read_model(str(path)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled(feeds)
    return {name: results[name] for name in wanted}


RUNTIMES = {"reference": reference, "onnxruntime": onnxruntime, "openvino": openvino}


def main(folder, expected, *runtimes):
    path = Path(folder) / "model.onnx"
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(str(path), load_external_data=False)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    wanted = load(expected, "out.")
    feeds = feeds_of(model, load(expected, "in."))
    report = {}
    for name in runtimes:
        results = RUNTIMES[name](path, feeds, wanted)
        report[name] = max(float(np.abs(results[key] - value).max() / np.abs(value).max()) for key, value in wanted.items())
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
