"""One fit: the network is built, checked, trained and written as a graph."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bessemer._version import __version__
from bessemer.core import canonical
from bessemer.core.errors import UsageError
from bessemer.package.cut import extract
from bessemer.package.graph import serialize
from bessemer.train.checkpoint import Checkpoints
from bessemer.train.learner import Native
from bessemer.train.learners.constant import prior
from bessemer.train.native_model import HeadModel
from bessemer.train.network_target import Target
from bessemer.train.networks.augment import Augment
from bessemer.train.networks.batch import Loss
from bessemer.train.networks.choice import encoders_of, kind_of, opened
from bessemer.train.networks.encoders.paths import located
from bessemer.train.networks.export import to_onnx
from bessemer.train.networks.feed import Feed
from bessemer.train.networks.finder import found_rate
from bessemer.train.networks.inputs import Inputs, sampled
from bessemer.train.networks.judge import Judge
from bessemer.train.networks.net import Net, Shipped, build
from bessemer.train.networks.objective import Objective, Plan
from bessemer.train.networks.overfit import check_learns
from bessemer.train.networks.plugins import OBJECTIVES
from bessemer.train.networks.private import is_private, private_facts, promise
from bessemer.train.networks.private_noise import step_key
from bessemer.train.networks.private_secret import run_secret
from bessemer.train.networks.sampler import SAMPLERS
from bessemer.train.networks.step import Stepper
from bessemer.train.networks.training import Training
from bessemer.train.networks.values import arrays_of, restore

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem

_ROWS_IN_ALL, _EPOCHS = 300_000, (10, 60)
_RATES = {"adamw": 2e-3, "sgd": 0.05}
_PRIVATE_RATES = {"adamw": 5e-3, "sgd": 0.5}


def fit(
    problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
) -> HeadModel:
    """From the first weights to the graph.

    Raises:
        UsageError: see `Network.fit`.
    """
    # Sums of several threads depend on their number. It is not set back: fits may go on beside this one, and the
    # setting is the process's.
    torch.set_num_threads(params["threads"])
    own = Fit(problem, train, valid, chosen(len(train), params), callbacks)
    own.run()
    return own.model()


def chosen(rows: int, params: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter with its value; those that depend on the data are decided here."""
    by_data = {
        "epochs": min(max(_ROWS_IN_ALL // rows, _EPOCHS[0]), _EPOCHS[1]),
        "batch_size": 64 if rows < 5000 else 128 if rows < 50_000 else 256,
        "learning_rate": _RATES[params["optimizer"]],
    }
    if is_private(kind_of(params["objective"], OBJECTIVES)):  # noise is the same, however many rows share it
        by_data |= {
            "batch_size": min(max(rows // 4, 1), 1024),
            "learning_rate": _PRIVATE_RATES[params["optimizer"]],
        }
    return {name: by_data.get(name) if value is None else value for name, value in params.items()}


class Fit:
    """What belongs to one fit."""

    def __init__(
        self, problem: Problem, train: Part, valid: Part, params: dict[str, Any], callbacks: Callbacks
    ) -> None:
        _check(problem, params)
        self._params, self._callbacks, self._problem = params, callbacks, problem
        kind = kind_of(params["objective"], OBJECTIVES)
        self._private = is_private(kind)
        self._target = _target(problem, train, params["objective"], private=self._private)
        self._further = further_targets(problem, train)
        seed = callbacks.seed("network")
        self.inputs = Inputs(problem.blocks, sampled(train.X, seed), params["squeeze"])
        self.net = self._built(train)
        own = self._secret(seed) if self._private else seed
        step_rows = min(params["batch_size"] * params["accumulate"], len(train))
        epochs = min(params["epochs"], callbacks.rounds)
        sampler = SAMPLERS[kind.SAMPLER or params["sampler"]](train.y, step_rows, own)
        plan = Plan(len(train), step_rows, epochs * sampler.per_epoch, own)
        self._objective: Objective = opened(params["objective"], OBJECTIVES, plan)
        self._loss = Loss.of(problem, params["label_smoothing"])
        augment, size = Augment.of(params), params["batch_size"]
        self.feed = Feed(
            train.X, self._target, sampler, size, augment, problem.blocks, seed, tuple(self._further)
        )
        self.training = self._trained(valid, f"{callbacks.fingerprint}{self._mark(own)}")

    def _built(self, train: Part) -> Net:
        """The network, which says the priors."""
        mean, spread = self._target.scale
        first = (prior(self._problem, train.y, self._problem.row_weights(train)) - mean) / spread
        if self._private:
            first = np.zeros_like(first)
        priors = [np.asarray(first), *first_further(self._problem, self._further)]
        generator = torch.Generator().manual_seed(self._callbacks.seed("network/start"))
        params = located(self._params, self._callbacks.project_dir)
        encoders = encoders_of(self.inputs.sources, params)
        return build(self.inputs, encoders, priors, self._params, generator)

    def _secret(self, seed: int) -> int:
        """What noise and rows of private training follow from: another wherever a step could be another."""
        start = hashlib.sha256()
        for name, values in sorted(arrays_of(self.net).items()):
            start.update(
                f"{name} {values.dtype} {values.shape}".encode() + np.ascontiguousarray(values).tobytes()
            )
        return run_secret(
            {
                "fingerprint": self._callbacks.fingerprint,
                "seed": seed,
                "params": self._params,
                "rounds": self._callbacks.rounds,
                "start": start.hexdigest(),
                "versions": [__version__, torch.__version__],
            }
        )

    def _mark(self, secret: int) -> str:
        """Names the secret in the checkpoint, so that a run with another one does not go on there."""
        return f"/{step_key(secret, 'checkpoint', 0).hex()}" if self._private else ""

    def _trained(self, valid: Part, fingerprint: str) -> Training:
        """The training before its first step."""
        place = Path(self._callbacks.workdir) / "network.npz"
        return Training(
            self.net,
            Stepper(self.net, self._objective, self._loss, self._params),
            self.feed,
            Judge(self._problem, valid, self._target),
            self._params,
            self._problem.metric.name,
            Checkpoints(place, fingerprint),
            self._callbacks,
        )

    def run(self) -> None:
        training = self.training
        if not training.resume():
            training.state.learning_rate = self._rate()
            if self._params["check"] != "none" and not self._private:
                self._check_learns(training.state.learning_rate)
        training.run()
        if private := private_facts(self._objective, training.progress.step):
            self._callbacks.note(promise(private))
        if skipped := training.skipped:
            self._callbacks.note(f"{skipped} steps were left out: their loss or gradient was not finite")
        if training.judge.blind:
            name = self._problem.metric.name
            self._callbacks.note(
                f"{name} of the validation rows was of no epoch a number: the last epoch ships"
            )

    def _check_learns(self, rate: float) -> None:
        time_left = self._callbacks.time_left
        found = check_learns(self.net, self.feed, self._loss, self._params, rate, time_left)
        if self._params["check"] == "stop":
            found.demand()
        self._callbacks.note(str(found))

    def _rate(self) -> float:
        """The highest learning rate, by a trial where that is asked for."""
        asked = self._params["learning_rate"]
        if asked != "auto":
            return float(asked)
        found = found_rate(
            self.net, self.feed, self._objective, self._loss, self._params, self._callbacks.time_left
        )
        rate = found or _RATES[self._params["optimizer"]]
        how = "found by a trial" if found else "the usual one: the loss of the trial never fell"
        self._callbacks.note(f"learning rate {rate:g}, {how}")
        return rate

    def model(self) -> HeadModel:
        """The best epoch as a graph."""
        judge, state = self.training.judge, self.training.state
        restore(self.net, judge.best)
        shipped, names = Shipped(self.net, (self._target, *self._further)), self._problem.scores
        made = to_onnx(shipped, len(self.inputs.baseline), scores=names)
        whole = serialize(made) if self._further else b""
        graph = serialize(extract(made, list(made.graph.input), names[:1]) if whole else made)
        baseline = [None if math.isnan(v) else float(v) for v in self.inputs.baseline]
        content = canonical.dump_bytes({"baseline": baseline}) + b"\n" + graph
        params = {**self._params, "learning_rate": state.learning_rate}
        curves = {name: [(int(e), v) for e, v in points] for name, points in sorted(state.curves.items())}
        native = Native("head", "network.head", content)
        private = private_facts(self._objective, self.training.progress.step)
        return HeadModel(native, params, judge.best_epoch, curves, private, whole)


def _target(problem: Problem, train: Part, objective: Any, *, private: bool) -> Target:
    if not private:
        return Target.of(problem, train)
    settings = next(iter(objective.values())) if isinstance(objective, Mapping) else {}
    found = (settings or {}).get("target_range")
    return Target.public(problem, train, None if found is None else (float(found[0]), float(found[1])))


def first_further(problem: Problem, targets: Sequence[Target]) -> list[np.ndarray]:
    """What the heads of further targets say first, in the unit that each is learnt in: the prior."""
    found = []
    for one, target in zip(problem.further, targets, strict=True):
        own = replace(problem, task=one.task, classes=len(one.classes), quantile=None)
        found.append(
            prior(own, target.values.numpy().astype(np.float64), target.weight.numpy().astype(np.float64))
        )
    return found


def further_targets(problem: Problem, train: Part) -> list[Target]:
    """What is learnt in place of each further target.

    Raises:
        DataError: see `Target.of_further`.
    """
    if not problem.further:
        return []
    assert train.further is not None
    columns = zip(problem.further, train.further.T, strict=True)
    return [Target.of_further(one, values, train.weight) for one, values in columns]


def _check(problem: Problem, params: Mapping[str, Any]) -> None:
    """Raises UsageError for parameters that the problem does not allow."""
    if params["mixup"] and any(block.kind == "tokens" for block in problem.blocks):
        raise UsageError(
            f"mixup: {params['mixup']:g} and a text do not go together",
            why="half of one word and half of another is no word",
            fix="leave `mixup` out",
        )
    if params["sampler"] == "balanced" and problem.task == "regression":
        raise UsageError(
            "sampler: balanced is for classes, and the target is a number", fix="leave `sampler` out"
        )
