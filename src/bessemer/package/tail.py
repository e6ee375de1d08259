"""What a graph does with the sum of its trees, where that is what most graphs do: a calibrated score, two classes.

An onnxruntime call takes several times as long as walking the trees of a row does. So these few steps are done by our
own code, where it gives the very same: that is tried when the graph is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from bessemer.package.onnx_format import FLOAT, INT64
from bessemer.package.onnx_format.tensors import values_of

#: What an output can be: the score, its rows as numbers, both probabilities, or the class.
_SCORE, _FLAT, _BOTH, _CLASS = "score", "flat", "both", "class"
#: How the logistic function may be rounded (see `_walker.c`); the first that agrees is used.
_MODES = (1, 0, 3, 2)


@dataclass(frozen=True)
class Tail:
    """Sums (N, 1) -> outputs.

    steps: (M, 2) float32, in order: 0 and what is added, or 1 and what is multiplied by.
    kinds: what each output is. labels: (2,), the classes. mode: how the logistic function is rounded. threshold: the
    probability from which on the second class is said.
    """

    steps: np.ndarray
    kinds: Mapping[str, str]
    labels: np.ndarray | None
    mode: int = 0
    threshold: float = 0.5

    def run(self, sums: np.ndarray, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Some outputs; `sums` (N, 1) float32 becomes the score."""
        ours = _extension()
        ours.affine(sums, self.steps)
        made = {_SCORE: sums}
        if self.labels is not None:
            made[_BOTH] = np.empty((len(sums), 2), dtype=np.float32)
            index = np.empty(len(sums), dtype=np.int64)
            ours.classify(sums, made[_BOTH], index, self.mode)
            if self.threshold != 0.5:
                index = (made[_BOTH][:, 1] >= np.float32(self.threshold)).astype(np.int64)
            made[_CLASS] = self.labels.take(index)
        else:
            made[_FLAT] = sums[:, 0].copy()
        return {name: made[self.kinds[name]] for name in outputs}


@cache
def _extension() -> Any:
    """The C functions, looked up once: an import statement takes longer than they do."""
    from bessemer.package.trees import _walker

    return _walker


def find_tail(model: Any, sums: str, outputs: Sequence[str]) -> Tail | None:
    """The tail from the value `sums` (N, 1) to all outputs; None where the graph does something else."""
    looked = _Look(model, sums)
    kinds: dict[str, str] = {}
    scores, labels = set(), None
    for name in outputs:
        found = looked.kind(name)
        if found is None:
            return None
        kinds[name], score, own = found
        scores.add(score)
        labels = own if own is not None else labels
    classifies, numbers = _BOTH in kinds.values(), _FLAT in kinds.values()
    if len(scores) != 1 or (numbers if labels is not None else classifies):
        return None
    steps = looked.steps(scores.pop())
    if steps is None:
        return None
    made = np.array(steps, dtype=np.float32).reshape(-1, 2)
    return Tail(made, kinds, labels, threshold=looked.threshold)


def agreeing(tail: Tail, session: Any, sums: str, x: np.ndarray) -> Tail | None:
    """The tail in the mode that gives what onnxruntime gives from the sums x (N, 1); None where none does."""
    outputs = list(tail.kinds)
    rows = (x, *(x[i : i + 1] for i in range(min(len(x), 16))), x[:5], x[:11])
    expected = [session.run(outputs, {sums: part}) for part in rows]
    for mode in _MODES:
        tried = replace(tail, mode=mode)
        try:
            if all(
                _same(tried.run(part.copy(), outputs), found)
                for part, found in zip(rows, expected, strict=True)
            ):
                return tried
        except ValueError:  # the processor has no such instruction
            continue
    return None


def trial_sums(rng: np.random.Generator, found: np.ndarray) -> np.ndarray:
    """Sums to try a tail with: those `found`, and others all over the range where the logistic function moves."""
    odd = [0.0, -0.0, np.inf, -np.inf, 1e-45, -1e-45, 1e-30, 3e38, -3e38, 18.0, -18.0, 17.999998, 0.5, -0.5]
    spread = [rng.normal(size=4096) * scale for scale in (0.01, 1, 6)]
    made = np.concatenate([found.reshape(-1), odd, np.linspace(-20, 20, 4001), *spread])
    return made.astype(np.float32)[:, None]


def _same(made: Mapping[str, np.ndarray], expected: Sequence[np.ndarray]) -> bool:
    return all(
        a.dtype == b.dtype and a.shape == b.shape and _equal(a, b)
        for a, b in zip(made.values(), expected, strict=True)
    )


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    if a.dtype != np.float32:
        return bool(a.tolist() == b.tolist())
    same: np.ndarray = (a.view(np.int32) == b.view(np.int32)) | (np.isnan(a) & np.isnan(b))
    return bool(same.all())


class _Look:
    """What the values of a graph are made of."""

    def __init__(self, model: Any, sums: str) -> None:
        self._sums = sums
        self.threshold = 0.5  # of the classes, when they were found
        self._made = {name: node for node in model.graph.node for name in node.output if name}
        self._constants = {t.name: t for t in model.graph.initializer}

    def kind(self, name: str) -> tuple[str, str, np.ndarray | None] | None:
        """What an output is, the value that is its score, and the classes where it is one."""
        node = self._made.get(name)
        if node is not None and node.op_type == "Squeeze" and self._constant(node.input[1]) == [1]:
            return _FLAT, self._past(node.input[0]), None
        if (
            node is not None
            and node.op_type == "Concat"
            and _said(node, "axis") == 1
            and len(node.input) == 2
        ):
            minus, plus = (self._source(part, "Sigmoid") for part in node.input)
            if plus is not None and minus is not None and self._source(minus, "Neg") == plus:
                return _BOTH, self._past(plus), None
            return None
        if node is not None and node.op_type == "Gather":
            return self._class(node)
        return _SCORE, self._past(name), None

    def steps(self, score: str) -> list[tuple[float, float]] | None:
        """What leads from the sums to the score."""
        steps: list[tuple[float, float]] = []
        while score != self._sums:
            node = self._made.get(score)
            if node is None or node.op_type not in ("Add", "Mul"):
                return None
            one, two = node.input
            score, constant = (self._past(one), two) if two in self._constants else (self._past(two), one)
            value = self._constant(constant, FLOAT)
            if len(value) != 1 or len(self._constants[constant].dims) > 2:
                return None
            steps.append((float(node.op_type == "Mul"), value[0]))
        return steps[::-1]

    def _class(self, node: Any) -> tuple[str, str, np.ndarray] | None:
        """Gather(classes, Cast(Squeeze(Sigmoid(score)) >= threshold))"""
        labels, index = node.input
        truth = self._source(index, "Cast")
        test = self._made.get(truth or "")
        if (
            labels not in self._constants
            or _said(node, "axis")
            or test is None
            or test.op_type != "GreaterOrEqual"
        ):
            return None
        flat = self._made.get(test.input[0])
        threshold = self._constant(test.input[1], FLOAT)
        if (
            len(threshold) != 1
            or flat is None
            or flat.op_type != "Squeeze"
            or self._constant(flat.input[1]) != [1]
        ):
            return None
        score, classes = self._source(flat.input[0], "Sigmoid"), values_of(self._constants[labels])
        if score is None or classes is None or classes.shape != (2,):
            return None
        self.threshold = threshold[0]
        return _CLASS, self._past(score), classes

    def _source(self, name: str, op_type: str) -> str | None:
        """x where `name` is op_type(x)."""
        node = self._made.get(name)
        return str(node.input[0]) if node is not None and node.op_type == op_type else None

    def _past(self, name: str) -> str:
        while (source := self._source(name, "Identity")) is not None:
            name = source
        return name

    def _constant(self, name: str, of: int = INT64) -> list[Any]:
        tensor = self._constants.get(name)
        if tensor is None or tensor.data_type != of:
            return []
        found = values_of(tensor)
        return [] if found is None else found.reshape(-1).tolist()


def _said(node: Any, name: str) -> int:
    return next((int(a.i) for a in node.attribute if a.name == name), 0)
