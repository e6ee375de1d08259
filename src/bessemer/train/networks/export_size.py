"""How much memory a graph takes for one row."""

from __future__ import annotations

import math
from typing import Any

import onnx

#: Bytes of a number: float32 and what is no wider; only ids are int64, and few.
_BYTES = 4


def largest_step(model: Any) -> int:
    """Bytes that the node takes for a row which takes most: what it reads and what it makes, without weights.

    Args:
        model: an ONNX model whose inputs have the rows as axis 0.

    >>> from torch import nn
    >>> from bessemer.train.networks.export import to_onnx
    >>> largest_step(to_onnx(nn.Linear(3, 8), 3))
    64
    """
    one, two = _sizes(model, 1), _sizes(model, 2)
    grown = {name: two.get(name, size) - size for name, size in one.items()}
    return _BYTES * max(
        sum(grown.get(name, 0) for name in {*node.input, *node.output}) for node in model.graph.node
    )


def _sizes(model: Any, rows: int) -> dict[str, int]:
    """How many numbers each value has, for so many rows."""
    filled = onnx.ModelProto()
    filled.CopyFrom(model)
    for value in (*filled.graph.input, *filled.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = rows
    graph = onnx.shape_inference.infer_shapes(filled, data_prop=True).graph
    return {value.name: _size(value) for value in (*graph.input, *graph.value_info, *graph.output)}


def _size(value: Any) -> int:
    return math.prod(max(1, dim.dim_value) for dim in value.type.tensor_type.shape.dim)
