"""Training of the network: batches, schedules, the best epoch, checkpoints of every value.

Everything random comes from the number of the epoch or of the step, so a checkpoint needs no generator's state.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bessemer.core import canonical
from bessemer.package.graph import serialize
from bessemer.train.checkpoint import Checkpoints
from bessemer.train.learner import Native
from bessemer.train.learners.constant import prior
from bessemer.train.learners.mlp_adam import AdamW
from bessemer.train.learners.mlp_net import LR_FACTORS, Net, Scaling
from bessemer.train.learners.mlp_onnx import to_onnx
from bessemer.train.learners.mlp_schedule import Progress, regularisation
from bessemer.train.metrics import output_of
from bessemer.train.native_model import HeadModel
from bessemer.train.network_target import Target

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem

_ROWS_IN_ALL, _EPOCHS = 1_000_000, (12, 256)
_LARGE_TABLE = 50_000
#: Rows the first weights are scaled by, and rows judged at once.
_START_ROWS, _JUDGED_AT_ONCE = 4096, 2048
#: How long a run may go without a checkpoint.
_SAVE_SECONDS = 20.0
#: Patience may end the training only where the learning rate is below this share of its highest value: between the ends
#: of its waves the metric is always worse, and says nothing.
_LOW_RATE = 0.1
#: Metrics that look at labels and not at probabilities: there, smoothed labels help.
_OF_LABELS = frozenset({"accuracy", "balanced_accuracy", "mcc", "f1", "f1_macro", "precision", "recall"})


def fit(
    problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
) -> HeadModel:
    """One fit, from the first weights to the graph."""
    # Sums of several threads depend on their number, and batches this small gain little from them. It is not set back:
    # fits may go on beside this one, and the setting is the process's.
    torch.set_num_threads(1)
    training = Training(problem, train, valid, _chosen(problem, len(train), params), callbacks)
    training.run()
    return training.model()


def _chosen(problem: Problem, rows: int, params: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter with its value; those that depend on the data are decided here."""
    numbers = problem.task == "regression"
    by_data = {
        "epochs": min(max(_ROWS_IN_ALL // rows, _EPOCHS[0]), _EPOCHS[1]),
        "batch_size": 256 if rows < _LARGE_TABLE else 512,
        "activation": "mish" if numbers else "selu",
        "learning_rate": 0.2 if numbers else 0.04,
        "label_smoothing": 0.1 if problem.metric.name in _OF_LABELS and not numbers else 0.0,
    }
    return {name: by_data[name] if value is None else value for name, value in params.items()}


@dataclass
class State:
    """What is known after some epochs; valid is [[epoch, metric]...], losses that of the training."""

    epoch: int = 0
    best_epoch: int = 0
    finished: bool = False
    valid: list[list[float]] = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)


class Training:
    """One network in training."""

    def __init__(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> None:
        self._problem, self._valid, self._params, self._callbacks = problem, valid, params, callbacks
        self.scaling = Scaling.of(train.X)
        self._rows, self._judged = self.scaling.apply(train.X), self.scaling.apply(valid.X)
        self.target = Target.of(problem, train)
        self._baseline = np.where(np.isfinite(train.X).any(axis=0), self.scaling.median, np.nan)
        self.net = Net(self.scaling.inputs, problem.outputs, self._prior(train), params)
        self._optimizer = AdamW(self.net.kinds())
        self._batch = min(params["batch_size"], len(train))
        per_epoch, epochs = len(train) // self._batch, min(params["epochs"], callbacks.rounds)
        self.progress = Progress(epochs * per_epoch, per_epoch)
        self.state, self._best = State(), math.nan
        self._best_values: dict[str, np.ndarray] = {}
        self._loss_sum = 0.0
        self._seed = callbacks.seed("mlp")
        path = Path(callbacks.workdir) / "mlp.npz"
        self._checkpoints = Checkpoints(path, callbacks.fingerprint)

    def _prior(self, train: Part) -> np.ndarray:
        """(K',) the margins of a model without features, in the network's unit."""
        mean, spread = self.target.scale
        return (prior(self._problem, train.y, self._problem.row_weights(train)) - mean) / spread

    def run(self) -> None:
        """Train until the schedule or the time is over, or nothing gets better."""
        if not self._resume():
            self._begin()
        self.progress.begin(self._callbacks.time_left)
        saved_at, saved_epoch = time.monotonic(), self.state.epoch
        while not self.state.finished:
            order = self._order(self.state.epoch)
            over = False
            while not over:
                self._step(order)
                over = not self.progress.step % self.progress.per_epoch or self.progress.finished
                over = over or self.progress.out_of_time
                if not over and time.monotonic() - saved_at > _SAVE_SECONDS:
                    self._save()
                    saved_at = time.monotonic()
            self._judge()
            due = self.state.epoch - saved_epoch >= self._callbacks.checkpoint
            if due or self.state.finished or time.monotonic() - saved_at > _SAVE_SECONDS:
                self._save()
                saved_at, saved_epoch = time.monotonic(), self.state.epoch

    def _begin(self) -> None:
        """The first weights: the network says the prior."""
        rows = torch.from_numpy(self._order(0)[:_START_ROWS])
        generator = self._generator("start")
        self.net.start(self._rows[rows], self._params["embedding_sigma"], generator)

    def model(self) -> HeadModel:
        """The best epoch as a graph."""
        self.net.restore(self._best_values)
        graph = serialize(to_onnx(self.net, self.scaling, self.target.scale, self.target.bounds))
        baseline = [None if math.isnan(v) else float(v) for v in self._baseline]
        content = canonical.dump_bytes({"baseline": baseline}) + b"\n" + graph
        metric = self._problem.metric.name
        named = {f"valid_{metric}": self.state.valid, "train_loss": self.state.losses}
        curves = {name: [(int(e), v) for e, v in points] for name, points in named.items() if points}
        return HeadModel(Native("head", "mlp.head", content), self._params, self.state.best_epoch, curves)

    # one step ---------------------------------------------------------------------------------------
    def _generator(self, label: str) -> torch.Generator:
        return torch.Generator().manual_seed(self._callbacks.seed(f"mlp/{label}"))

    def _order(self, epoch: int) -> np.ndarray:
        """The rows of an epoch, (N,) int64; those that do not fill a batch are left out."""
        return np.random.default_rng([self._seed, epoch]).permutation(len(self._rows))

    def _step(self, order: np.ndarray) -> None:
        progress, params = self.progress, self._params
        first = progress.step % progress.per_epoch * self._batch
        rows = torch.from_numpy(order[first : first + self._batch])
        kept = regularisation(progress.at)
        rate = params["learning_rate"] * progress.rate
        rng = np.random.Generator(np.random.SFC64([self._seed, progress.step])) if params["dropout"] else None
        output = self.net(self._rows[rows], params["dropout"] * kept, rng)
        loss = (self._losses(output, self.target.values[rows]) * self.target.weight[rows]).mean()
        loss.backward()
        self._optimizer.step(
            lambda kind: rate * LR_FACTORS[kind],
            lambda kind: 0.0 if kind == "bias" else params["weight_decay"] * kept,
        )
        self._loss_sum += loss.item()
        progress.advance()

    def _losses(self, output: Tensor, target: Tensor) -> Tensor:
        """(N,): cross-entropy, squared error, or the pinball loss of a quantile."""
        smoothing, quantile = self._params["label_smoothing"], self._problem.quantile
        if self._problem.task == "binary":
            smooth = target * (1 - smoothing) + smoothing / 2
            return functional.binary_cross_entropy_with_logits(output[:, 0], smooth, reduction="none")
        if self._problem.task == "multiclass":
            return functional.cross_entropy(output, target, reduction="none", label_smoothing=smoothing)
        short = target - output[:, 0]
        if quantile is None:
            return short**2
        return torch.maximum(quantile * short, (quantile - 1) * short)

    # judging ----------------------------------------------------------------------------------------
    def margin(self, rows: Tensor) -> np.ndarray:
        """Scaled rows (N, F) -> (N, K') float64, by torch."""
        with torch.no_grad():
            parts = [self.net(part).numpy() for part in rows.split(_JUDGED_AT_ONCE)]
        return self.target.margin(np.concatenate(parts))

    def _judge(self) -> None:
        """The end of an epoch, which the time may have cut short."""
        state, progress = self.state, self.progress
        state.epoch += 1
        steps = progress.step % progress.per_epoch or progress.per_epoch
        if math.isfinite(self._loss_sum):
            state.losses.append([state.epoch, float(f"{self._loss_sum / steps:.9g}")])
        self._loss_sum = 0.0
        if not self.net.finite():  # it ran away; what was good before ships
            if self._best_values:
                self.net.restore(self._best_values)
            else:
                self._begin()
            state.finished = True
        if len(self._valid):
            output = output_of(self._problem.task, self.margin(self._judged))
            value = self._problem.metric(self._valid.y, output)
            if not math.isnan(value):
                state.valid.append([state.epoch, value])
            self._seen(state.epoch, value)
        else:
            state.best_epoch, self._best_values = state.epoch, self.net.arrays()
        state.finished = state.finished or progress.finished or progress.out_of_time or self._stale()

    def _seen(self, epoch: int, value: float) -> None:
        metric = self._problem.metric
        if not self._best_values or metric.better(value, self._best):
            self.state.best_epoch, self._best = epoch, value
            self._best_values = self.net.arrays()
        if not math.isnan(value):
            self._callbacks.on_round(f"valid_{metric.name}", epoch, value)

    def _stale(self) -> bool:
        patience = self._callbacks.early_stopping if len(self._valid) else 0
        low = self.progress.rate < _LOW_RATE
        return bool(patience and low and self.state.epoch - self.state.best_epoch >= patience)

    # going on after a kill --------------------------------------------------------------------------
    def _save(self) -> None:
        arrays = {f"net.{name}": value for name, value in self.net.arrays().items()}
        arrays |= {f"best.{name}": value for name, value in self._best_values.items()}
        arrays |= {f"adam.{name}": value for name, value in self._optimizer.arrays().items()}
        arrays["at"] = np.array([self.progress.at, self._best, self._loss_sum])
        state = {"state": asdict(self.state), "step": self.progress.step, "cycles": self.progress.cycles}
        self._checkpoints.save(state, arrays)

    def _resume(self) -> bool:
        saved = self._checkpoints.load()
        if saved is None:
            return False
        state, arrays = saved
        self.state = State(**state["state"])
        self.progress.step, self.progress.cycles = state["step"], state["cycles"]
        self.progress.at, self._best, self._loss_sum = (float(v) for v in arrays.pop("at"))
        kinds: dict[str, dict[str, np.ndarray]] = {}
        for name, value in arrays.items():
            kind, _, own = name.partition(".")
            kinds.setdefault(kind, {})[own] = value
        self.net.restore(kinds.pop("net"))
        self._best_values = kinds.pop("best", {})
        self._optimizer.restore(kinds["adam"])
        for epoch, metric in self.state.valid:
            self._callbacks.on_round(f"valid_{self._problem.metric.name}", int(epoch), metric)
        return True
