"""Forests of scikit-learn's trees: grown in waves, each tree from a seed of its own.

A tree depends on its number and on nothing else, so neither threads nor the size of a wave nor a kill can show in
the model. What is learnt for classes is the mean of the shares in the leaves; the margin is its log-odds or
logarithm.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import DataError
from bessemer.package.trees.codec import decode, encode
from bessemer.package.trees.model import Link, Tree, Trees, linked
from bessemer.package.trees.shapley import TreeShapley
from bessemer.train.checkpoint import Checkpoints
from bessemer.train.learners.forest_grower import Grower, Kind
from bessemer.train.metrics import output_of
from bessemer.train.tree_model import TreeModel

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem

#: About how long a wave of trees may take, and how long a run may go without a checkpoint.
_WAVE_SECONDS, _SAVE_SECONDS = 1.0, 20.0
#: Shares are whole multiples of this, and float32 adds those up to 1 without an error, in any order. So the
#: graph is exact where it matters most: next to 0 and 1, where a logarithm makes small errors large.
_STEP = 2.0**-24
_LINKS: Mapping[str, Link] = {"binary": "logit", "multiclass": "log", "regression": "identity"}


@dataclass
class State:
    """What is known after some trees; valid is [[trees, metric]...]."""

    finished: bool = False
    valid: list[list[float]] = field(default_factory=list)


def fit(
    kind: Kind, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
) -> TreeModel:
    """One fit, from the first tree to the model."""
    chosen = _chosen(kind, problem, train.X.shape[1], params)
    forest = Forest(Grower(kind, problem, train, chosen, callbacks), problem, valid, chosen, callbacks)
    try:
        forest.run()
    except ValueError as error:
        why = str(error).splitlines()[0]
        raise DataError("scikit-learn could not grow a forest on this data", why=why) from error
    trees = forest.trees()
    # not through scikit-learn: the trees of a fit that was killed on the way are gone
    predict = TreeShapley(trees, callbacks.threads).margin
    return TreeModel(trees, predict, chosen, len(trees.trees), forest.curves)


def _chosen(kind: Kind, problem: Problem, features: int, params: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter with its value; those that depend on the data are decided here."""
    classes = problem.task != "regression"
    few, many = (math.sqrt(features) / features, 2 / 3) if kind.bootstrap else (0.5, 1.0)
    by_data = {
        "max_leaf_nodes": 512 if classes else 1024,
        "min_samples_leaf": 3 if classes else 1,
        "max_features": float(f"{few if classes else many:.6g}"),
    }
    chosen = {name: by_data[name] if value is None else value for name, value in params.items()}
    if problem.monotone is not None:  # small leaves would be moved more than large ones, past them
        chosen["smoothing"] = 0.0
    return chosen


class Forest:
    """The trees so far, and when they are enough."""

    def __init__(
        self, grower: Grower, problem: Problem, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> None:
        self._grower, self._problem, self._valid, self._callbacks = grower, problem, valid, callbacks
        self._most = min(params["n_estimators"], callbacks.rounds)
        self._judged = grower.filled(valid.X)
        self._features = valid.X.shape[1]
        # what has never been seen in n rows has a chance of about 1 / (n + 2) (Laplace's rule of succession)
        self._link, self._floor = _LINKS[problem.task], max(1e-6, 1 / (grower.rows + 2))
        path = Path(callbacks.workdir) / f"{grower.name}.npz"
        self._checkpoints = Checkpoints(path, callbacks.fingerprint)
        self._grown: list[Tree] = []
        self._sums = np.zeros((len(valid), problem.outputs))
        self._best_step, self._best = 0, math.nan
        self.state = State()

    @property
    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """`valid_METRIC` after every tree."""
        points = [(int(step), value) for step, value in self.state.valid]
        return {f"valid_{self._problem.metric.name}": points} if points else {}

    def run(self) -> None:
        """Grow until the metric stops getting better, or the trees or the time run out."""
        self._resume()
        threads = self._callbacks.threads
        wave, saved, saved_at = threads, len(self._grown), time.monotonic()
        with ThreadPoolExecutor(threads) as pool:
            while not self.state.finished:
                start = time.monotonic()
                numbers = range(len(self._grown), min(len(self._grown) + wave, self._most))
                for grown, tree, leaf in pool.map(self._grower.grow, numbers):
                    if not self.state.finished:
                        self._take(grown, tree, leaf)
                each = (time.monotonic() - start) / len(numbers)
                left = self._callbacks.time_left()
                self.state.finished = self.state.finished or left <= each * threads
                most = min(min(_WAVE_SECONDS, left / 2) / each, self._callbacks.checkpoint)
                wave = threads * max(1, int(most / threads))
                due = len(self._grown) - saved >= self._callbacks.checkpoint
                if due or self.state.finished or time.monotonic() - saved_at > _SAVE_SECONDS:
                    self._save()
                    saved, saved_at = len(self._grown), time.monotonic()

    def trees(self) -> Trees:
        """All trees, a prediction being their mean. More of them never make a forest worse."""
        count = len(self._grown)

        def mean(value: np.ndarray) -> np.ndarray:
            return value / count if self._link == "identity" else np.rint(value / count / _STEP) * _STEP

        scaled = tuple(replace(tree, value=mean(tree.value)) for tree in self._grown)
        return Trees(scaled, self._grower.base, self._features, self._link, self._floor)

    def _take(self, grown: Any, tree: Tree, leaf: np.ndarray) -> None:
        """Add a tree, and judge the forest that it makes."""
        self._grown.append(tree)
        count = len(self._grown)
        if len(self._valid):
            self._sums += tree.value[leaf[grown.apply(self._judged)]]
            margin = linked(self._grower.base + self._sums / count, self._link, self._floor)
            value = self._problem.metric(self._valid.y, output_of(self._problem.task, margin))
            if not math.isnan(value):
                self.state.valid.append([count, value])
                self._seen(count, value)
        patience = self._callbacks.early_stopping if len(self._valid) else 0
        stale = bool(patience and count - self._best_step >= patience)
        self.state.finished = stale or count >= self._most

    def _seen(self, count: int, value: float) -> None:
        metric = self._problem.metric
        if metric.better(value, self._best):
            self._best_step, self._best = count, value
        self._callbacks.on_round(f"valid_{metric.name}", count, value)

    def _save(self) -> None:
        trees = Trees(tuple(self._grown), self._grower.base, self._features)
        content = np.frombuffer(encode(trees), dtype=np.uint8)
        self._checkpoints.save(vars(self.state), {"trees": content, "sums": self._sums})

    def _resume(self) -> None:
        saved = self._checkpoints.load()
        if saved is None:
            return
        state, arrays = saved
        self.state, self._sums = State(**state), arrays["sums"]
        self._grown = list(decode(arrays["trees"].tobytes()).trees)
        for count, value in self.state.valid:
            self._seen(int(count), value)
