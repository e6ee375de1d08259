"""The part of a graph behind the value that its trees are fed: from the features to the outputs.

Trees are walked by our own code where it was built and gives the same bits (see `trees.kernel`); what the graph does
with their sums is left to onnxruntime. Otherwise all of it is.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bessemer.core.errors import UsageError
from bessemer.package.cut import extract, value_info
from bessemer.package.onnx_format import FLOAT, parse, serialize
from bessemer.package.runtime import open_session
from bessemer.package.tail import Tail, agreeing, find_tail, trial_sums
from bessemer.package.trees.kernel import UnsuitedError, arrays_of, score, walker_of
from bessemer.package.trees.probe import agree, probes

_LOG = logging.getLogger("bessemer.package")

#: What the learner sees: the value where a graph is parted.
FEATURES = "features"
#: A graph of this many bytes is heavy: onnxruntime takes ten times as much memory for each session of it.
HEAVY = 4 << 20
#: The environment variable that says what walks trees, and what it may say.
SETTING, CHOICES = "BESSEMER_TREES", ("auto", "onnxruntime")

_TREES = "TreeEnsembleRegressor"


class Head(Protocol):
    """What runs the part of a graph behind its features."""

    def run(self, features: np.ndarray, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Some outputs of the graph for features (N, F), N at least 1."""
        ...


class PlainHead:
    """One onnxruntime session from the features to all outputs."""

    def __init__(self, head: bytes, value: str, threads: int) -> None:
        self._value = value
        self._session = open_session(head, threads)

    def run(self, features: np.ndarray, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        found = self._session.run(list(outputs), {self._value: features})
        return dict(zip(outputs, found, strict=True))


class TreesHead:
    """Walkers, and onnxruntime for what the graph does with their sums; safe to use from several threads.

    Args:
        walkers: of each value that trees make.
        rest: the model from these values, and the features where they are needed, to `outputs`.
        value: the name of the features.
    """

    def __init__(
        self, walkers: Mapping[str, Any], rest: Any, value: str, outputs: Sequence[str], threads: int
    ) -> None:
        self._walkers = dict(walkers)
        self._value, self._outputs, self._threads = value, tuple(outputs), threads
        self._rest = serialize(rest)
        self._whole = len(self._rest) >= HEAVY  # then there is one session, with all outputs
        self._first, self._told = next(iter(self._walkers.values())), frozenset(self._outputs)
        self._tail: Tail | None = None  # gives all outputs, of the first and only walker's sums
        self._lock = threading.Lock()
        self._sessions: dict[tuple[str, ...], tuple[Any, list[str]]] = {}

    def shorten(self, found: Mapping[str, np.ndarray]) -> None:
        """Do without onnxruntime what follows the sums, if that can be: some sums it is tried with are given."""
        name = next(iter(self._walkers))
        if len(self._walkers) > 1 or self._first.targets > 1:
            return
        tail = find_tail(parse(self._rest), name, self._outputs)
        if tail is not None:
            session, inputs = self._session(self._outputs)
            if inputs == [name]:
                self._tail = agreeing(tail, session, name, trial_sums(np.random.default_rng(0), found[name]))

    def run(self, features: np.ndarray, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        if self._tail is not None and self._told.issuperset(outputs):
            return self._tail.run(score(self._first, features), outputs)
        made = {name: score(walker, features) for name, walker in self._walkers.items()}
        wanted = tuple(name for name in outputs if name not in made)
        if wanted:
            session, inputs = self._session(self._outputs if self._whole else wanted)
            made[self._value] = features
            found = session.run(wanted, {name: made[name] for name in inputs})
            made |= zip(wanted, found, strict=True)
        return {name: made[name] for name in outputs}

    def _session(self, outputs: tuple[str, ...]) -> tuple[Any, list[str]]:
        ready = self._sessions.get(outputs)
        if ready is not None:
            return ready
        with self._lock:
            if outputs not in self._sessions:
                model = parse(self._rest)
                part = extract(model, list(model.graph.input), outputs)
                session = open_session(serialize(part), self._threads)
                self._sessions[outputs] = session, [i.name for i in session.get_inputs()]
            return self._sessions[outputs]


def tree_nodes(model: Any) -> list[Any]:
    """The nodes of a model that are trees."""
    return [node for node in model.graph.node if node.op_type == _TREES]


@dataclass(frozen=True)
class Walked:
    """The trees of a graph as walkers that have yet to show that they give onnxruntime's bits.

    walkers, ensembles: of each value that trees make; the arrays a walker was made of.
    trees: the trees alone, serialized. rest: the model from their sums, and `value` where needed, to `outputs`.
    """

    walkers: Mapping[str, Any]
    ensembles: Mapping[str, Mapping[str, Any]]
    trees: bytes
    rest: Any
    value: str
    outputs: tuple[str, ...]

    def head(self, rows: np.ndarray | None, threads: int) -> TreesHead | None:
        """The head, if all is as onnxruntime has it; None, and a warning, if not.

        Args:
            rows: features (N, F) on which both must agree, besides those that are made for it.
        """
        found = self._agreed(rows)
        if found is None:
            _LOG.warning(
                "trees are left to onnxruntime, which is slower: our own code gives other sums for them. "
                "Please report it with the package; %s=onnxruntime silences this",
                SETTING,
            )
            return None
        head = TreesHead(self.walkers, self.rest, self.value, self.outputs, threads)
        head.shorten(found)
        return head

    def _agreed(self, rows: np.ndarray | None) -> dict[str, np.ndarray] | None:
        """The sums of the rows that were made to compare, if the walkers give what onnxruntime gives."""
        widest = max(walker.features for walker in self.walkers.values())
        made = probes(list(self.ensembles.values()), widest if rows is None else rows.shape[1])
        session = open_session(self.trees, 1)  # more threads add up the trees in another order
        compared = [made] if rows is None else [made, np.ascontiguousarray(rows)]
        if not all(agree(self.walkers, session, self.value, x) for x in compared):
            return None
        return {name: score(walker, made) for name, walker in self.walkers.items()}


def walked(model: Any, value: str, outputs: Sequence[str]) -> Walked | None:
    """The trees of a graph as walkers; None where they cannot be, or are not to be.

    Args:
        model: the whole graph, whose `outputs` need nothing but `value`.
        value: the name of the features.

    Raises:
        UsageError: BESSEMER_TREES says what it may not.
    """
    nodes = [node for node in tree_nodes(model) if list(node.input) == [value]]
    if not nodes or not _wanted():
        return None
    try:
        ensembles = {node.output[0]: arrays_of(node) for node in nodes}
        walkers = {name: walker_of(arrays) for name, arrays in ensembles.items()}
    except UnsuitedError as error:
        _LOG.info("trees are left to onnxruntime: %s", error)
        return None
    except ImportError:
        _LOG.info("trees are left to onnxruntime: the extension that walks them was not built")
        return None
    given = {name: value_info(model, name, FLOAT, ["N", None]) for name in (value, *walkers)}
    rest = extract(model, list(given.values()), outputs)
    trees = serialize(extract(model, [given[value]], list(walkers)))
    return Walked(walkers, ensembles, trees, rest, value, tuple(outputs))


def _wanted() -> bool:
    said = os.environ.get(SETTING, "") or CHOICES[0]
    if said not in CHOICES:
        raise UsageError(f"{SETTING} is '{said}'", fix=f"it may be one of: {', '.join(CHOICES)}")
    return said == CHOICES[0]
