"""The loop: epochs of steps, the metric after each, the best of them kept, and a checkpoint of every value.

Everything random follows from the run's seed and the number of the step, so a checkpoint needs no generator's state
and a killed training goes on bit for bit, in the middle of an epoch too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.train.learners.mlp_schedule import Progress
from bessemer.train.networks.average import Average
from bessemer.train.networks.feed import Feed
from bessemer.train.networks.judge import Judge
from bessemer.train.networks.net import Net
from bessemer.train.networks.schedule import rate
from bessemer.train.networks.step import Stepper
from bessemer.train.networks.values import arrays_of, restore

if TYPE_CHECKING:
    from bessemer.train.checkpoint import Checkpoints
    from bessemer.train.learner import Callbacks

#: Seconds without a checkpoint are at least so many times what the last one took.
_SAVING_AT_MOST = 20.0


@dataclass
class State:
    """What is known after some steps.

    curves: by name the points [epoch, value]. loss, counted: sum over the steps of this epoch that were taken.
    learning_rate: the highest; 0 until it is known.
    """

    epoch: int = 0
    finished: bool = False
    learning_rate: float = 0.0
    loss: float = 0.0
    counted: int = 0
    curves: dict[str, list[list[float]]] = field(default_factory=dict)


class Training:
    """One network in training.

    stepper: holds the network whose weights move; what is judged and shipped is `judged`, their average where asked.
    """

    def __init__(
        self,
        net: Net,
        stepper: Stepper,
        feed: Feed,
        judge: Judge,
        params: Mapping[str, Any],
        metric: str,
        checkpoints: Checkpoints,
        callbacks: Callbacks,
    ) -> None:
        self._net, self.stepper, self._feed, self.judge = net, stepper, feed, judge
        self._params, self._metric = params, metric
        self._checkpoints, self._callbacks = checkpoints, callbacks
        self._average = Average(net, params["ema"]) if params["ema"] else None
        per_epoch, epochs = feed.sampler.per_epoch, min(params["epochs"], callbacks.rounds)
        self.progress = Progress(epochs * per_epoch, per_epoch, cycles=1)
        self.state = State()
        self._saved_at, self._saved_epoch, self._saving = 0.0, 0, 0.0

    @property
    def judged(self) -> Net:
        return self._net if self._average is None else self._average.net

    @property
    def skipped(self) -> int:
        """Steps whose loss or gradient was not finite."""
        return self.stepper.guard.skipped

    def run(self) -> None:
        """Train until the schedule or the time is over, or nothing gets better."""
        self.progress.begin(self._callbacks.time_left)
        self._saved_at, self._saved_epoch = time.monotonic(), self.state.epoch
        while not self.state.finished:
            while not self.step():
                if self._due():
                    self._save()
            self._end_epoch()
            if self._due() or self.state.epoch - self._saved_epoch >= self._callbacks.checkpoint:
                self._save()
        self._save()

    # one step ---------------------------------------------------------------------------------------
    def step(self) -> bool:
        """Take a step; whether the epoch is over with it."""
        progress, state = self.progress, self.state
        factor = rate(self._params["schedule"], self._params["warmup"], self._at())
        before = self.stepper.guard.skipped
        loss = self.stepper.take(self._feed.parts(progress.step), progress.step, state.learning_rate * factor)
        progress.advance()
        if self.stepper.guard.skipped == before:
            state.loss, state.counted = state.loss + loss, state.counted + 1
            if self._average is not None:
                self._average.update(progress.step)
        over = not progress.step % progress.per_epoch or progress.finished
        return over or progress.out_of_time or self.stepper.guard.given_up

    def _at(self) -> float:
        """How far training is in the middle of this step: neither the first nor the last has a rate of 0."""
        return self.progress.at + 0.5 / self.progress.total

    # the end of an epoch ----------------------------------------------------------------------------
    def _end_epoch(self) -> None:
        state, guard = self.state, self.stepper.guard
        state.epoch += 1
        if state.counted and self.stepper.tells:
            self._point("train_loss", state.loss / state.counted)
        state.loss, state.counted = 0.0, 0
        value = self.judge.look(self.judged, state.epoch)
        if not math.isnan(value):
            self._point(f"valid_{self._metric}", value)
        self._point("learning_rate", state.learning_rate * rate(
            self._params["schedule"], self._params["warmup"], self.progress.at
        ))  # fmt: skip
        if guard.skipped:
            self._point("skipped_steps", guard.skipped)
        over = self.progress.finished or self.progress.out_of_time
        state.finished = over or guard.given_up or self._stale(value)

    def _point(self, name: str, value: float) -> None:
        value = float(f"{value:.9g}")
        self.state.curves.setdefault(name, []).append([self.state.epoch, value])
        self._callbacks.on_round(name, self.state.epoch, value)

    def _stale(self, value: float) -> bool:
        patience = 0 if math.isnan(value) else self._callbacks.early_stopping
        return bool(patience) and self.state.epoch - self.judge.best_epoch >= patience

    # going on after a kill --------------------------------------------------------------------------
    def _due(self) -> bool:
        """Whether enough steps or seconds went by. It decides when to save and nothing else."""
        every = self._params["checkpoint_steps"]
        seconds = max(self._params["checkpoint_seconds"], _SAVING_AT_MOST * self._saving)
        by_steps = every is not None and not self.progress.step % every
        return by_steps or time.monotonic() - self._saved_at > seconds

    def _save(self) -> None:
        begin = time.monotonic()
        arrays = {f"net.{name}": value for name, value in arrays_of(self._net).items()}
        arrays |= {f"optimizer.{name}": value for name, value in self.stepper.optimizer.arrays().items()}
        arrays |= {f"best.{name}": value for name, value in self.judge.best.items()}
        if self._average is not None:
            arrays |= {f"average.{name}": value for name, value in arrays_of(self._average.net).items()}
        arrays["at"] = np.array([self.progress.at, self.judge.value])
        guard = self.stepper.guard
        self._checkpoints.save(
            {
                "state": asdict(self.state),
                "step": self.progress.step,
                "best_epoch": self.judge.best_epoch,
                "skipped": [guard.skipped, guard.in_a_row],
            },
            arrays,
        )
        self._saved_at, self._saved_epoch = time.monotonic(), self.state.epoch
        self._saving = self._saved_at - begin

    def resume(self) -> bool:
        """Go on where a killed run of this fit was; False where there was none."""
        saved = self._checkpoints.load()
        if saved is None:
            return False
        found, arrays = saved
        self.state = State(**found["state"])
        self.progress.step, self.judge.best_epoch = found["step"], found["best_epoch"]
        self.stepper.guard.skipped, self.stepper.guard.in_a_row = found["skipped"]
        self.progress.at, self.judge.value = (float(v) for v in arrays.pop("at"))
        parts: dict[str, dict[str, np.ndarray]] = {}
        for name, value in arrays.items():
            part, _, own = name.partition(".")
            parts.setdefault(part, {})[own] = value
        restore(self._net, parts["net"])
        self.stepper.optimizer.restore(parts["optimizer"])
        self.judge.best = parts.get("best", {})
        if self._average is not None:
            restore(self._average.net, parts["average"])
        for name, points in self.state.curves.items():
            for epoch, told in points:
                self._callbacks.on_round(name, int(epoch), told)
        return True
