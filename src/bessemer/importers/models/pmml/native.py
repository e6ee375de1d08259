"""From answers to a native model: trees and weights keep their exact contributions, all else is a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bessemer.core import canonical
from bessemer.importers.models.pmml.emit import Emitter
from bessemer.importers.models.pmml.grow import Registry
from bessemer.importers.models.pmml.regression import complement
from bessemer.importers.models.pmml.shapes import (
    Sum,
    bare,
    log_odds,
    share_in_log,
    share_in_odds,
    softmax_of,
    sum_of,
)
from bessemer.importers.models.pmml.terms import Node
from bessemer.importers.models.trees import native_of
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.trees.model import Link, Tree, Trees
from bessemer.package.trees.onnx import to_onnx
from bessemer.train.learner import Native

#: How near to 0 and 1 a share of trees may come; and what the second of two is lowered by: a tie is for the first one.
FLOOR = _TIE = 2.0**-23
#: Most columns of which a weighed number may be made: a layer of a network is made of all, and explains nothing.
_TOGETHER = 2
#: The least probability whose logarithm is taken in a graph.
_LEAST = 1e-300


@dataclass(frozen=True)
class Shape:
    """Sums of which a link makes the margins: a number, log-odds, or a score a class."""

    sums: tuple[Sum, ...]
    link: Link = "identity"
    floor: float = FLOOR

    @property
    def kind(self) -> str:
        """`trees`, `linear` or '' for a mixture, which no native model is."""
        trees, numbers = any(s.trees for s in self.sums), any(s.numbers for s in self.sums)
        together = max((len(node.columns) for s in self.sums for node, _ in s.numbers.values()), default=0)
        if together > _TOGETHER:
            return ""
        if trees and not numbers:
            return "trees"
        return "linear" if numbers and not trees and self.link == "identity" else ""


def shape_of_number(value: Node) -> Shape | None:
    """The shape of a regression; None where it has none."""
    value = bare(value)
    link: Link = "exp" if value.op == "exp" else "identity"
    found = sum_of(value.args[0] if link == "exp" else value)
    return None if found is None else Shape((found,), link)


def shape_of_classes(nodes: Sequence[Node]) -> Shape | None:
    """The shape of probabilities, in the order of the classes."""
    if (scores := softmax_of(list(nodes))) is not None:
        logs = [share_in_log(one) for one in scores]
        if len(nodes) > 2 and all(logs) and len({one.floor for one in logs if one}) == 1:
            shares = [one for one in logs if one is not None]
            return Shape(tuple(one.sum for one in shares), "log", shares[0].floor)
        sums = [sum_of(one) for one in scores]
        if any(one is None for one in sums):
            return None
        found = [one for one in sums if one is not None]
        return Shape((found[1].minus(found[0]),)) if len(found) == 2 else Shape(tuple(found))
    if len(nodes) == 2:
        odds = log_odds(nodes[1])
        if odds is not None:
            if (kept := share_in_odds(odds)) is not None:
                return Shape((kept.sum,), "logit", kept.floor)
            margin = sum_of(odds)
            return None if margin is None else Shape((margin,))
        share = sum_of(nodes[1])
        return None if share is None or not share.trees else Shape((share.minus(Sum(_TIE)),), "logit")
    plain = [sum_of(node) for node in nodes]
    if any(one is None or not one.trees for one in plain):
        return None
    return Shape(tuple(one for one in plain if one is not None), "log")


def weights(shape: Shape, registry: Registry, order: Callable[[], np.ndarray]) -> Native:
    """A linear model."""
    placed = [{registry.place(node): weight for node, weight in s.numbers.values()} for s in shape.sums]
    places = order()
    coef = np.zeros((len(placed), len(places)))
    for k, own in enumerate(placed):
        for place, weight in own.items():
            coef[k, places[place]] = weight
    zeros = np.zeros(len(places))
    intercept = np.array([s.base for s in shape.sums])
    fitted = {"impute": zeros, "mean": zeros, "scale": zeros + 1, "coef": coef, "intercept": intercept}
    content = canonical.dump_bytes({k: v.astype(np.float32).tolist() for k, v in fitted.items()})
    return Native("linear", "linear.json", content)


def trees(shape: Shape, order: np.ndarray) -> Trees:
    """The trees of all sums: one whose leaves add to each sum stays one."""
    base = np.array([s.base for s in shape.sums])
    grown = _together(shape.sums) or [
        _valued(leaves.tree, (leaves.value * weight)[:, None], k)
        for k, s in enumerate(shape.sums)
        for leaves, weight in s.trees
    ]
    moved = tuple(replace(tree, feature=order[tree.feature]) for tree in grown)
    return Trees(moved, base, len(order), shape.link, shape.floor)


def _valued(tree: Tree, value: np.ndarray, target: int = 0) -> Tree:
    return replace(tree, value=value, target=target)


def _together(sums: Sequence[Sum]) -> list[Tree]:
    """Trees whose leaves hold a value for each sum; [] where they are not the same trees in all sums."""
    if len(sums) < 2 or len({len(s.trees) for s in sums}) > 1:
        return []
    found = []
    for parts in zip(*(s.trees for s in sums), strict=True):
        (first, weight), *others = parts
        if any(leaves.tree is not first.tree or factor != weight for leaves, factor in others):
            return []
        found.append(_valued(first.tree, np.stack([leaves.value for leaves, _ in parts], axis=1) * weight))
    return found


def tree_native(shape: Shape, order: np.ndarray) -> Native:
    """Trees.

    Raises:
        FormatError: too many of them.
    """
    return native_of(trees(shape, order))


class Head:
    """A graph from features to margins, for what is neither trees nor weights."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._sums: dict[int, Sum] = {}

    def number(self, value: Node) -> list[Node]:
        return [value]

    def classes(self, nodes: Sequence[Node]) -> list[Node]:
        """The margins: log-odds of the second of two, logarithms of the probabilities of more."""
        if len(nodes) > 2:
            found = softmax_of(list(nodes))
            return found if found is not None else [_log(node) for node in nodes]
        odds = log_odds(nodes[1])
        if odds is None:
            odds = Node("-", (_log(nodes[1]), _log(complement(nodes[1]))))
        return [odds]

    def collect(self, margins: Sequence[Node]) -> None:
        """Ask for the features that the margins are made of."""
        seen: set[int] = set()
        waiting = list(margins)
        while waiting:
            at = waiting.pop()
            if id(at) in seen or at.op == "constant":
                continue
            seen.add(id(at))
            found = sum_of(at) if at.late else None
            if _is_feature(at):
                self._registry.place(at)
            elif found is not None and found.trees:
                self._sums[id(at)] = found
                waiting += [node for node, _ in found.numbers.values()]
            else:
                waiting += at.args

    def native(self, margins: Sequence[Node], order: np.ndarray) -> Native:
        """The graph."""
        g = GraphBuilder("imported")
        x = g.input("features", "float32", ("N", len(order)))
        emitter = Emitter(g, lambda node: self._leaf(emitter, x, node, order), x)
        margin = g.cast(emitter.wide(margins), "float32")
        g.output(g.op("Identity", [margin], name="score"), "float32", ("N", len(margins)))
        line = canonical.dump_bytes({"baseline": [0.0] * len(order)})
        return Native("head", "head.onnx", line + b"\n" + serialize(g.model()))

    def _leaf(self, emitter: Emitter, x: str, node: Node, order: np.ndarray) -> str | None:
        g = emitter.g
        if _is_feature(node):
            place = g.constant(np.array([order[self._registry.place(node)]], dtype=np.int64))
            return g.cast(g.op("Gather", [x, place], axis=1), "float64")
        if id(node) not in self._sums:
            return None
        found = self._sums[id(node)]
        model = to_onnx(trees(Shape((Sum(found.base, found.trees),)), order))
        total = g.cast(g.embed(model, {"features": x}, "trees/")["score"], "float64")
        for one, weight in found.numbers.values():
            total = g.op("Add", [total, emitter.times(emitter.value(one), weight)])
        return total


def _is_feature(node: Node) -> bool:
    """Whether a graph takes a node as a feature: what one column says by itself."""
    return not node.late and node.op != "constant" and len(node.columns) < 2


def _log(node: Node) -> Node:
    return Node("ln", (Node("max", (node, Node("constant", (), _LEAST))),))
