"""The way from raw columns to features as steps in JSON, which small readers follow without onnxruntime.

The steps are the nodes of the package's own preprocessing, so an encoder cannot differ from what the model was trained
with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bessemer.core.signature import Field
from bessemer.export.numeric.patterns import common_pattern
from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.readers.encoder import ELEMENTS, OPERATORS
from bessemer.package.onnx_format.tensors import values_of

_TYPES = {"float32": "f32", "float64": "f64", "int64": "i64", "int32": "i32", "bool": "bool", "object": "str"}
_STRING = 8
#: Whole numbers beyond this are written as texts: JavaScript's numbers are doubles.
_EXACT = 2**53


def program_of(front: Any, inputs: Sequence[Field]) -> dict[str, Any]:
    """`inputs`, `constants`, `steps` and `features` of an `encoder.json`.

    Args:
        front: the graph from raw columns to `features`.

    Raises:
        UncarriedError: it has an operator that readers do not know, a cast to texts, or a pattern that other languages
            read otherwise.
    """
    for node in front.graph.node:
        if node.op_type not in OPERATORS:
            raise UncarriedError(f"its columns are encoded by the operator {node.op_type}")
    asked = {value.name for value in front.graph.input}
    return {
        "inputs": [{"name": f.name, "dtype": f.dtype, "tensor": f.tensor} for f in inputs if f.name in asked],
        "constants": {tensor.name: _constant(tensor) for tensor in front.graph.initializer},
        "steps": [
            [node.op_type, list(node.input), list(node.output), attributes_of(node)]
            for node in front.graph.node
        ],
        "features": "features",
    }


def _constant(tensor: Any) -> dict[str, Any]:
    array = values_of(tensor)
    if array is None or array.dtype.name not in _TYPES:
        raise UncarriedError(f"its preprocessing has a constant '{tensor.name}' of an unknown type")
    return {
        "type": _TYPES[array.dtype.name],
        "shape": list(array.shape),
        "data": _numbers(array.reshape(-1).tolist()),
    }


def attributes_of(node: Any) -> dict[str, Any]:
    """The attributes of a node as JSON, as readers in any language take them.

    Raises:
        UncarriedError: they cannot.
    """
    said = {a.name: attribute_of(a) for a in node.attribute}
    if node.op_type == "Cast" and said["to"] not in ELEMENTS:
        kind = "texts" if said["to"] == _STRING else f"ONNX's type {said['to']}"
        raise UncarriedError(f"its columns are encoded by a cast to {kind}")
    if node.op_type == "RegexFullMatch":
        said["pattern"] = common_pattern(said["pattern"])
    return said


def attribute_of(attribute: Any) -> Any:
    """By AttributeProto's types: 1 float, 2 int, 3 string, 6 floats, 7 ints, 8 strings."""
    if attribute.type == 1:
        return _numbers([attribute.f])[0]
    if attribute.type == 2:
        return int(attribute.i)
    if attribute.type == 3:
        return attribute.s.decode("utf-8")
    if attribute.type == 8:
        return [text.decode("utf-8") for text in attribute.strings]
    if attribute.type in (6, 7):
        return _numbers(attribute.floats if attribute.type == 6 else attribute.ints)
    raise UncarriedError(f"its preprocessing has an attribute '{attribute.name}' of an unknown type")


def _numbers(values: Iterable[Any]) -> list[Any]:
    """What JSON cannot hold as a number is a text that Python's `float` and `int` read, and JavaScript's `Number` and
    `BigInt`."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, float) and not np.isfinite(value):
            found.append("NaN" if value != value else "Infinity" if value > 0 else "-Infinity")
        elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT:
            found.append(str(value))
        else:
            found.append(value)
    return found
