"""Trees as PMML's tree models: a sum of them a field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.pmml.terms import Sum
from bessemer.export.pmml.words import element, told
from bessemer.export.rowwise.branches import Branches, branches_of

#: Levels of a tree: engines go down documents by recursion.
DEEPEST = 200
#: Branches of all trees: engines hold the whole document in memory.
MOST_BRANCHES = 300_000


def segments(sums: list[Sum]) -> Iterator[Element]:
    """The models of the chain that say each sum.

    Raises:
        UncarriedError: the trees are too deep, or too many.
    """
    branches = sum(int((s.trees.arrays["left"] >= 0).sum()) for s in sums)
    if branches > MOST_BRANCHES:
        raise UncarriedError(f"its trees have {branches:,} branches, and {MOST_BRANCHES:,} is the limit")
    for number, each in enumerate(sums, 1):
        yield element("Segment", {"id": str(number)}, element("True"), _summed(each))


def schema(names: list[str]) -> Element:
    return element("MiningSchema", None, *(element("MiningField", {"name": name}) for name in names))


def _summed(each: Sum) -> Element:
    writer = _Writer(branches_of(each.trees.arrays), each)
    parts = [writer.constant(float(each.trees.arrays["base"][each.place])), *writer.models()]
    segmentation = element("Segmentation", {"multipleModelMethod": "sum"})
    for number, model in enumerate(parts, 1):
        segmentation.append(element("Segment", {"id": str(number)}, element("True"), model))
    said = {"name": each.name, "optype": "continuous", "dataType": "float", "feature": "predictedValue"}
    said["isFinalResult"] = "false"
    return element(
        "MiningModel",
        {"functionName": "regression"},
        schema(list(each.features.values())),
        element("Output", None, element("OutputField", said)),
        segmentation,
    )


@dataclass(frozen=True)
class _Writer:
    branches: Branches
    sum: Sum

    def constant(self, value: float) -> Element:
        """A model that says the same of every row; it names a field, because a schema must."""
        table = element("RegressionTable", {"intercept": told(value, "f64")})
        names = list(self.sum.features.values())[:1]
        return element("RegressionModel", {"functionName": "regression"}, schema(names), table)

    def models(self) -> Iterator[Element]:
        """The trees that add something to the output."""
        """The trees that add something to the output."""
        for root in self.branches.root.tolist():
            if root < 0:
                if value := self._value(root):
                    yield self.constant(value)
                continue
            names: set[str] = set()
            node = self._node(root, element("True"), names, 0)
            if any(float(leaf.get("score", 0)) for leaf in node.iter("Node")):
                yield _tree(node, sorted(names))

    def _value(self, leaf: int) -> float:
        arrays, at = self.sum.trees.arrays, -1 - leaf
        width = int(arrays["width"])
        if width > 1:
            return float(arrays["value"][at * width + self.sum.place])
        return float(arrays["value"][at]) if arrays["target"][at] == self.sum.place else 0.0

    def _node(self, at: int, predicate: Element, names: set[str], depth: int) -> Element:
        """A node of those below it; children go by the numbers of branches, -1 - leaf."""
        if depth > DEEPEST:
            raise UncarriedError(f"its trees are deeper than {DEEPEST} levels")
        if at < 0:
            return element("Node", {"id": _id(at), "score": told(self._value(at), "f64")}, predicate)
        b = self.branches
        name, children = self.sum.features[int(b.feature[at])], (int(b.left[at]), int(b.right[at]))
        names.add(name)
        usual = children[0] if b.missing_left[at] else children[1]
        sides = (
            self._node(child, test, names, depth + 1)
            for child, test in zip(children, _tests(name, b.threshold[at]), strict=True)
        )
        return element("Node", {"id": _id(at), "defaultChild": _id(usual)}, predicate, *sides)


def _id(at: int) -> str:
    return f"b{at}" if at >= 0 else f"l{-1 - at}"


def _tests(name: str, threshold: Any) -> Iterator[Element]:
    limit = told(np.clip(threshold, np.finfo(np.float32).min, np.finfo(np.float32).max), "f32")
    for operator in ("lessOrEqual", "greaterThan"):
        yield element("SimplePredicate", {"field": name, "operator": operator, "value": limit})


def _tree(node: Element, names: list[str]) -> Element:
    return element(
        "TreeModel",
        {
            "functionName": "regression",
            "missingValueStrategy": "defaultChild",
            "splitCharacteristic": "binarySplit",
        },
        schema(names),
        node,
    )
