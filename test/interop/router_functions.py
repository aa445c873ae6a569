"""The full check of onnx on files of ONNX, one line each: functions and how many nodes call them, in graphs inside too."""

import sys

import onnx


def calls(graph):
    for node in graph.node:
        if node.domain == "moec":
            yield node.op_type
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from calls(attribute.g)


for path in sys.argv[1:]:
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path, load_external_data=False)
    print(*sorted(one.name for one in model.functions), len(list(calls(model.graph))))
