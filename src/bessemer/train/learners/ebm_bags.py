"""Explainable boosting, bag after bag: each is a model of interpret's, what ships is their mean.

Interpret learns its bags at once and ranks the pairs over all of them; here the pairs are those of the first bag.
Everything else of the mean is as interpret makes it. A bag has a seed of its own, so a run that goes on after a kill
learns the same bags, and so does one that learns several at once.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import combinations, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor

from bessemer.core.errors import DataError
from bessemer.train.checkpoint import Checkpoints
from bessemer.train.learners.constant import prior
from bessemer.train.learners.ebm_stop import Stop
from bessemer.train.learners.ebm_trees import Term, Terms, finite
from bessemer.train.metrics import output_of
from bessemer.train.tree_model import TreeModel

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem

#: Features of the surfaces.
Pairs = list[tuple[int, ...]]

#: Share of a bag's rows that stop its boosting.
_STOPPING = 0.15
#: Rounds without anything to stop them.
_ROUNDS_UNJUDGED = 200
#: Rounds of the two trials that tell what a round costs, and the share of the time left that is planned with.
_TRIALS, _PLANNED = (2, 12), 0.6
#: More features than these get fewer bins: to find the bins of a feature takes milliseconds.
_WIDE = 100
#: Bins where there is no time for more, and in the trials.
_FEW_BINS = 32
#: Rounds on random cuts at the start, for curves and for surfaces; they smooth what noise would cut.
_SMOOTHING = {"binary": (75, 75), "multiclass": (75, 75), "regression": (500, 100)}


def fit(
    problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
) -> TreeModel:
    """One fit, from the first bag to the model."""
    chosen = _chosen(problem, train.X.shape[1], params)
    bags = Bags(problem, train, valid, chosen, callbacks)
    try:
        with warnings.catch_warnings():
            # missing values have a score of their own here, whatever interpret's charts show
            warnings.filterwarnings("ignore", "Missing values detected", UserWarning)
            warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
            bags.run()
    except ValueError as error:
        why = str(error).splitlines()[0]
        raise DataError("interpret could not learn from this data", why=why) from error
    terms = bags.terms()

    def predict(X: np.ndarray) -> np.ndarray:
        return terms.margin(finite(X))

    return TreeModel(terms.trees(), predict, chosen, max(1, bags.state.count), bags.curves)


def _chosen(problem: Problem, features: int, params: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter with its value; those that depend on the data are decided here."""
    numbers = problem.task == "regression"
    by_data = {
        "learning_rate": 0.08 if numbers else 0.04,
        "max_bins": 1024 if features <= _WIDE else 256,
        "interactions": min(5 * features, 40) if numbers else min(3 * features, 30),
    }
    chosen = {name: by_data[name] if value is None else value for name, value in params.items()}
    if problem.task == "multiclass":
        chosen["interactions"] = 0
    return chosen


@dataclass
class State:
    """What is known after some bags; valid is [[bags, metric]...], terms the features of each term."""

    count: int = 0
    weight: float = 0.0
    finished: bool = False
    terms: list[list[int]] = field(default_factory=list)
    valid: list[list[float]] = field(default_factory=list)


class Bags:
    """The mean of the bags so far, and when they are enough."""

    def __init__(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> None:
        self._problem, self._params, self._callbacks = problem, params, callbacks
        self._learner = Interpret(problem, train, params, callbacks)
        self._judged, self._y = finite(valid.X), valid.y
        self._most = min(params["outer_bags"], callbacks.rounds)
        self._checkpoints = Checkpoints(Path(callbacks.workdir) / "ebm.npz", callbacks.fingerprint)
        self._terms: list[Term] = []
        self._sums: list[np.ndarray] = []
        self._intercept = np.zeros(problem.outputs)
        self._best_step, self._best = 0, math.nan
        self.state = State()

    @property
    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """`valid_METRIC` after every bag."""
        points = [(int(step), value) for step, value in self.state.valid]
        return {f"valid_{self._problem.metric.name}": points} if points else {}

    def run(self) -> None:
        """Add bags until the metric stops getting better, or the bags or the time run out."""
        self._resume()
        if self._learner.classes_seen == 1:
            return
        threads, longest, left = self._callbacks.threads, 0.0, self._callbacks.time_left
        with ThreadPoolExecutor(threads) as pool, self._learner.stop:
            while not self.state.finished:
                start, first = time.monotonic(), self.state.count
                numbers = range(first, min(first + threads, self._most) if first else 1)
                for made in pool.map(self._bag, numbers):
                    if made is None:
                        self.state.finished = True
                    elif not self.state.finished:
                        self._take(*made)
                        self.state.finished = self._enough()
                longest = max(longest, time.monotonic() - start)
                self.state.finished = self.state.finished or left() <= longest
                self._save()

    def _bag(self, number: int) -> tuple[Terms, float] | None:
        return self._learner.bag(number, self._pairs())

    def _enough(self) -> bool:
        """After a bag: whether there are as many as were asked for, or more of them no longer help."""
        patience = self._callbacks.early_stopping if len(self._y) else 0
        stale = bool(patience and self.state.count - self._best_step >= patience)
        return self.state.count >= self._most or stale

    def terms(self) -> Terms:
        """All bags' mean, more of them never make it worse; without bags, the prior."""
        if not self.state.count:
            return Terms((), self._learner.prior, self._learner.features)
        weight = self.state.weight
        means = tuple(
            Term(term.features, term.cuts, total / weight, term.weights)
            for term, total in zip(self._terms, self._sums, strict=True)
        )
        return Terms(means, self._intercept / weight, self._learner.features)

    def _pairs(self) -> Pairs | None:
        """The pairs of the first bag; None before it."""
        return [term.features for term in self._terms if len(term.features) > 1] if self._terms else None

    def _take(self, terms: Terms, weight: float) -> None:
        """Add a bag, and judge the mean."""
        state = self.state
        if not state.count:
            self._terms = list(terms.terms)
            self._sums = [np.zeros_like(term.scores) for term in terms.terms]
        self._sums = [s + weight * t.scores for s, t in zip(self._sums, terms.terms, strict=True)]
        self._intercept = self._intercept + weight * terms.intercept
        state.weight += weight
        state.count += 1
        state.terms = [list(term.features) for term in self._terms]
        if len(self._y):
            output = output_of(self._problem.task, self.terms().margin(self._judged))
            value = self._problem.metric(self._y, output)
            if not math.isnan(value):
                state.valid.append([state.count, value])
                self._seen(state.count, value)

    def _seen(self, count: int, value: float) -> None:
        metric = self._problem.metric
        if metric.better(value, self._best):
            self._best_step, self._best = count, value
        self._callbacks.on_round(f"valid_{metric.name}", count, value)

    def _save(self) -> None:
        arrays = {"intercept": self._intercept}
        for number, (term, total) in enumerate(zip(self._terms, self._sums, strict=True)):
            arrays |= {f"{number}.sum": total, f"{number}.weights": term.weights}
            arrays |= {f"{number}.cuts.{side}": cuts for side, cuts in enumerate(term.cuts)}
        self._checkpoints.save(vars(self.state), arrays)

    def _resume(self) -> None:
        saved = self._checkpoints.load()
        if saved is None:
            return
        state, arrays = saved
        self.state, self._intercept = State(**state), arrays["intercept"]
        for number, features in enumerate(self.state.terms):
            cuts = tuple(arrays[f"{number}.cuts.{side}"] for side in range(len(features)))
            total = arrays[f"{number}.sum"]
            self._sums.append(total)
            self._terms.append(Term(tuple(features), cuts, total, arrays[f"{number}.weights"]))
        for count, value in self.state.valid:
            self._seen(int(count), value)


class Interpret:
    """Interpret's learner, one bag at a time.

    classes_seen: how many classes the training rows have; 0 for regression.
    """

    def __init__(
        self, problem: Problem, train: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> None:
        self._problem, self._params, self._callbacks = problem, params, callbacks
        self.stop = Stop(callbacks.time_left)
        self._X, self._y = finite(train.X).astype(np.float64), train.y
        self._weight = problem.row_weights(train)
        self.prior, self.features = prior(problem, train.y, self._weight), train.X.shape[1]
        self._present = np.unique(train.y).astype(np.int64) if problem.task != "regression" else np.zeros(0)
        self.classes_seen = len(self._present)
        if self._weight is not None:
            self._weight = self._weight / self._weight.mean()

    def bag(self, number: int, pairs: Pairs | None) -> tuple[Terms, float] | None:
        """One bag and its weight; None for a later one that the time cut short.

        pairs: of features; None lets interpret choose them.
        """
        rounds, left = self._params["max_rounds"], self._callbacks.time_left()
        if not self._stopped(number).any():
            rounds = min(rounds, _ROUNDS_UNJUDGED)
        if number == 0 and left <= 0:
            return self._at_once()
        if number == 0 and math.isfinite(left):
            rounds = min(rounds, self._affordable())
        model = self.fitted(number, pairs, rounds)
        if number and self.stop.stopped:
            return None
        return self.terms(model), float(model.bag_weights_[0])

    def _at_once(self) -> tuple[Terms, float]:
        """A bag of coarse curves after one round, which nothing interrupts."""
        model = self.fitted(0, [], 1, few_bins=True, hurried=False)
        return self.terms(model), float(model.bag_weights_[0])

    def _affordable(self) -> int:
        """How many rounds the first bag has time for, so that curves and surfaces both get their share."""
        some: Pairs = list(islice(combinations(range(self.features), 2), self._interactions()))
        seconds = []
        for rounds in _TRIALS:
            start = time.monotonic()
            self.fitted(0, some, rounds, few_bins=True)
            seconds.append(time.monotonic() - start)
        each = max(1e-6, (seconds[1] - seconds[0]) / (_TRIALS[1] - _TRIALS[0]))
        return max(1, int((self._callbacks.time_left() * _PLANNED - seconds[0]) / each))

    def _stopped(self, number: int) -> np.ndarray:
        """(N,) bool: the rows that stop the boosting of a bag; every class keeps at least one of the others."""
        rng = np.random.default_rng(self._callbacks.seed(f"ebm/{number}/rows"))
        order = rng.permutation(len(self._y))
        if self._problem.task != "regression":
            _, first = np.unique(self._y[order], return_index=True)
            order = np.delete(order, first)
        else:
            order = order[1:]
        found = np.zeros(len(self._y), dtype=bool)
        found[order[: max(1, int(_STOPPING * len(self._y)))]] = True
        return found

    def fitted(
        self, number: int, pairs: Pairs | None, rounds: int, *, few_bins: bool = False, hurried: bool = True
    ) -> Any:
        """Interpret's own model of one bag; hurried: it ends early when there is no time left."""
        numbers = self._problem.task == "regression"
        kind = ExplainableBoostingRegressor if numbers else ExplainableBoostingClassifier
        own = ("learning_rate", "max_bins", "max_interaction_bins", "max_leaves", "min_samples_leaf")
        coarse = {name: min(_FEW_BINS, self._params[name]) for name in own if few_bins and "bins" in name}
        smoothing = _SMOOTHING[self._problem.task]
        monotone = self._problem.monotone
        estimator = kind(
            **({name: self._params[name] for name in own} | coarse),
            feature_types=["continuous"] * self.features,
            interactions=self._interactions() if pairs is None else pairs or 0,
            outer_bags=1,
            smoothing_rounds=smoothing[0],
            interaction_smoothing_rounds=smoothing[1],
            max_rounds=rounds,
            monotone_constraints=None if monotone is None else list(monotone),
            n_jobs=1,
            random_state=self._callbacks.seed(f"ebm/{number}") % 2**31,
        )
        side = np.where(self._stopped(number), -1, 1).astype(np.int8)[:, None]
        y = self._y if numbers else np.searchsorted(self._present, self._y.astype(np.int64))
        return self.stop.fit(estimator, self._X, y, sample_weight=self._weight, bags=side, hurried=hurried)

    def _interactions(self) -> int:
        """No more pairs than there are."""
        most: int = min(self._params["interactions"], self.features * (self.features - 1) // 2)
        return 0 if self.classes_seen > 2 else most

    def terms(self, model: Any) -> Terms:
        """Interpret's tables, without the bin for what is no number."""
        found = []
        for features, scores, weights in zip(
            model.term_features_, model.term_scores_, model.bin_weights_, strict=True
        ):
            sides = len(features)
            inner = (slice(None, -1),) * sides
            cuts = tuple(model.bins_[f][min(len(model.bins_[f]), sides) - 1] for f in features)
            spread = self._spread(np.asarray(scores)[inner], sides)
            found.append(Term(tuple(int(f) for f in features), cuts, spread, np.asarray(weights)[inner]))
        return Terms(tuple(found), self._spread(np.asarray(model.intercept_), 0, base=True), self.features)

    def _spread(self, scores: np.ndarray, sides: int, base: bool = False) -> np.ndarray:
        """Scores (..., K'): interpret has none for absent classes, and one for the second of two classes."""
        own = scores.reshape(*scores.shape[:sides], -1)
        if self._problem.task != "multiclass":
            return own
        if self.classes_seen == 2:
            own = np.concatenate([np.zeros_like(own), own], axis=-1)
        found = np.zeros((*own.shape[:-1], self._problem.classes))
        if base:  # the others' share, where an absent class has its own
            found[...] = self.prior
            own = own - np.log(np.exp(own).sum())
        found[..., self._present] = own
        return found
