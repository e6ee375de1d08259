"""The part of a graph in front of its features: raw columns -> features.

Most columns of most models are numbers that only stand side by side in the features. Those are put there directly: an
onnxruntime call costs a microsecond an input, and more than walking the trees does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bessemer.core.signature import Field
from bessemer.package.onnx_format import FLOAT
from bessemer.package.onnx_format.tensors import values_of
from bessemer.package.texts import Texts

if TYPE_CHECKING:
    import pyarrow as pa

_NAN = np.array(0x7FC00000, dtype=np.uint32).tobytes()


class Session(Protocol):
    """What runs a graph (`session.GraphSession`)."""

    def run_columns(
        self, columns: Mapping[str, pa.Array], rows: int, outputs: Sequence[str]
    ) -> dict[str, np.ndarray]: ...

    def run_feeds(self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]: ...

    def run_matrix(self, matrix: np.ndarray, outputs: Sequence[str]) -> dict[str, np.ndarray]: ...


@dataclass(frozen=True)
class Join:
    """Features that are parts side by side.

    parts: (N, C) float32 values of the graph, in order. raw: those of them that are inputs.
    finite: whether infinities become NaN.
    """

    parts: tuple[str, ...]
    raw: frozenset[str]
    finite: bool

    @property
    def others(self) -> tuple[str, ...]:
        """The parts that have to be computed, once each."""
        return tuple(dict.fromkeys(part for part in self.parts if part not in self.raw))


def find_join(model: Any, value: str) -> Join | None:
    """How `value` is joined of parts; None where it is made otherwise, or no input is among the parts."""
    producer = {name: node for node in model.graph.node for name in node.output if name}
    constants = {t.name: t for t in model.graph.initializer}
    inputs = {
        i.name: [d.dim_value for d in i.type.tensor_type.shape.dim]
        for i in model.graph.input
        if i.type.tensor_type.elem_type == FLOAT
    }
    name, finite = _past_identities(producer, value), False
    node = producer.get(name)
    if node is not None and node.op_type == "Where":
        joined = _without_infinities(node, producer, constants)
        if joined is None:
            return None
        name, finite = _past_identities(producer, joined), True
        node = producer.get(name)
    if node is None or node.op_type != "Concat" or [a.i for a in node.attribute if a.name == "axis"] != [1]:
        return None
    parts = tuple(node.input)
    raw = frozenset(part for part in parts if inputs.get(part, [])[1:] == [1])
    fits = raw and not any(part in constants or (part in inputs and part not in raw) for part in parts)
    return Join(parts, raw, finite) if fits else None


def _past_identities(producer: Mapping[str, Any], name: str) -> str:
    while name in producer and producer[name].op_type == "Identity":
        name = producer[name].input[0]
    return name


def _without_infinities(node: Any, producer: Mapping[str, Any], constants: Mapping[str, Any]) -> str | None:
    """x of Where(IsInf(x), NaN, x), for infinities of both signs."""
    test, replaced, x = node.input
    asked = producer.get(test)
    if asked is None or asked.op_type != "IsInf" or list(asked.input) != [x] or asked.attribute:
        return None
    tensor = constants.get(replaced)
    if tensor is None or tensor.data_type != FLOAT:
        return None
    constant = values_of(tensor)
    if constant is None or constant.size != 1 or constant.ndim > 2:
        return None
    return x if constant.tobytes() == _NAN else None


class Front:
    """Raw columns -> features (N, F) float32, C-contiguous; safe to use from several threads.

    Args:
        join: how the features are joined, where they are and the extension was built.
        session: runs the graph from the raw columns to `value`, or to the parts of the join that are computed.
        value: the name of the features.
        inputs: the model's input fields.
        texts: of the parts that are computed, those that depend on one text input alone, and on which.
    """

    def __init__(
        self,
        join: Join | None,
        session: Session,
        value: str,
        inputs: Sequence[Field],
        texts: Mapping[str, str] | None = None,
    ) -> None:
        self._join, self._session, self._value = join, session, value
        self._fields = {field.name: field for field in inputs}
        self._place = {field.name: i for i, field in enumerate(inputs)}
        self._others = join.others if join else ()
        self._texts = Texts(texts) if texts else None
        self._numbers = tuple(part for part in self._others if part not in (texts or ()))
        self._same = join is not None and join.parts == tuple(self._fields)
        self._width: int | None = len(join.parts) if join and not self._others else None
        if join is not None:
            from bessemer.package.trees._walker import join as side_by_side

            self._side_by_side = side_by_side

    def of_columns(self, columns: Mapping[str, pa.Array], rows: int) -> np.ndarray:
        """From Arrow columns (see `feeds.to_columns`); rows is at least 1."""
        if self._join is None:
            return self._session.run_columns(columns, rows, (self._value,))[self._value]
        from bessemer.package.feeds import to_tensor

        made = self._session.run_columns(columns, rows, self._others) if self._others else {}
        for name in self._join.raw:
            made[name] = to_tensor(columns[name], self._fields[name])
        return self._joined([made[part] for part in self._join.parts])

    def of_feeds(self, feeds: Mapping[str, np.ndarray]) -> np.ndarray:
        """From tensors (N, 1), one for each input, of its tensor type."""
        if self._join is None:
            return self._session.run_feeds(feeds, (self._value,))[self._value]
        if self._others:
            feeds = {**feeds, **self._computed(feeds)}
        return self._joined([feeds[part] for part in self._join.parts])

    def _computed(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The parts that are no inputs; those of texts that were seen before are looked up."""
        if self._texts is None:
            return self._session.run_feeds(feeds, self._others)
        found = self._texts.find(feeds)
        if found is None:
            made = self._session.run_feeds(feeds, self._others)
            self._texts.learn(feeds, made)
            return made
        return {**found, **self._session.run_feeds(feeds, self._numbers)} if self._numbers else found

    def of_matrix(self, matrix: np.ndarray) -> np.ndarray:
        """From all inputs in their order as one float32 matrix, C-contiguous."""
        if self._join is None:
            return self._session.run_matrix(matrix, (self._value,))[self._value]
        if self._same:
            return self._joined([matrix])
        made = self._session.run_matrix(matrix, self._others) if self._others else {}
        for name in self._join.raw:
            at = self._place[name]
            made[name] = matrix[:, at : at + 1]
        return self._joined([made[part] for part in self._join.parts])

    def _joined(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        assert self._join is not None
        width = self._width or sum(part.shape[1] for part in parts)
        found = np.empty((len(parts[0]), width), dtype=np.float32)
        self._side_by_side(found, self._join.finite, *parts)
        return found
