"""Models of old operator sets, and whether what moec lifted them to gives the same numbers.

steps                 every version of every operator of ai.onnx from 8 to 26, and those that are no mere widening
make FOLDER           models with inputs: the tests of the package onnx, each at the oldest version that onnxruntime takes it at
compare FOLDER OPSET  runs each X.onnx beside X.OPSET.onnx, and what onnx's own converter makes of it
file OLD NEW          the same for one model, with random inputs of the sizes given as NAME=1,3,48,320
"""

import copy
import glob
import json
import os
import re
import sys
import warnings

import numpy as np
import onnx
import onnxruntime as ort
from onnx import defs, numpy_helper, version_converter

OLDEST, NEWEST = 7, 26
RANDOM = re.compile(r"Random|Bernoulli|Multinomial|Dropout")
DATA = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data")
# Of the models whose weights are constants made when they run, those that take less than a second.
LIGHT = ["densenet121", "resnet50", "shufflenet", "squeezenet"]


def steps():
    history = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            history.setdefault(schema.name, {})[schema.since_version] = schema
    for name, versions in sorted(history.items()):
        order = sorted(versions)
        for before, after in zip(order, order[1:]):
            if OLDEST < after <= NEWEST:
                print(f"{name}@{after}", "; ".join(losses(versions[before], versions[after])))


def losses(old, new):
    """What a node of the old form cannot have, or would mean otherwise, in the new one."""
    if new.deprecated:
        yield "deprecated"
    for name, attribute in old.attributes.items():
        if name not in new.attributes:
            yield f"no attribute {name}"
        elif attribute.default_value.SerializeToString() != new.attributes[name].default_value.SerializeToString():
            yield f"another default of {name}"
    for name, attribute in new.attributes.items():
        if attribute.required and name not in old.attributes:
            yield f"attribute {name} required"
    for what in ("inputs", "outputs"):
        a, b = getattr(old, what), getattr(new, what)
        if len(b) < len(a):
            yield f"fewer {what}"
        single = defs.OpSchema.FormalParameterOption.Single
        for i, one in enumerate(b):
            if one.option == single and (i >= len(a) or a[i].option != single):
                yield f"{what} {one.name} required"
        for i, one in enumerate(a[: len(b)]):
            if not set(one.types) <= set(b[i].types):
                yield f"fewer types of {one.name}"


def session(model):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(model if isinstance(model, str) else model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def opset_of(model):
    return max([one.version for one in model.opset_import if one.domain in ("", "ai.onnx")], default=0)


def at_version(model, version):
    lowered = copy.deepcopy(model)
    for one in lowered.opset_import:
        if one.domain in ("", "ai.onnx"):
            one.version = version
    lowered.ir_version = min(lowered.ir_version, 8 if len(model.functions) else 7)
    return lowered


def node_tests():
    warnings.filterwarnings("ignore")
    from onnx.backend.test.case.node import collect_testcases

    for case in collect_testcases(None):
        if any(one.domain not in ("", "ai.onnx") for one in case.model.opset_import) or any(RANDOM.search(node.op_type) for node in case.model.graph.node):
            continue
        names = [one.name for one in case.model.graph.input]
        given = case.data_sets[0][0]
        if len(names) != len(given) or not all(isinstance(one, np.ndarray) for one in given):
            continue
        feeds = dict(zip(names, given))
        for version in range(OLDEST, min(opset_of(case.model), 23) + 1):
            model = at_version(case.model, version)
            try:
                session(model).run(None, feeds)
            except Exception:
                continue
            yield case.name, model, feeds
            break


def stored_tests():
    for file in sorted(glob.glob(os.path.join(DATA, "*", "*", "model.onnx"))):
        model = onnx.load(file)
        if not OLDEST - 1 <= opset_of(model) <= 23:
            continue
        model = at_version(model, max(OLDEST, opset_of(model)))
        data = [onnx.load_tensor(one) for one in sorted(glob.glob(os.path.join(os.path.dirname(file), "test_data_set_0", "input_*.pb")))]
        feeds = {one.name: numpy_helper.to_array(tensor) for one, tensor in zip(model.graph.input, data)}
        try:
            session(model).run(None, feeds)
        except Exception:
            continue
        yield os.path.basename(os.path.dirname(file)), model, feeds
    for name in LIGHT:
        model = onnx.load(os.path.join(DATA, "light", f"light_{name}.onnx"))
        rng = np.random.default_rng(0)
        feeds = {one.name: rng.normal(size=[d.dim_value for d in one.type.tensor_type.shape.dim]).astype(np.float32) for one in model.graph.input}
        yield f"light_{name}", model, {name: feeds[name] for name in feeds if name not in {one.name for one in model.graph.initializer}}


def make(folder):
    made = 0
    for source in (stored_tests, node_tests):
        for name, model, feeds in source():
            onnx.save(model, os.path.join(folder, f"{name}.onnx"))
            np.savez(os.path.join(folder, f"{name}.npz"), **feeds)
            made += 1
    print(made)


def difference(a, b):
    """The largest difference over the largest number; infinity where shapes, types, places of NaN or whole numbers differ."""
    if isinstance(a, list) or isinstance(b, list):
        return furthest(a, b) if isinstance(a, list) and isinstance(b, list) else float("inf")
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return float("inf")
    if a.dtype.kind not in "fc":
        return 0.0 if np.array_equal(a, b) else float("inf")
    a, b = a.astype(np.float64), b.astype(np.float64)
    if not np.array_equal(np.isnan(a), np.isnan(b)) or not np.array_equal(np.isinf(a), np.isinf(b)):
        return float("inf")
    finite = np.isfinite(a)
    if not finite.any():
        return 0.0
    return float(np.abs(a[finite] - b[finite]).max() / max(np.abs(a[finite]).max(), 1e-30))


def furthest(old, new):
    return max([difference(a, b) for a, b in zip(old, new)] + [float("inf")] * (len(old) != len(new)))


def compare(folder, opset):
    rows = []
    for file in sorted(glob.glob(os.path.join(folder, f"*.{opset}.onnx"))):
        name = os.path.basename(file)[: -len(f".{opset}.onnx")]
        old = onnx.load(os.path.join(folder, f"{name}.onnx"))
        feeds = dict(np.load(os.path.join(folder, f"{name}.npz"), allow_pickle=True))
        row = {"name": name, "from": opset_of(old), "ops": [node.op_type for node in old.graph.node][:3]}
        expected = session(old).run(None, feeds)
        try:
            ours = session(file).run(None, feeds)
            row["difference"] = furthest(expected, ours)
        except Exception as error:
            row["failed"] = str(error)[:200]
        try:
            theirs = session(version_converter.convert_version(old, int(opset))).run(None, feeds)
            row["theirs"] = furthest(expected, theirs)
        except Exception:
            pass
        try:
            onnx.checker.check_model(onnx.load(file))
        except Exception as error:
            row["unsound"] = str(error)[:200]
        rows.append(row)
    # JSON has no infinity.
    print(json.dumps(rows, default=float).replace("Infinity", "1e300"))


def one_file(old, new, *sizes):
    rng = np.random.default_rng(0)
    feeds = {name: rng.normal(size=[int(size) for size in dims.split(",")]).astype(np.float32) for name, dims in (one.split("=") for one in sizes)}
    print(furthest(session(old).run(None, feeds), session(new).run(None, feeds)))


if __name__ == "__main__":
    {"steps": steps, "make": make, "compare": compare, "file": one_file}[sys.argv[1]](*sys.argv[2:])
