"""Loops that treat every row of one value by itself: an embedding of texts is one.

Such a loop carries nothing from row to row, goes over all rows of the value, and reads of it the row that it is at.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from bessemer.package.onnx_format import EXTENSIONS, all_nodes, inner_graphs
from bessemer.package.onnx_format.tensors import values_of


def rows_of(node: Any, producer: Mapping[str, Any], constants: Mapping[str, Any]) -> str:
    """The value whose rows a node goes over, one by one; '' for a node that is no such loop.

    Loops with operators of onnxruntime-extensions are none: what decodes files has to say whose file is damaged.

    Args:
        producer: of each value of the graph the node that makes it.
        constants: the tensors of the graph.
    """
    if node.op_type != "Loop" or len(node.input) != 2 or node.input[1] not in constants:
        return ""
    (body,) = inner_graphs(node)
    if any(inner.domain in EXTENSIONS for inner in all_nodes(body)) or not _goes_on(body):
        return ""
    read = _read_by_row(body, constants)
    return read if read and _counted(node.input[0], producer, constants) == read else ""


def _goes_on(body: Any) -> bool:
    """Whether nothing but the number of rows ends the loop."""
    made = {name: node for node in body.node for name in node.output}
    last = made.get(body.output[0].name)
    return last is not None and last.op_type == "Identity" and last.input[0] == body.input[1].name


def _read_by_row(body: Any, constants: Container[str]) -> str:
    """The one value around the body that it reads, if it reads no more of it than the row that it is at; else ''."""
    row = body.input[0].name
    own = {value.name for value in [*body.input, *body.initializer]}
    own |= {name for node in all_nodes(body) for name in node.output}
    found = set()
    for node in all_nodes(body):
        outside = [name for name in node.input if name and name not in own and name not in constants]
        if not outside:
            continue
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        if node.op_type != "Gather" or list(node.input) != [outside[0], row] or axis:
            return ""
        found.add(outside[0])
    return found.pop() if len(found) == 1 else ""


def _counted(value: str, producer: Mapping[str, Any], constants: Mapping[str, Any]) -> str:
    """The value whose rows a number counts, '' where it is another number."""
    node = producer.get(value)
    if node is None or node.op_type != "Gather" or node.input[1] not in constants:
        return ""
    shape, place = producer.get(node.input[0]), values_of(constants[node.input[1]])
    if shape is None or shape.op_type != "Shape" or place is None or place.reshape(-1).tolist() != [0]:
        return ""
    return str(shape.input[0])
