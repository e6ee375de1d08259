"""A TreeModel: what its leaves say, and the tree that leads to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bessemer.importers.models.pmml.answer import Answer
from bessemer.importers.models.pmml.grow import Grower
from bessemer.importers.models.pmml.predicates import Predicates
from bessemer.importers.models.pmml.terms import Node
from bessemer.importers.models.pmml.xml import Element
from bessemer.package.trees.model import Tree

if TYPE_CHECKING:
    from bessemer.importers.models.pmml.models import Reader
    from bessemer.importers.models.pmml.scope import Scope


@dataclass(frozen=True, eq=False)
class Leaves:
    """A tree and what its leaves say.

    tree: without values. shares: (leaves, W) float64: a number, or the share of each class. scores: the class that each
    leaf names. column: which of the W is meant. nodes: those that the leaves are; () where they vote.
    partial: whether the document has no answer to some rows.
    """

    tree: Tree
    shares: np.ndarray
    scores: tuple[str, ...] = ()
    column: int = 0
    nodes: tuple[Element, ...] = ()
    partial: bool = False

    @property
    def value(self) -> np.ndarray:
        """(leaves,) what is added."""
        found: np.ndarray = self.shares[:, self.column]
        return found


def tree_answer(reader: Reader, model: Element, scope: Scope) -> Answer:
    """What a tree says.

    Raises:
        FormatError: what cannot be kept exactly.
    """
    grower = Grower(model, Predicates(scope), reader.registry)
    grown = grower.grow()
    for note in grower.notes:
        reader.note(note)
    places = grown.tree.value[:, 0].astype(int).tolist()
    nodes = [grown.nodes[place] for place in places]
    if model.choose("functionName", ("regression", "classification"), "") == "regression":
        values = np.array([[node.number("score")] for node in nodes])
        return Answer(Node("tree", (), Leaves(grown.tree, values)))
    names = _classes(grown.nodes)
    if not names:
        model.refuse("names no class")
    shares = np.array([_shares(node, names) for node in nodes])
    scores = tuple(_score(node, names) for node in nodes)
    leaves = Leaves(grown.tree, shares, scores, nodes=tuple(nodes), partial=bool(grower.notes))
    return Answer(None, {name: Node("tree", (), replace(leaves, column=k)) for k, name in enumerate(names)})


def voting(leaves: Leaves, name: str, names: Sequence[str]) -> Leaves:
    """The same tree, which gives 1 to the class that a leaf names, and 0 to all others, named by it or not."""
    votes = np.array([[float(score == one) for one in names] for score in leaves.scores])
    return Leaves(leaves.tree, votes, leaves.scores, list(names).index(name))


def _classes(nodes: Sequence[Element]) -> list[str]:
    """The classes that nodes name, in the document's order."""
    found: dict[str, None] = {}
    for node in nodes:
        for one in node.all("ScoreDistribution"):
            found[one.need("value")] = None
        if "score" in node.attributes:
            found[node.get("score")] = None
    return list(found)


def _shares(node: Element, names: Sequence[str]) -> list[float]:
    """The probability of each class at a node; of one without counts, 1 for the class that it names."""
    counts = node.all("ScoreDistribution")
    if not counts:
        return [float(node.need("score") == name) for name in names]
    given = ["probability" in one.attributes for one in counts]
    if any(given) and not all(given):
        node.refuse("gives the probability of some classes alone")
    key = "probability" if given[0] else "recordCount"
    numbers = {one.need("value"): one.number(key) for one in counts}
    total = 1.0 if given[0] else sum(numbers.values())
    if total <= 0 or min(numbers.values()) < 0:
        node.refuse("has counts whose sum is not above 0")
    return [numbers.get(name, 0.0) / total for name in names]


def _score(node: Element, names: Sequence[str]) -> str:
    """The class that a node names; else the first one of the most rows."""
    if "score" in node.attributes:
        return node.get("score")
    return names[int(np.argmax(_shares(node, names)))]
