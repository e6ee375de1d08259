"""The head of a graph without NaN: what is missing is a number of its own beside a value that stands in for it.

Runtimes differ in what they make of NaN (a compiler may assume that there is none), so the core never sees one. Each
value that the head makes of features has a mask beside it, made of the features' own by the same operators, for as long
as missing values live; where the head asks `IsNaN`, the mask answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.numeric.trees import add_trees
from bessemer.package.graph import GraphBuilder
from bessemer.package.onnx_format.tensors import values_of
from bessemer.package.trees.kernel import UnsuitedError, arrays_of

#: Where missing values stay what they are, in another place. The first input has them; a Concat's all do.
_PLACES = frozenset(
    {"Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
)
#: What is missing in an input is missing in the output.
_EACH = frozenset(
    {"Abs", "Add", "Ceil", "Clip", "Div", "Exp", "Floor", "Log", "Mul", "Neg", "Pow", "Round", "Sqrt", "Sub"}
)


@dataclass
class Rewritten:
    """A head that is written anew, node by node.

    values: the names of the old graph's values in the new one. masks: of those that can be missing, float32.
    flags: the features that can be missing. widths: of values of the old graph that are (N, width), where it is not
    that of the features.
    """

    builder: GraphBuilder
    values: dict[str, str]
    masks: dict[str, str]
    width: int
    flags: frozenset[int] = frozenset()
    widths: Mapping[str, int] = field(default_factory=dict)
    _arrays: dict[str, np.ndarray] = field(default_factory=dict)
    _columns: dict[str, np.ndarray] = field(
        default_factory=dict
    )  # value -> the features that it is a selection of
    _asks: dict[str, str] = field(default_factory=dict)  # condition of the old graph -> the mask that it asks

    def constant(self, name: str, array: np.ndarray) -> None:
        self.values[name] = self.builder.constant(array)
        self._arrays[name] = array

    def add(self, node: Any) -> None:
        """The node of the old graph.

        Raises:
            UncarriedError: missing values go through it that it would have made NaN.
        """
        missing = [name for name in node.input if name in self.masks]
        if node.op_type == "TreeEnsembleRegressor":
            self._trees(node)
        elif node.op_type == "IsNaN":
            self._asked(node)
        elif node.op_type == "Where":
            self._chosen(node)
        else:
            if missing and node.op_type not in _PLACES | _EACH:
                raise UncarriedError(f"missing values go into its operator {node.op_type}")
            self._copy(node, self.values)
            if missing and not self._selects_known(node):
                self._mask(node, missing)

    def _trees(self, node: Any) -> None:
        try:
            arrays = arrays_of(node)
        except UnsuitedError as error:
            raise UncarriedError(f"its trees are of another kind: {error}") from None
        (x,) = node.input
        made = add_trees(
            self.builder, arrays, self.values[x], self.masks.get(x, ""), self.widths.get(x, self.width)
        )
        self.values[node.output[0]] = made

    def _selects_known(self, node: Any) -> bool:
        """Whether a node only selects features that are never missing, as pairs of categories are made of."""
        start = np.arange(self.width) if node.input[0] == "features" else self._columns.get(node.input[0])
        if start is None or node.op_type not in ("Gather", "Identity"):
            return False
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        if node.op_type == "Gather":
            places = self._arrays.get(node.input[1])
            if places is None or axis != 1 or places.ndim != 1:
                return False
            start = start[places]
        self._columns[node.output[0]] = start
        return not self.flags.intersection(start.tolist())

    def _asked(self, node: Any) -> None:
        (x,), (out,) = node.input, node.output
        g = self.builder
        if x in self.masks:
            self.values[out] = g.op("Greater", [self.masks[x], g.constant(np.float32(0.5))])
            self._asks[out] = self.masks[x]
        else:
            self.values[out] = g.op("Less", [self.values[x], self.values[x]])  # what cannot be missing is not

    def _chosen(self, node: Any) -> None:
        """`Where`: one that gives missing values another value ends their way."""
        asked, yes, no = node.input
        if yes in self.masks or (no in self.masks and not self._is_of(asked, no)):
            raise UncarriedError("missing values go through its operator Where")
        self._copy(node, self.values)

    def _is_of(self, asked: str, value: str) -> bool:
        """Whether a condition says what is missing of a value."""
        return self._asks.get(asked) == self.masks[value]

    def _mask(self, node: Any, missing: list[str]) -> None:
        g, out = self.builder, node.output[0]
        if node.op_type in _EACH:
            found = self.masks[missing[0]]
            for name in missing[1:]:
                found = g.op("Max", [found, self.masks[name]])
            self.masks[out] = found
            return
        masks = {name: self.masks.get(name) or self._none(name) for name in _data(node)}
        self._copy(node, {**self.values, **masks}, self.masks)

    def _none(self, name: str) -> str:
        return self.builder.op("Mul", [self.values[name], self.builder.constant(np.float32(0))])

    def _copy(self, node: Any, given: Mapping[str, str], into: dict[str, str] | None = None) -> None:
        import onnx

        known = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        takes = [given[name] if name else "" for name in node.input]
        made = self.builder.op_many(node.op_type, takes, len(node.output), domain=node.domain, **known)
        (self.values if into is None else into).update(zip(node.output, made, strict=True))


def _data(node: Any) -> list[str]:
    return list(node.input) if node.op_type == "Concat" else [node.input[0]]


def stand_ins(
    head: Any, width: int, compute: Callable[[list[str], np.ndarray], list[np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """What may stand for a missing feature, and whether the head is told besides that it was missing.

    A head that does nothing with a missing feature but put a number in its place (imputation) is as well served by that
    number from the start.

    Args:
        head: an ONNX model with the input `features` (N, F).
        compute: the values of some names of it for such rows.

    Returns:
        (F,) float32, 0 where nothing is known; (F,) bool.
    """
    fill, told = np.zeros(width, dtype=np.float32), np.ones(width, dtype=bool)
    uses = _uses(head)
    for where, value, span in _imputations(head, uses, width):
        rows = np.stack([np.zeros(width), np.ones(width), np.full(width, np.nan)]).astype(np.float32)
        before, after = compute([value, where], rows)
        flat = before.reshape(3, -1).astype(np.float64)
        wanted = after.reshape(3, -1)[2].astype(np.float64)
        slope = flat[1] - flat[0]
        if flat.shape[1] != span[1] - span[0] or not np.isfinite(wanted).all() or (slope == 0).any():
            continue
        fill[span[0] : span[1]] = (wanted - flat[0]) / slope
        told[span[0] : span[1]] = False
    for start, stop in _other_spans(head, uses, width):
        told[start:stop] = True
    return fill, told


def _uses(head: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for node in head.graph.node:
        for name in node.input:
            found.setdefault(name, []).append(node)
    return found


_CARRIES = ("Slice", "Reshape", "Flatten", "Identity")


def _imputations(
    head: Any, uses: Mapping[str, list[Any]], width: int
) -> list[tuple[str, str, tuple[int, int]]]:
    """(output of a Where, the value that it fills, its features) where the way from the features there keeps their
    order, and nothing else looks at the value."""
    found = []
    for start_value, span in _spans(head, uses, width):
        value = start_value
        while len(uses.get(value, [])) == 1 and uses[value][0].op_type in (
            *_CARRIES,
            "Sub",
            "Mul",
            "Add",
            "Div",
        ):
            node = uses[value][0]
            if node.op_type not in _CARRIES and node.input[0] != value:
                break
            value = node.output[0]
        kinds = sorted(node.op_type for node in uses.get(value, []))
        if kinds != ["IsNaN", "Where"]:
            continue
        asked, where = sorted(uses[value], key=lambda node: node.op_type)
        alone = uses.get(asked.output[0], []) == [where] and list(where.input[::2]) == [
            asked.output[0],
            value,
        ]
        if alone:
            found.append((where.output[0], value, span))
    return found


def _spans(head: Any, uses: Mapping[str, list[Any]], width: int) -> list[tuple[str, tuple[int, int]]]:
    """The features as they are first taken: all of them, or runs of them."""
    constants = {t.name: t for t in head.graph.initializer}
    first = uses.get("features", [])
    if not first or any(node.op_type != "Slice" for node in first):
        return [("features", (0, width))]
    found = []
    for node in first:
        numbers = [values_of(constants[name]) for name in node.input[1:] if name in constants]
        if len(numbers) < 3 or numbers[2] is None or numbers[2].tolist() != [1]:
            return [("features", (0, width))]
        start, stop = (int(n[0]) for n in numbers[:2] if n is not None)
        found.append((node.output[0], (start, min(stop, width))))
    return found


def _other_spans(head: Any, uses: Mapping[str, list[Any]], width: int) -> list[tuple[int, int]]:
    """Features that something looks at beside an imputation."""
    filled = {value for _, value, _ in _imputations(head, uses, width)}
    good = {span for _, value, span in _imputations(head, uses, width) if value in filled}
    return [span for _, span in _spans(head, uses, width) if span not in good]
