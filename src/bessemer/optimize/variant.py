"""A version of a package that computes otherwise: another graph, another trained model, or the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np

from bessemer.core.spec import Spec
from bessemer.package.cut import extract, value_info
from bessemer.package.model import Model
from bessemer.package.onnx_format import FLOAT, parse, serialize

#: What the learner's own graph gives, before calibration; a value of every package's graph.
MARGIN = "learner/score"
FEATURES = "features"


class UnsuitedError(Exception):
    """A way to optimise that does not suit this model: why, as a clause without a full stop."""


@dataclass(frozen=True)
class Native:
    """A trained model in its own form (`package.natives`), whose contributions explain the variant exactly."""

    kind: str
    content: bytes


@dataclass(frozen=True)
class Variant:
    """One version.

    name: what was done. graph: the whole graph, ONNX. native: what explains it; None where the parent's still does.
    same: whether it only writes the same computation otherwise, so that its answers are the parent's bit for bit; it is
        held to that on the rows that versions are judged on.
    parity: how far the graph is from what explains it, once that is known.
    """

    name: str
    graph: bytes
    native: Native | None = None
    same: bool = False
    parity: Mapping[str, float | int] | None = None


@dataclass(frozen=True)
class Parent:
    """The package that is optimised.

    X: (N, F) float32, features of the rows that a way may look at (to calibrate, to learn from): never those that the
        variants are judged on.
    """

    model: Model
    X: np.ndarray
    seed: int
    tell: Callable[[str], None] = lambda line: None

    @cached_property
    def graph(self) -> bytes:
        return self.model.contents.bytes("model.onnx")

    @property
    def native(self) -> Native:
        """Raises UnsuitedError where the package has no native model."""
        told = self.model.info.get("native") or {}
        if told.get("file") not in self.model.contents:
            raise UnsuitedError("the package has no native model")
        return Native(told["kind"], self.model.contents.bytes(told["file"]))

    @cached_property
    def margin(self) -> np.ndarray:
        """(N, K) float64: what the learner says of X, before calibration."""
        part = extract(
            parse(self.graph), [value_info(parse(self.graph), FEATURES, FLOAT, ["N", None])], [MARGIN]
        )
        from bessemer.package.runtime import open_session

        found: np.ndarray = open_session(serialize(part), 1).run([MARGIN], {FEATURES: self.X})[0]
        return found.astype(np.float64)


class Way(Protocol):
    """One way to optimise; it makes a variant or several.

    needs_rows: whether it learns from many rows, which somebody must give.
    """

    needs_rows: ClassVar[bool]
    Settings: ClassVar[type[Spec]]

    def __init__(self, settings: Any) -> None: ...

    def variants(self, parent: Parent) -> list[Variant]:
        """The variants.

        Raises:
            UnsuitedError: it does not suit this model.
        """
        ...


def with_head(graph: bytes, head: Any) -> bytes:
    """A package's graph with another learner's graph between its features and its margin.

    Args:
        head: an ONNX model, `features` (N, F) float32 -> `score` (N, K) float32.

    Raises:
        UnsuitedError: the graph has no such place, or something else of the learner is used.
    """
    whole = parse(graph)
    made = {name for node in whole.graph.node for name in node.output}
    if not {FEATURES, MARGIN} <= made:
        raise UnsuitedError("its graph does not say where the learner is")
    outputs = [output.name for output in whole.graph.output]
    given = list(whole.graph.input)
    front = extract(whole, given, [FEATURES])
    inner = [value_info(whole, FEATURES, FLOAT, ["N", None]), value_info(whole, MARGIN, FLOAT, ["N", None])]
    tail = extract(whole, [*given, *inner], outputs)
    if any(name.startswith("learner/") and name != MARGIN for node in tail.graph.node for name in node.input):
        raise UnsuitedError("something in its graph looks inside the learner")
    joined = type(whole)()
    joined.CopyFrom(front)
    del joined.graph.output[:]
    _add(joined.graph, _renamed(parse(serialize_any(head))))
    _add(joined.graph, tail.graph)
    del joined.graph.input[:]
    joined.graph.input.extend(given)
    joined.graph.output.extend(whole.graph.output)
    return serialize(joined)


def serialize_any(model: Any) -> bytes:
    data: bytes = model if isinstance(model, bytes) else model.SerializeToString(deterministic=True)
    return data


def _renamed(head: Any) -> Any:
    """The head's graph with names that nothing else has."""
    names = {FEATURES: FEATURES, "score": MARGIN, "": ""}

    def name_of(name: str) -> str:
        return names.get(name, f"learner/{name}")

    for node in head.graph.node:
        node.input[:] = [name_of(name) for name in node.input]
        node.output[:] = [name_of(name) for name in node.output]
        if node.name:
            node.name = f"{node.op_type}:{node.output[0]}"
    for tensor in head.graph.initializer:
        tensor.name = name_of(tensor.name)
    return head.graph


def _add(graph: Any, part: Any) -> None:
    """Add the nodes and constants of a part that are not there."""
    known = {tensor.name for tensor in graph.initializer}
    graph.initializer.extend(tensor for tensor in part.initializer if tensor.name not in known)
    made = {name for node in graph.node for name in node.output}
    graph.node.extend(node for node in part.node if not set(node.output) <= made)
