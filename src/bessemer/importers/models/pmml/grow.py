"""A tree of PMML as one of ours: each node asks its children's predicates in order, ours ask `x <= t` alone.

What is left to ask stands in a state, which says where each of the three answers leads. Along each way down it is
known between which thresholds a number lies, and which categories are left, so that most questions answer themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bessemer.importers.models.pmml.predicates import (
    Always,
    Among,
    AtMost,
    Both,
    Gone,
    Not,
    Predicate,
    Predicates,
)
from bessemer.importers.models.pmml.terms import Node, member
from bessemer.importers.models.pmml.xml import Element
from bessemer.package.trees.model import Tree

_LARGEST = float(np.finfo(np.float32).max)
_STRATEGIES = ("none", "lastPrediction", "nullPrediction", "defaultChild")
#: Branches that a document's element may grow into: a compound predicate asks its parts anew on each way.
_GROWTH = 50
NO_ANSWER = (
    "the document has no answer where its trees ask for a value that is missing; here such a value counts as one that "
    "fails the test"
)


@dataclass
class Registry:
    """The features that trees and weights take, in the order in which they were asked for."""

    nodes: list[Node] = field(default_factory=list)
    _places: dict[int, int] = field(default_factory=dict)
    _sets: dict[tuple[int, frozenset[int], frozenset[int]], int] = field(default_factory=dict)

    def place(self, node: Node) -> int:
        if id(node) not in self._places:
            self._places[id(node)] = len(self.nodes)
            self.nodes.append(node)
        return self._places[id(node)]

    def member(self, test: Among) -> int:
        """The feature that is 1 for the codes of a set, 0 for others, NaN where that is unknown."""
        key = (id(test.codes), test.true, test.unknown)
        if key not in self._sets:
            self._sets[key] = self.place(member(test.codes, test.size, test.true, test.unknown, "truth"))
        return self._sets[key]


# A state is one of these tuples; the states that it names are what follows.
#   ("node", n)            at a node        ("child", n, i)    asks its i-th child
#   ("ask", p, T, F, U, inverted)  a predicate; inverted: whether the document asks for the opposite of it
#   ("score", n)       the prediction of a node         ("none",)      no prediction
State = tuple[Any, ...]
_NONE: State = ("none",)


@dataclass(frozen=True)
class Known:
    """What is known on a way: of numbers (low < x <= high, present, missing) by place, of codes which are left."""

    numbers: dict[int, tuple[float, float, bool, bool]] = field(default_factory=dict)
    codes: dict[int, frozenset[int]] = field(default_factory=dict)

    def number(self, place: int) -> tuple[float, float, bool, bool]:
        return self.numbers.get(place, (-np.inf, _LARGEST, True, True))

    def left(self, test: Among) -> frozenset[int]:
        found = self.codes.get(id(test.codes))
        return frozenset(range(test.size)) if found is None else found

    def with_number(self, place: int, low: float, high: float, present: bool, missing: bool) -> Known:
        return Known({**self.numbers, place: (low, high, present, missing)}, self.codes)

    def with_codes(self, test: Among, left: frozenset[int]) -> Known:
        return Known(self.numbers, {**self.codes, id(test.codes): left})

    def or_missing(self, missing: Known, split: _Split) -> Known:
        """What is known where the ways of a value and of a missing one have met."""
        if isinstance(split.test, Among):
            return self.with_codes(split.test, self.left(split.test) | missing.left(split.test))
        low, high, present, _ = self.number(split.feature)
        return self.with_number(split.feature, low, high, present, True)


Way = tuple[State, Known]


@dataclass(frozen=True)
class _Split:
    """A question that is left, and where `x <= threshold`, more than that, and missing lead; None where nothing does.

    asks: the state that asks it. fails_less: whether `less` is the way of what fails the test that the document asks.
    """

    asks: State
    test: AtMost | Gone | Among
    feature: int
    threshold: float
    less: Way | None
    more: Way | None
    missing: Way | None
    fails_less: bool = False

    @property
    def ways(self) -> list[Way]:
        return [way for way in (self.less, self.more, self.missing) if way is not None]


@dataclass(frozen=True)
class Grown:
    """A tree whose leaves have the places of nodes as values. nodes: those nodes, in that order."""

    tree: Tree
    nodes: tuple[Element, ...]


class Grower:
    """Grows the trees of one model.

    notes: what is worth saying of it.
    """

    def __init__(self, model: Element, predicates: Predicates, registry: Registry) -> None:
        self._model, self._registry = model, registry
        self._strategy = model.choose("missingValueStrategy", _STRATEGIES, "none")
        last = model.choose(
            "noTrueChildStrategy", ("returnNullPrediction", "returnLastPrediction"), "returnNullPrediction"
        )
        self._last = last == "returnLastPrediction"
        self._nodes: list[Element] = []
        self._children: list[list[int]] = []
        self._predicates: list[Predicate] = []
        self._default: list[int] = []
        self._read(model.one("Node"), predicates)
        self.notes: dict[str, None] = {}

    def _read(self, root: Element, predicates: Predicates) -> None:
        """The nodes in the document's order, with the places of their children."""
        waiting = [(root, -1)]
        while waiting:
            node, parent = waiting.pop()
            place = len(self._nodes)
            self._nodes.append(node)
            self._children.append([])
            self._predicates.append(predicates.of(node))
            self._default.append(-1)
            if parent >= 0:
                self._children[parent].append(place)
                if self._nodes[parent].get("defaultChild") == node.get("id", "\0"):
                    self._default[parent] = place
            waiting += [(child, place) for child in reversed(node.all("Node"))]
            if found := node.first("Partition", "DecisionTree", "Regression"):
                found.refuse("stands in a node, and is not taken over")

    def grow(self) -> Grown:
        """The tree.

        Raises:
            FormatError: rows for which the document has no answer, or a tree that grows too large.
        """
        made = _Arrays()
        root: State = ("ask", self._predicates[0], ("node", 0), _NONE, _NONE, False)
        waiting: list[tuple[Way, int, int]] = [((root, Known()), -1, 0)]
        while waiting:
            (state, known), parent, side = waiting.pop()
            found = self._settled(state, known)
            while not isinstance(found, _Split) and found[0] == "node":
                found = self._settled(("child", found[1], 0), known)
            if isinstance(found, _Split):
                place, *ways = self._branch(found, made)
                waiting += [(way, place, s) for s, way in ((1, ways[1]), (0, ways[0]))]
            else:
                place = made.leaf(self._scored(found))
            if parent >= 0:
                made.sides[side][parent] = place
            if len(made.feature) > _GROWTH * (len(self._nodes) + 20):
                self._model.refuse("asks so many questions at once that its tree grows without end")
        counts = np.array([max(self._nodes[leaf].number("recordCount", 0.0), 0.0) for leaf in made.leaves])
        return Grown(made.tree(counts), tuple(self._nodes))

    def _scored(self, state: State) -> int:
        if state == _NONE:
            self._model.refuse("has no answer to some rows: where no node of a tree is true")
        return int(state[1])

    def _branch(self, split: _Split, made: _Arrays) -> tuple[int, Way, Way]:
        """Write a branch, which has two ways: a missing value takes one of them, or is asked for before."""
        less, more, missing = split.less, split.more, split.missing
        if missing is None:
            assert less is not None
            assert more is not None
            return made.branch(split.feature, split.threshold, split.fails_less), less, more
        if less is None:
            assert more is not None
            return made.branch(split.feature, split.threshold, True), missing, more
        if more is None:
            return made.branch(split.feature, split.threshold, False), less, missing
        if missing[0] is less[0]:
            joined = (less[0], less[1].or_missing(missing[1], split))
            return made.branch(split.feature, split.threshold, True), joined, more
        if missing[0] is more[0]:
            joined = (more[0], more[1].or_missing(missing[1], split))
            return made.branch(split.feature, split.threshold, False), less, joined
        end = self._settled(*missing)
        if not isinstance(end, _Split):
            if end == self._settled(*less):
                joined = (end, less[1].or_missing(missing[1], split))
                return made.branch(split.feature, split.threshold, True), joined, more
            if end == self._settled(*more):
                joined = (end, more[1].or_missing(missing[1], split))
                return made.branch(split.feature, split.threshold, False), less, joined
        return made.branch(split.feature, _LARGEST, False), self._present(split), missing

    def _present(self, split: _Split) -> Way:
        """The same question, of values that are not missing."""
        assert split.less is not None
        assert split.more is not None
        less, more = split.less[1], split.more[1]
        if isinstance(split.test, Among):
            return split.asks, less.with_codes(split.test, less.left(split.test) | more.left(split.test))
        low, high = less.number(split.feature)[0], more.number(split.feature)[1]
        return split.asks, less.with_number(split.feature, low, high, True, False)

    def _settled(self, state: State, known: Known) -> State | _Split:
        """The next node, prediction, or question that what is known does not answer."""
        while True:
            if state[0] == "ask":
                found = self._asked(state, known)
                if isinstance(found, _Split):
                    found = self._answered(found)
                    if len(found.ways) > 1:
                        return found
                    found = found.ways[0][0]
                state = found
            elif state[0] == "child":
                state = self._child(state[1], state[2])
            elif state[0] == "node" and not self._children[state[1]]:
                return ("score", state[1])
            else:
                return state

    def _answered(self, split: _Split) -> _Split:
        """The question without the way of missing values, where the document has no answer to these."""
        if split.missing is None or len(split.ways) == 1 or not self._unanswered(split.missing):
            return split
        self.notes[NO_ANSWER] = None
        return replace(split, missing=None)

    def _unanswered(self, way: Way) -> bool:
        """Whether the document has no answer on a way, whatever else is asked on it."""
        waiting = [way]
        while waiting:
            state, known = waiting.pop()
            found = self._asked(state, known) if state[0] == "ask" else state
            if isinstance(found, _Split):
                if len(found.ways) == 3 or (len(found.ways) == 2 and found.missing is None):
                    return False  # what is there goes two ways, so that there is a question
                waiting += found.ways
            elif found[0] == "child":
                waiting.append((self._child(found[1], found[2]), known))
            elif found[0] == "ask":
                waiting.append((found, known))
            elif found != _NONE:
                return False
        return True

    def _child(self, node: int, i: int) -> State:
        children = self._children[node]
        if i == len(children):
            return self._prediction(node) if self._last else _NONE
        after: State = ("child", node, i + 1)
        unknown: State = {
            "none": after,
            "nullPrediction": _NONE,
            "lastPrediction": self._prediction(node),
            "defaultChild": ("node", self._default[node]) if self._default[node] >= 0 else _NONE,
        }[self._strategy]
        return ("ask", self._predicates[children[i]], ("node", children[i]), after, unknown, False)

    def _prediction(self, node: int) -> State:
        said = self._nodes[node]
        return ("score", node) if "score" in said.attributes or said.first("ScoreDistribution") else _NONE

    def _asked(self, state: State, known: Known) -> State | _Split:
        """A predicate asked of what is known: where it leads, or the question that is left."""
        _, test, true, false, unknown, inverted = state
        if isinstance(test, Always):
            return true if test.answer else false  # type: ignore[no-any-return]
        if isinstance(test, Not):
            return ("ask", test.inner, false, true, unknown, not inverted)
        if isinstance(test, Both):
            return _both(test, true, false, unknown, inverted)
        if isinstance(test, Among):
            left = known.left(test)
            parts = (left - test.true - test.unknown, left & test.true, left & test.unknown)
            ways = [
                (to, known.with_codes(test, part)) if part else None
                for to, part in zip((false, true, unknown), parts, strict=True)
            ]
            return _Split(
                state, test, self._registry.member(test), 0.5, ways[0], ways[1], ways[2], not inverted
            )
        place = self._registry.place(test.x)
        low, high, present, missing = known.number(place)
        gone = known.with_number(place, low, high, False, True) if missing else None
        if isinstance(test, Gone):
            there = (false, known.with_number(place, low, high, True, False)) if present else None
            return _Split(state, test, place, _LARGEST, there, None, (true, gone) if gone else None)
        less = known.with_number(place, low, min(high, test.threshold), True, False)
        more = known.with_number(place, max(low, test.threshold), high, True, False)
        return _Split(
            state,
            test,
            place,
            test.threshold,
            (true, less) if present and low < test.threshold else None,
            (false, more) if present and test.threshold < high else None,
            (unknown, gone) if gone else None,
            fails_less=inverted,
        )


def _both(test: Both, true: State, false: State, unknown: State, inverted: bool) -> State:
    """Where a predicate of two parts leads: the first one says what the second one decides."""

    def ask(*to: State) -> State:
        return ("ask", test.rest, *to, inverted)

    after: dict[str, tuple[State, State, State]] = {
        "and": (ask(true, false, unknown), false, ask(unknown, false, unknown)),
        "or": (true, ask(true, false, unknown), ask(true, unknown, unknown)),
        "xor": (ask(false, true, unknown), ask(true, false, unknown), unknown),
        "surrogate": (true, false, ask(true, false, unknown)),
    }
    return ("ask", test.first, *after[test.operator], inverted)


@dataclass
class _Arrays:
    """The branches and leaves of a tree while it grows."""

    feature: list[int] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)
    missing: list[bool] = field(default_factory=list)
    sides: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    leaves: list[int] = field(default_factory=list)

    def branch(self, feature: int, threshold: float, missing_left: bool) -> int:
        self.feature.append(feature)
        self.threshold.append(threshold)
        self.missing.append(missing_left)
        for side in self.sides:
            side.append(0)
        return len(self.feature) - 1

    def leaf(self, node: int) -> int:
        self.leaves.append(node)
        return -len(self.leaves)

    def tree(self, counts: np.ndarray) -> Tree:
        """The tree, whose leaves have the places of nodes as values."""
        return Tree(
            np.array(self.feature, dtype=np.int32),
            np.array(self.threshold, dtype=np.float32),
            np.array(self.missing, dtype=bool),
            np.array(self.sides[0], dtype=np.int32),
            np.array(self.sides[1], dtype=np.int32),
            np.array(self.leaves, dtype=np.float64)[:, None],
            counts,
        )
