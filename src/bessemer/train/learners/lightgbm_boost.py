"""The boosting itself: segments, early stopping across them, a checkpoint after each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

from bessemer.core.errors import DataError
from bessemer.train.checkpoint import Checkpoints
from bessemer.train.learners.lightgbm_text import ModelText, parse
from bessemer.train.metrics import output_of

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem

#: Judging the training rows costs more than judging the validation rows, and their curve is smooth.
_TRAIN_CURVE_EVERY = 10
#: Without validation rows nothing says when to stop; so many rounds are safe at the default learning rates.
_ROUNDS_UNJUDGED = 200
#: Values in the training matrix.
_WORTH_THREADS = 500_000


@dataclass
class State:
    """What is known after some rounds. `text` has all trees so far; the curves are [[step, value]...]."""

    text: str = ""
    segment: int = 0
    step: int = 0
    finished: bool = False
    valid: list[list[float]] = field(default_factory=list)
    train: list[list[float]] = field(default_factory=list)


class Boosting:
    """One fit. The arithmetic of a segment depends only on its number, the margins it starts from and the data.

    The margins are those that LightGBM kept while it trained, so nothing is predicted twice.
    """

    def __init__(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> None:
        self._problem, self._callbacks = problem, callbacks
        self._rounds = callbacks.rounds if len(valid) else min(callbacks.rounds, _ROUNDS_UNJUDGED)
        self._metric = problem.metric
        self._checkpoints = Checkpoints(callbacks.workdir / "lightgbm.npz", callbacks.fingerprint)
        self._parts = {"train": train, **({"valid": valid} if len(valid) else {})}
        self._params = self._settings(params)
        self._margins: dict[str, np.ndarray] = {}
        self.state = State()
        self._best_step, self._best = 0, math.nan

    @property
    def best_step(self) -> int:
        """The round with the best metric; the last one where nothing judges."""
        return self._best_step if "valid" in self._parts else self.state.step

    @property
    def model(self) -> ModelText:
        return parse(self.state.text)

    @property
    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """`valid_METRIC` for every round and `train_METRIC` for every tenth."""
        named = {
            f"valid_{self._metric.name}": self.state.valid,
            f"train_{self._metric.name}": self.state.train,
        }
        return {
            name: [(int(step), value) for step, value in points] for name, points in named.items() if points
        }

    def run(self) -> None:
        """Boost until the metric stops getting better, the rounds are used up or no split helps.

        Raises:
            DataError: LightGBM refuses the data.
        """
        self._resume()
        if self.state.finished:
            return
        try:
            datasets = self._datasets()
            while not self.state.finished:
                self._boost(datasets)
        except lightgbm.basic.LightGBMError as error:
            raise DataError("LightGBM could not train on this data", why=str(error)) from error

    def _settings(self, params: Mapping[str, Any]) -> dict[str, Any]:
        fixed = {
            "boosting": "gbdt",
            "metric": "None",  # judged by Bessemer's own metrics, one definition for all learners
            "verbosity": -1,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": self._threads(),
            "data_random_seed": self._callbacks.seed("lightgbm/data"),
        }
        if self._problem.task == "multiclass":
            fixed["num_class"] = self._problem.classes
        if self._problem.quantile is not None:
            fixed["alpha"] = self._problem.quantile
        if self._problem.monotone is not None:
            fixed["monotone_constraints"] = list(self._problem.monotone)
        return {**params, **fixed}

    def _threads(self) -> int:
        """One where the work is small: handing it out would cost more. The model does not depend on it."""
        return self._callbacks.threads if self._parts["train"].X.size >= _WORTH_THREADS else 1

    def _datasets(self) -> dict[str, Any]:
        train = self._parts["train"]
        weight = self._problem.row_weights(train)
        found = {"train": lightgbm.Dataset(train.X, train.y, weight=weight, params=self._params).construct()}
        if valid := self._parts.get("valid"):
            found["valid"] = found["train"].create_valid(valid.X, valid.y, params=self._params).construct()
        return found

    # one segment ------------------------------------------------------------------------------------
    def _boost(self, datasets: Mapping[str, Any]) -> None:
        state, first = self.state, self.state.step
        booster = self._booster(datasets)
        end, text = first + self._callbacks.checkpoint, ""
        while not state.finished and state.step < end:
            if booster.update():  # no split helps any more
                state.finished = True
                break
            state.step += 1
            if state.step == end:
                text = booster.model_to_string()  # before `_at_the_end`, which takes the objective out of it
                self._judge(self._at_the_end(booster))
            else:
                self._judge(partial(_predictions, booster))
            state.finished = state.step >= self._rounds or self._stale() or self._callbacks.time_left() <= 0
        new = parse(text or booster.model_to_string())
        new = new.head(max(state.step - first, 0 if first else 1))  # a model has at least its constant trees
        state.text = (self.model.followed_by(new.trees) if first else new).text()
        state.segment += 1
        if state.finished:
            self._margins = {}
        self._checkpoints.save(vars(state), self._margins)

    def _booster(self, datasets: Mapping[str, Any]) -> Any:
        kinds = ("bagging_seed", "feature_fraction_seed", "extra_seed", "objective_seed")
        seeds = {kind: self._callbacks.seed(f"lightgbm/{self.state.segment}/{kind}") for kind in kinds}
        for name, margin in self._margins.items():
            datasets[name].set_init_score(margin)
        booster = lightgbm.Booster({**self._params, **seeds}, datasets["train"])
        if "valid" in datasets:
            booster.add_valid(datasets["valid"], "valid")
        return booster

    def _at_the_end(self, booster: Any) -> Callable[[str], np.ndarray]:
        """Keep the margins (N,) or (N, K) of every part for the next segment; gives the outputs of a part.

        Without an objective LightGBM gives its scores as they are and not as probabilities. It computes either
        once a round, so this comes before the round is judged.
        """
        booster.reset_parameter({"objective": "none"})
        self._margins = {name: _predictions(booster, name) for name in self._parts}
        task = self._problem.task
        return lambda name: output_of(task, self._margins[name].reshape(-1, self._problem.outputs))

    # judging ----------------------------------------------------------------------------------------
    def _judge(self, output: Callable[[str], np.ndarray]) -> None:
        """Put the metric of this round on the curves; `output` gives a part's probabilities or values."""
        step = self.state.step
        names = [name for name in self._parts if name == "valid" or step % _TRAIN_CURVE_EVERY == 0]
        for name in sorted(names):
            self._note(name, step, self._metric(self._parts[name].y, output(name)))

    def _note(self, part: str, step: int, value: float) -> None:
        if not math.isnan(value):
            (self.state.valid if part == "valid" else self.state.train).append([step, value])
            self._seen(part, step, value)

    def _seen(self, part: str, step: int, value: float) -> None:
        if part == "valid" and self._metric.better(value, self._best):
            self._best_step, self._best = step, value
        self._callbacks.on_round(f"{part}_{self._metric.name}", step, value)

    def _stale(self) -> bool:
        patience = self._callbacks.early_stopping
        return bool(patience and "valid" in self._parts and self.state.step - self.best_step >= patience)

    def _resume(self) -> None:
        saved = self._checkpoints.load()
        if saved is None:
            return
        self.state, self._margins = State(**saved[0]), saved[1]
        points = [(int(step), "train", value) for step, value in self.state.train]
        points += [(int(step), "valid", value) for step, value in self.state.valid]
        for step, part, value in sorted(points):
            self._seen(part, step, value)


def _predictions(booster: Any, part: str) -> np.ndarray:
    """What the booster itself says of a part, (N,) or (N, K) float64: LightGBM hands it to a metric."""
    caught: list[np.ndarray] = []

    def catch(predictions: np.ndarray, dataset: object) -> tuple[str, float, bool]:
        caught.append(predictions.copy())
        return "caught", 0.0, False

    (booster.eval_train if part == "train" else booster.eval_valid)(catch)
    return caught[0]


def margins_of(text: str, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """LightGBM's own margins of a model text: (N, F) float32 -> (N,) or (N, K') float64."""
    booster = lightgbm.Booster(model_str=text)

    def predict(X: np.ndarray) -> np.ndarray:
        found: np.ndarray = booster.predict(X, raw_score=True, num_threads=threads)
        return found

    return predict
