"""A node of a graph as operators see it, and how they say that they cannot do what it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from bessemer.core.errors import FormatError
from bessemer.package.onnx_format import BOOL, DOUBLE, FLOAT, INT64
from bessemer.package.onnx_format.tensors import values_of

#: Element types of ONNX. Floats of a twin are all of its own type, whatever the graph says.
INTEGERS: Mapping[int, torch.dtype] = {INT64: torch.int64, 6: torch.int32, BOOL: torch.bool}
FLOATS = (FLOAT, DOUBLE)


@dataclass(frozen=True)
class Node:
    """kind: the operator. given: its attributes. dtype: of the twin's floats. outputs: how many values are made."""

    kind: str
    given: Mapping[str, Any]
    dtype: torch.dtype
    outputs: int = 1

    def get(self, name: str, default: Any = None) -> Any:
        return self.given.get(name, default)

    def only(self, name: str, *known: Any) -> Any:
        """The attribute, the first of `known` where nothing is said.

        Raises:
            FormatError: it is none of those.
        """
        found = self.get(name, known[0])
        if found not in known:
            raise unknown(f"{self.kind} with {name} {found!r}")
        return found


def unknown(what: str) -> FormatError:
    return FormatError(
        f"the graph has {what}, of which no gradient is known",
        fix="ask the graph as a black box: attacks such as square and query_search, explanations such as permutation",
    )


def read_node(node: Any, dtype: torch.dtype) -> Node:
    """The node of a NodeProto."""
    given = {attribute.name: _value(attribute, dtype) for attribute in node.attribute}
    return Node(node.op_type, given, dtype, len(node.output))


def tensor_of(proto: Any, dtype: torch.dtype) -> torch.Tensor | None:
    """The constant of a TensorProto, floats as the twin's own; None where it is of a type that has no numbers."""
    found = values_of(proto)
    if found is None or found.dtype.kind not in "fib":
        return None
    tensor = torch.from_numpy(found.copy())
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _value(attribute: Any, dtype: torch.dtype) -> Any:
    """Numbers, text and tensors as Python has them; None for anything else."""
    if attribute.type == 4:
        return tensor_of(attribute.t, dtype)
    if attribute.type == 3:
        return attribute.s.decode("utf-8")
    plain = {1: "f", 2: "i"}
    if attribute.type in plain:
        return getattr(attribute, plain[attribute.type])
    several = {6: "floats", 7: "ints"}
    return list(getattr(attribute, several[attribute.type])) if attribute.type in several else None
