"""Models with every field of the onnx.proto that Python has, by reflection.

wire.py make FOLDER            writes every.onnx, ends.onnx
wire.py compare FOLDER         compares every.onnx with every.again.onnx, ends.onnx with ends.again.onnx
wire.py fields                 prints message, number and name of every field, one a line
"""

import sys
from pathlib import Path

from google.protobuf.descriptor import FieldDescriptor as Field
from onnx import onnx_ml_pb2 as onnx

DEPTH = 7
INTEGERS = {Field.TYPE_INT32: 31, Field.TYPE_INT64: 63, Field.TYPE_UINT64: 64}


def leaf(field, counter, ends):
    counter[0] += 1
    n = counter[0]
    if field.type in INTEGERS:
        bits = INTEGERS[field.type]
        if not ends:
            return n
        unsigned = field.type == Field.TYPE_UINT64
        return [2**bits - 1, 0 if unsigned else -(2**bits), 2**30 + n, n if unsigned else -n][n % 4]
    if field.type == Field.TYPE_ENUM:
        values = field.enum_type.values
        return values[n % len(values)].number
    if field.type in (Field.TYPE_FLOAT, Field.TYPE_DOUBLE):
        return n / 4 if not ends else [float("inf"), -0.0, 1e-40 if field.type == Field.TYPE_DOUBLE else 2.0**-140, -n / 4][n % 4]
    if field.type == Field.TYPE_BYTES:
        return bytes([n % 256, 0, 255])
    if field.type == Field.TYPE_STRING:
        return f"{field.name}·{n}" if n % 7 else ""
    raise ValueError(f"{field.full_name} has a type nobody thought of: {field.type}")


def fill(message, counter, ends, depth=0):
    """Sets every field; of alternatives, one after another where the message repeats, else the last."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type and depth >= DEPTH:
            continue
        if field.message_type:
            # Deep down one is enough: every message is met higher up.
            for _ in range(2 if field.is_repeated and depth < 2 else 1):
                inner = getattr(message, field.name).add() if field.is_repeated else getattr(message, field.name)
                inner.SetInParent()
                if depth < 3 or field.message_type.name not in ("GraphProto", "TypeProto", "TensorProto"):
                    fill(inner, counter, ends, depth + 1)
        elif field.is_repeated:
            getattr(message, field.name).extend(leaf(field, counter, ends) for _ in range(3))
        else:
            setattr(message, field.name, leaf(field, counter, ends))
    return message


def kinds():
    """A model whose inputs have every kind of type, which one TypeProto cannot have at once."""
    graph = onnx.GraphProto(name="types")
    for field in onnx.TypeProto.DESCRIPTOR.oneofs_by_name["value"].fields:
        given = graph.input.add(name=field.name)
        fill(getattr(given.type, field.name), [0], False, 3)
        getattr(given.type, field.name).SetInParent()
    for number in onnx.TensorProto.DataType.values():
        graph.initializer.add(name=f"t{number}", data_type=number, raw_data=b"\x01")
    graph.input.add(name="dims").type.tensor_type.shape.dim.add(dim_value=0)
    graph.input[-1].type.tensor_type.shape.dim.add(dim_param="B")
    graph.input[-1].type.tensor_type.shape.dim.add(denotation="neither")
    return graph


def messages(descriptor):
    yield descriptor
    for inner in descriptor.nested_types:
        yield from messages(inner)


def main(command, folder="."):
    if command == "fields":
        for top in onnx.DESCRIPTOR.message_types_by_name.values():
            for message in messages(top):
                for field in message.fields:
                    print(message.name, field.number, field.name)
        return
    for name, ends in (("every", False), ("ends", True)):
        model = fill(onnx.ModelProto(), [0], ends)
        model.functions.add(name="types").node.add().attribute.add(name="body", g=kinds())
        path = Path(folder) / f"{name}.onnx"
        if command == "make":
            path.write_bytes(model.SerializeToString())
            continue
        again = onnx.ModelProto.FromString(path.with_suffix(".again.onnx").read_bytes())
        print(name, "same" if again == model else "differs")


main(*sys.argv[1:])
