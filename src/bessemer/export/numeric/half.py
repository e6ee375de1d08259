"""A core with 16-bit floats from where it multiplies matrices.

What comes before the first product stays as it is: columns are brought to one scale there, and a number above 65504 has
no place in 16 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bessemer.package.onnx_format import FLOAT, parse
from bessemer.package.onnx_format.tensors import values_of

#: Operators that multiply matrices.
PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
#: ONNX's number of float16.
_HALF = 10
#: Operators whose inputs behind the first are float32 whatever the first is.
_SCALED = frozenset({"Resize", "Upsample"})


def multiplies(graph: bytes) -> bool:
    """Whether a graph multiplies matrices."""
    return any(node.op_type in PRODUCTS for node in parse(graph).graph.node)


def halved(graph: bytes) -> bytes:
    """The same graph with float16 from the first products on. Its inputs and outputs are float32 as before.

    Args:
        graph: a numeric core.
    """
    import onnx

    model = onnx.load_from_string(graph)
    made = _Halved(_kinds(onnx.shape_inference.infer_shapes(model).graph), model.graph)
    for node in model.graph.node:
        made.add(node)
    for name, kept in [("node", made.nodes), ("initializer", made.constants)]:
        del getattr(model.graph, name)[:]
        getattr(model.graph, name).extend(kept)
    used = {name for node in made.nodes for name in node.input}
    for tensor in [t for t in model.graph.initializer if t.name not in used]:
        model.graph.initializer.remove(tensor)
    del model.graph.value_info[:]
    found: bytes = model.SerializeToString(deterministic=True)
    return found


def _kinds(graph: Any) -> dict[str, int]:
    """The element type of each value."""
    declared = [*graph.input, *graph.value_info, *graph.output]
    found = {value.name: int(value.type.tensor_type.elem_type) for value in declared}
    return {**found, **{tensor.name: int(tensor.data_type) for tensor in graph.initializer}}


class _Halved:
    """nodes, constants: of the new graph. A node that a product's result reaches works with 16 bits."""

    def __init__(self, kinds: dict[str, int], graph: Any) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = list(graph.initializer)
        self._kinds = kinds
        self._given = {tensor.name: tensor for tensor in graph.initializer}
        self._outputs = {value.name for value in graph.output}
        self._reached: set[str] = set()
        self._halves: dict[str, str] = {}  # a float32 value -> its float16

    def add(self, node: Any) -> None:
        if node.op_type in PRODUCTS or any(name in self._reached for name in node.input):
            self._take(node)
            self.nodes.append(node)
            self._give(node)
        else:
            self.nodes.append(node)

    def _take(self, node: Any) -> None:
        for place, name in enumerate(node.input):
            if self._kinds.get(name) == FLOAT and not (place and node.op_type in _SCALED):
                node.input[place] = self._half(name)
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == FLOAT:
                attribute.i = _HALF

    def _give(self, node: Any) -> None:
        for place, name in enumerate(node.output):
            if self._kinds.get(name) != FLOAT:
                continue
            node.output[place] = self._halves[name] = f"{name}:half"
            self._reached.add(name)
            if name in self._outputs:
                self._cast(f"{name}:half", name, FLOAT)

    def _half(self, name: str) -> str:
        if name not in self._halves:
            self._halves[name] = half = f"{name}:half"
            if name in self._given:
                self.constants.append(_as_half(self._given[name], half))
            else:
                self._cast(name, half, _HALF)
        return self._halves[name]

    def _cast(self, name: str, to: str, kind: int) -> None:
        import onnx

        self.nodes.append(onnx.helper.make_node("Cast", [name], [to], to=kind))


def _as_half(tensor: Any, name: str) -> Any:
    import onnx

    values = values_of(tensor)
    assert values is not None
    most = np.finfo(np.float16).max
    return onnx.numpy_helper.from_array(np.clip(values, -most, most).astype(np.float16), name)
