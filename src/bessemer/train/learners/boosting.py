"""Boosting round by round, whichever library grows the trees: segments, early stopping, a checkpoint after each.

A segment starts from nothing but the margins of the trees before it, with seeds of its own, so a run that
goes on from a checkpoint does the arithmetic of one that was never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bessemer.package.trees.codec import decode, encode
from bessemer.package.trees.model import Trees
from bessemer.train.checkpoint import Checkpoints
from bessemer.train.metrics import output_of

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem

#: Judging the training rows costs more than judging the validation rows, and their curve is smooth.
TRAIN_CURVE_EVERY = 10
#: Without validation rows nothing says when to stop; so many rounds are safe at the default learning rates.
ROUNDS_UNJUDGED = 200


class Engine(Protocol):
    """One library's boosting. Margins are (N, K') float32, the start included."""

    def begin(self, segment: int, margins: dict[str, np.ndarray]) -> None:
        """Start a segment from the margins of each part."""
        ...

    def step(self) -> bool:
        """Grow the trees of one round; false where no split helps any more."""
        ...

    def margins(self, part: str) -> np.ndarray:
        """The margins of a part after the last round."""
        ...

    def trees(self, rounds: int) -> Trees:
        """The trees of the segment's first rounds, their base 0."""
        ...


@dataclass
class State:
    """What is known after some rounds; the curves are [[step, value]...]."""

    segment: int = 0
    step: int = 0
    finished: bool = False
    valid: list[list[float]] = field(default_factory=list)
    train: list[list[float]] = field(default_factory=list)


class Boosting:
    """One fit.

    Args:
        parts: `train`, and `valid` where there are validation rows.
        base: (K',) the margin of a model without trees.
        name: of the checkpoint's file.
    """

    def __init__(
        self,
        engine: Engine,
        problem: Problem,
        parts: dict[str, Part],
        base: np.ndarray,
        callbacks: Callbacks,
        name: str,
    ) -> None:
        self._engine, self._problem, self._parts, self._callbacks = engine, problem, parts, callbacks
        rounds = callbacks.rounds
        self._rounds = rounds if "valid" in parts else min(rounds, ROUNDS_UNJUDGED)
        self._checkpoints = Checkpoints(Path(callbacks.workdir) / f"{name}.npz", callbacks.fingerprint)
        self._margins = {
            part: np.tile(base.astype(np.float32), (len(rows), 1)) for part, rows in parts.items()
        }
        self._trees = Trees((), base.astype(np.float64), parts["train"].X.shape[1])
        self.state = State()
        self._best_step, self._best = 0, math.nan

    @property
    def best_step(self) -> int:
        """The round with the best metric; the last one where nothing judges."""
        return self._best_step if "valid" in self._parts else self.state.step

    @property
    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """`valid_METRIC` for every round and `train_METRIC` for every tenth."""
        metric = self._problem.metric.name
        named = {f"valid_{metric}": self.state.valid, f"train_{metric}": self.state.train}
        return {name: [(int(s), v) for s, v in points] for name, points in named.items() if points}

    def run(self) -> tuple[Trees, int]:
        """Boost until the metric stops getting better; the trees up to the best round, and its number."""
        self._resume()
        while not self.state.finished:
            self._segment()
        kept = max(1, self.best_step)
        trees = self._trees.trees[: kept * self._problem.outputs]
        return replace(self._trees, trees=trees), kept

    def _segment(self) -> None:
        state, engine = self.state, self._engine
        engine.begin(state.segment, self._margins)
        first = state.step
        while not state.finished and state.step < first + self._callbacks.checkpoint:
            if not engine.step():
                state.finished = True
                break
            state.step += 1
            self._judge(engine.margins)
            out_of_time = self._callbacks.time_left() <= 0
            state.finished = state.step >= self._rounds or self._stale() or out_of_time
        grown = engine.trees(state.step - first)
        self._trees = replace(self._trees, trees=self._trees.trees + grown.trees)
        state.segment += 1
        self._margins = {} if state.finished else {part: engine.margins(part) for part in self._parts}
        self._save()

    def _judge(self, margins: Callable[[str], np.ndarray]) -> None:
        step, metric = self.state.step, self._problem.metric
        for part, rows in self._parts.items():
            if part == "valid" or step % TRAIN_CURVE_EVERY == 0:
                value = metric(rows.y, output_of(self._problem.task, margins(part).astype(np.float64)))
                if not math.isnan(value):
                    (self.state.valid if part == "valid" else self.state.train).append([step, value])
                    self._seen(part, step, value)

    def _seen(self, part: str, step: int, value: float) -> None:
        metric = self._problem.metric
        if part == "valid" and metric.better(value, self._best):
            self._best_step, self._best = step, value
        self._callbacks.on_round(f"{part}_{metric.name}", step, value)

    def _stale(self) -> bool:
        patience = self._callbacks.early_stopping
        return bool(patience and "valid" in self._parts and self.state.step - self.best_step >= patience)

    def _save(self) -> None:
        content = np.frombuffer(encode(self._trees), dtype=np.uint8)
        margins = {f"margin.{part}": values for part, values in self._margins.items()}
        self._checkpoints.save(vars(self.state), {"trees": content, **margins})

    def _resume(self) -> None:
        saved = self._checkpoints.load()
        if saved is None:
            return
        state, arrays = saved
        self.state = State(**state)
        self._trees = decode(arrays.pop("trees").tobytes())
        self._margins = {name.removeprefix("margin."): values for name, values in arrays.items()}
        points: list[tuple[int, str, Any]] = [(int(s), "train", v) for s, v in self.state.train]
        points += [(int(s), "valid", v) for s, v in self.state.valid]
        for step, part, value in sorted(points):
            self._seen(part, step, value)
