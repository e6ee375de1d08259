"""The weights of a network's graph, replaced one tensor at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

#: What multiplies by weights, and what only hands them on.
_WEIGHING, _PASSING = ("Conv", "Gemm", "MatMul"), ("Identity", "Transpose", "Reshape")


def with_weights(graph: bytes, change: Callable[[np.ndarray], np.ndarray]) -> bytes:
    """The graph with the weights of every product and convolution changed; biases, scales and constants stay."""
    weights = weights_of(graph)
    return written(graph, lambda name, value: change(value) if name in weights else None)


def weights_of(graph: bytes) -> set[str]:
    """The names of float tensors that something is multiplied with as a matrix or a kernel."""
    import onnx

    model = onnx.load_model_from_string(graph)
    wanted = {name for node in model.graph.node if node.op_type in _WEIGHING for name in node.input[:2]}
    for node in reversed(model.graph.node):
        if node.op_type in _PASSING and wanted & set(node.output):
            wanted.add(node.input[0])
    floats = {t.name for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    return wanted & floats


def written(graph: bytes, value_of: Callable[[str, np.ndarray], np.ndarray | None]) -> bytes:
    """The graph with other values in its constants, by their names; None leaves one as it is."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load_model_from_string(graph)
    for tensor in model.graph.initializer:
        before: Any = numpy_helper.to_array(tensor)
        if (value := value_of(tensor.name, before)) is not None:
            tensor.CopyFrom(numpy_helper.from_array(value.astype(before.dtype), tensor.name))
    found: bytes = model.SerializeToString()
    return found
