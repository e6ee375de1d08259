"""A model's graph in a short form that a page can hold: a head of JSON and arrays, compressed.

The form is: the head's length (uint32, little-endian), the head as UTF-8, zeros up to a multiple of eight, then the
arrays, each at a multiple of eight. `assets/onnx_read.js` reads it. Values are numbers instead of names; constants
and long attributes are arrays; a TreeEnsembleRegressor is the arrays of its nodes. Nothing is rounded.
"""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bessemer.core import canonical
from bessemer.package.trees.kernel import UnsuitedError, arrays_of

#: The operators that the page computes; the tests hold the tables of the scripts against it.
OPERATORS = frozenset(
    {
        *(
            "Abs",
            "Add",
            "And",
            "ArgMax",
            "Atan",
            "Cast",
            "Ceil",
            "Clip",
            "Concat",
            "Cos",
            "Div",
            "Equal",
            "Exp",
        ),
        *("Expand", "Floor", "Gather", "Gemm", "Greater", "GreaterOrEqual", "Identity", "IsInf", "IsNaN"),
        *(
            "LabelEncoder",
            "Less",
            "LessOrEqual",
            "Log",
            "MatMul",
            "Max",
            "Min",
            "Mod",
            "Mul",
            "Neg",
            "Not",
            "Or",
        ),
        *(
            "Pow",
            "ReduceMax",
            "ReduceSum",
            "RegexFullMatch",
            "Relu",
            "Reshape",
            "Round",
            "Selu",
            "Shape",
            "Sigmoid",
            "Sign",
        ),
        *("Sin", "Slice", "Softmax", "Softplus", "Sqrt", "Squeeze", "StringConcat", "StringNormalizer"),
        *("StringSplit", "Sub", "Tanh", "TfIdfVectorizer", "Transpose", "TreeEnsembleRegressor", "Unsqueeze"),
        "Where",
    }
)

#: Longer lists of numbers are arrays.
_SHORT = 8
_CODES: Mapping[str, str] = {
    "float32": "f32",
    "float64": "f64",
    "int64": "i64",
    "int32": "i32",
    "int16": "i16",
    "bool": "bool",
}


class UncomputableError(Exception):
    """The page cannot compute this graph: why, as a clause."""


@dataclass
class Packer:
    """Collects arrays; `put` gives what stands for one in the head: [type, offset, length]."""

    _parts: list[bytes] = field(default_factory=list)
    _size: int = 0

    def put(self, array: np.ndarray) -> list[Any]:
        content = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        place = [_CODES[array.dtype.name], self._size, int(array.size)]
        padded = content + b"\0" * (-len(content) % 8)
        self._parts.append(padded)
        self._size += len(padded)
        return place

    def pack(self, head: Any) -> str:
        """The whole, gzipped, as base64; the same head and arrays give the same text."""
        text = canonical.dump_bytes(head)
        lead = len(text).to_bytes(4, "little") + text
        whole = b"".join([lead, b"\0" * (-len(lead) % 8), *self._parts])
        return base64.b64encode(gzip.compress(whole, 9, mtime=0)).decode("ascii")


def compact(model: Any, packer: Packer) -> dict[str, Any]:
    """The head of an ONNX model (`onnx.ModelProto`); its arrays go to the packer.

    Returns:
        inputs {name: value}, outputs {name: value} (with `features`), constants {value: tensor}, nodes
        [[operator, inputs, outputs, attributes]]; an absent input is -1.

    Raises:
        UncomputableError: an operator, or what is asked of one, is not among those of the page.
    """
    graph, numbers = model.graph, _Numbers()
    constants = {numbers[t.name]: _tensor(t, packer) for t in graph.initializer}
    known = {t.name for t in graph.initializer}
    inputs = {value.name: numbers[value.name] for value in graph.input if value.name not in known}
    nodes = [_node(node, numbers, packer) for node in graph.node]
    named = [*(value.name for value in graph.output), "features"]
    return {
        "inputs": inputs,
        "outputs": {name: numbers[name] for name in named if name in numbers.known},
        "constants": {str(number): tensor for number, tensor in constants.items()},
        "nodes": nodes,
    }


class _Numbers:
    """A number for each name, in order of appearance."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        return self.known.setdefault(name, len(self.known)) if name else -1


def _tensor(tensor: Any, packer: Packer) -> dict[str, Any]:
    from onnx import numpy_helper

    array = numpy_helper.to_array(tensor)
    if array.dtype.kind in "OUS":
        return {"dims": list(array.shape), "texts": [_text(v) for v in array.reshape(-1)]}
    if array.dtype.name not in _CODES:
        raise UncomputableError(f"a constant is of type {array.dtype.name}")
    return {"dims": list(array.shape), "data": packer.put(array)}


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _node(node: Any, numbers: _Numbers, packer: Packer) -> list[Any]:
    if node.op_type not in OPERATORS:
        raise UncomputableError(f"the page does not compute the operator {node.op_type}")
    make: Callable[[Any, Packer], dict[str, Any]] = _SPECIAL.get(node.op_type, _attributes)
    outputs = [numbers[name] for name in node.output]
    return [node.op_type, [numbers[name] for name in node.input], outputs, make(node, packer)]


def _attributes(node: Any, packer: Packer) -> dict[str, Any]:
    return {a.name: _attribute(a, packer) for a in node.attribute}


def _attribute(attribute: Any, packer: Packer) -> Any:
    from onnx import helper

    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, int | float):
        return value
    values = list(value)
    if values and isinstance(values[0], bytes):
        return [_text(v) for v in values]
    if all(isinstance(v, int) for v in values):
        beyond = any(abs(v) > 2**53 for v in values)  # JSON's numbers in a page are doubles
        return packer.put(np.array(values, dtype=np.int64)) if beyond or len(values) > _SHORT else values
    if all(isinstance(v, float) for v in values):
        return packer.put(np.array(values, dtype=np.float32))  # an infinity has no JSON
    raise UncomputableError(f"{attribute.name} is no list of numbers or texts")


def _trees(node: Any, packer: Packer) -> dict[str, Any]:
    try:
        found = arrays_of(node)
    except UnsuitedError as error:
        raise UncomputableError(f"its trees are of another kind: {error}") from None
    at = np.arange(len(found["left"]), dtype=np.int32)
    leaf = found["left"] < 0
    return {
        "targets": int(found["targets"]),
        "width": int(found["width"]),
        "root": packer.put(found["root"]),
        "feature": packer.put(small(found["feature"])),
        # as steps from the node: many are alike, which compresses well
        "left": packer.put(small(np.where(leaf, found["left"], found["left"] - at))),
        "right": packer.put(small(np.where(leaf, 0, found["right"] - at))),
        "threshold": packer.put(found["threshold"][~leaf]),
        "missing_left": packer.put(found["missing_left"]),
        "value": packer.put(found["value"]),
        "target": packer.put(small(found["target"])),
        "base": packer.put(found["base"]),
    }


def small(values: np.ndarray) -> np.ndarray:
    """As int16 where that holds them, else int32."""
    fits = not values.size or (values.min() >= -(1 << 15) and values.max() < 1 << 15)
    return values.astype(np.int16 if fits else np.int32)


def _regex(node: Any, packer: Packer) -> dict[str, Any]:
    return {"pattern": browser_pattern(_attributes(node, packer)["pattern"])}


def browser_pattern(pattern: str) -> str:
    """An RE2 pattern as a browser's (with the flags u and s, or without the latter) means the same.

    Raises:
        UncomputableError: it has what the two read differently.

    >>> browser_pattern(r"(?s:.*)a\\.b(?s:.*)")
    '[^]*a\\\\.b[^]*'
    """
    plain = pattern.replace("(?s:.*)", "[^]*")
    if plain.startswith("(?s)"):
        plain = _dots(plain[4:])
    escapes = r"\\(?![\\.+*?()|\[\]{}^$/dDwWnrtfv])"  # \s, \b and others differ, or may
    if re.search(escapes, plain) or re.search(r"\(\?(?!:)|\[\[:|[*+?}]\+", plain):
        raise UncomputableError("a pattern for texts means something else to a browser")
    return plain


def _dots(pattern: str) -> str:
    """Dots outside escapes and classes that match line ends too."""
    parts = re.findall(r"\\.|\[(?:\\.|[^\]])*\]|.", pattern, re.DOTALL)
    return "".join("[^]" if part == "." else part for part in parts)


_SPECIAL: Mapping[str, Callable[[Any, Packer], dict[str, Any]]] = {
    "TreeEnsembleRegressor": _trees,
    "RegexFullMatch": _regex,
}
