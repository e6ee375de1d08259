"""A graph whose inputs, all of them columns of numbers, come as one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bessemer.package.onnx_format import FLOAT, describe
from bessemer.package.onnx_format.tensors import fill

#: The name of the one input. No column is named so: '//' is only in names that graphs are joined by.
MATRIX = "bessemer//matrix"
#: AttributeProto.INT
_INT = 2


def of_one_matrix(model: Any, inputs: Sequence[str]) -> Any:
    """The same model with one input, MATRIX (N, inputs) float32, that is split into the inputs it had.

    Args:
        model: its inputs are float32 of shape (N, 1); it is left as it is.
        inputs: their names in the order of the matrix's columns.
    """
    made = type(model)()
    made.CopyFrom(model)
    graph = made.graph
    del graph.input[:], graph.node[:]
    describe(graph.input.add(), MATRIX, FLOAT, ["N", len(inputs)])
    sizes = f"{MATRIX}/sizes"
    fill(graph.initializer.add(), sizes, np.ones(len(inputs), dtype=np.int64))
    split = graph.node.add(op_type="Split", input=[MATRIX, sizes], output=inputs)
    split.attribute.add(name="axis", type=_INT, i=1)
    graph.node.extend(model.graph.node)
    return made
