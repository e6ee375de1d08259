"""What tf2onnx leaves open: operators that it does not know, and tables that are asked for what they do not have."""

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.helper import make_node

#: What weights may be.
_FLOATS = [onnx.TensorProto.DataType.Value(name) for name in ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16")]


def _replaced(context, node, steps):
    """Put operators in the place of a node.

    steps: (operator, its inputs, element type, attributes) in order; an input `-1` is what the step before gives, no
    element type is the node's own.
    """
    shape, element = context.get_shape(node.output[0]), context.get_dtype(node.output[0])
    name, output = node.name, node.output[0]
    context.remove_node(name)
    value = ""
    for i, (operator, inputs, kind, said) in enumerate(steps):
        last = i == len(steps) - 1
        made = context.make_node(
            operator,
            [value if one == -1 else one for one in inputs],
            attr=said,
            name=name if last else None,
            outputs=[output] if last else None,
            dtypes=[element if kind is None else kind],
            shapes=[shape] if last else None,
        )
        value = made.output[0]


def _constant(context, node, name, values):
    return context.make_const(f"{node.name}_{name}", np.asarray(values)).output[0]


def erfc(context, node, name, args):
    """1 - erf, of the exact GELU."""
    one = _constant(context, node, "one", np.float32(1))
    _replaced(context, node, [("Erf", [node.input[0]], None, {}), ("Sub", [one, -1], None, {})])


def bucketize(context, node, name, args):
    """How many boundaries there are but those that a number is below: all of them, of a missing one, as TensorFlow
    has it."""
    x, axis = node.input[0], _constant(context, node, "axis", np.array([-1]))
    bounds = np.float32(node.get_attr_value("boundaries"))
    count = _constant(context, node, "count", np.int32(len(bounds)))
    to = onnx.TensorProto
    steps = [
        ("Cast", [x], to.FLOAT, {"to": to.FLOAT}),
        ("Unsqueeze", [-1, axis], to.FLOAT, {}),
        ("Less", [-1, _constant(context, node, "bounds", bounds)], to.BOOL, {}),
        ("Cast", [-1], to.INT32, {"to": to.INT32}),
        ("ReduceSum", [-1, axis], to.INT32, {"keepdims": 0}),
        ("Sub", [count, -1], None, {}),
    ]
    _replaced(context, node, steps)


HANDLERS = {"Erfc": (erfc, []), "Bucketize": (bucketize, [])}


def bounded(graph):
    """Take the nearest row of a table of weights for a number that the table does not have: onnxruntime would stop
    at the first such row, and at a missing value. How many tables there are."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    found = [
        node
        for node in graph.node
        if node.op_type == "Gather"
        and _is_table(weights.get(node.input[0]), node)
        and node.input[1] not in weights
    ]
    for node in found:
        rows, name, place = weights[node.input[0]].dims[0], node.output[0], list(graph.node).index(node)
        ends = {f"{name}_least": np.int64(0), f"{name}_most": np.int64(rows - 1)}
        graph.initializer.extend(numpy_helper.from_array(np.asarray(v), at) for at, v in ends.items())
        made = [f"{name}_whole", f"{name}_above", f"{name}_within"]
        least, most = ends
        graph.node.insert(place, make_node("Cast", [node.input[1]], made[:1], to=onnx.TensorProto.INT64))
        graph.node.insert(place + 1, make_node("Max", [made[0], least], made[1:2]))
        graph.node.insert(place + 2, make_node("Min", [made[1], most], made[2:]))
        node.input[1] = made[2]
    return len(found)


def _is_table(tensor, node):
    """Whether rows of weights are taken, which stand along the first axis."""
    first = all(attribute.i == 0 for attribute in node.attribute if attribute.name == "axis")
    return first and tensor is not None and len(tensor.dims) > 0 and tensor.data_type in _FLOATS
