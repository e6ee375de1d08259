"""What a thief has, and what a removal is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from bessemer.core.signature import Task
from bessemer.package.natives import decode_ensemble, open_native
from bessemer.package.pairs import decode_paired
from bessemer.package.trees.codec import decode
from bessemer.package.trees.model import Trees

#: (N, F) float32 -> (N, K') float64, before calibration.
Margin = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Stolen:
    """A model in a thief's hands, with all of its inside, and rows of the thief's own that it did not learn from.

    kind, content: the native model (`package.natives`). X: (N, F) float32, y: (N,) float64: the thief's rows.
    seed: of what is random in a removal.
    """

    kind: str
    content: bytes
    task: Task
    classes: int
    X: np.ndarray
    y: np.ndarray
    seed: int

    @property
    def outputs(self) -> int:
        return self.classes if self.task == "multiclass" else 1

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    def margin(self) -> Margin:
        """The model as it was stolen."""
        return open_native(self.kind, self.content, 1).margin

    @property
    def kinds(self) -> set[str]:
        """What it is made of: trees, head, linear..."""
        return set(_kinds(self.kind, self.content))

    def edited(
        self,
        trees: Callable[[Trees], Trees] | None = None,
        head: Callable[[bytes], bytes] | None = None,
    ) -> Margin:
        """The model with every sum of trees, and every network's graph, replaced by another one."""
        return _edited(self.kind, self.content, trees, head)

    def loss(self, margin: np.ndarray) -> float:
        """How badly margins fit the thief's rows: the log loss, or the mean squared error."""
        if self.task == "regression":
            return float(np.mean((margin[:, 0] - self.y) ** 2))
        wide = np.concatenate([np.zeros_like(margin), margin], axis=1) if self.task == "binary" else margin
        top = wide.max(axis=1)
        total = top + np.log(np.exp(wide - top[:, None]).sum(axis=1))
        return float(np.mean(total - wide[np.arange(len(wide)), self.y.astype(np.int64)]))


class Removal(Protocol):
    """One way to remove a mark. LEVELS: how hard it is tried, the mildest first."""

    LEVELS: ClassVar[tuple[float, ...]]

    def name(self, level: float) -> str:
        """What is done, in words."""

    def refuses(self, stolen: Stolen) -> str:
        """Why it cannot be tried on this model; '' where it can."""

    def remove(self, stolen: Stolen, level: float) -> Margin:
        """The model after it."""


def _kinds(kind: str, content: bytes) -> Iterator[str]:
    if kind == "ensemble":
        for member in decode_ensemble(content):
            yield from _kinds(member.kind, member.content)
    elif kind == "pairs":
        _, inner, inner_content = decode_paired(content)
        yield from _kinds(inner, inner_content)
    else:
        yield kind


def _edited(
    kind: str,
    content: bytes,
    trees: Callable[[Trees], Trees] | None,
    head: Callable[[bytes], bytes] | None,
) -> Margin:
    if kind == "ensemble":
        parts = [(m.weight, _edited(m.kind, m.content, trees, head)) for m in decode_ensemble(content)]
        return lambda X: _sum([weight * margin(X) for weight, margin in parts])
    if kind == "pairs":
        encoder, inner, inner_content = decode_paired(content)
        margin = _edited(inner, inner_content, trees, head)
        return lambda X: margin(encoder.added(X))
    if kind == "trees" and trees is not None:
        return trees(decode(content)).margin
    if kind == "head" and head is not None:
        line, _, graph = content.partition(b"\n")
        return open_native("head", line + b"\n" + head(graph), 1).margin
    return open_native(kind, content, 1).margin


def _sum(parts: list[Any]) -> np.ndarray:
    found: np.ndarray = np.sum(parts, axis=0)
    return found
