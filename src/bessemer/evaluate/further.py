"""The targets beside the main one: metrics with intervals on the test rows that have them, and their gates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import Fault, did_you_mean
from bessemer.core.further import Further, outputs_of
from bessemer.core.requirement import Gate
from bessemer.evaluate.check import unknown_targets
from bessemer.evaluate.compare import Comparison, Figure, Versus, about, as_json, compare, metric_names
from bessemer.evaluate.gates import required
from bessemer.evaluate.scoring import finite
from bessemer.evaluate.slices import MIN_ROWS
from bessemer.stats.metrics.outcome import Outcome, class_indices, classified, estimated
from bessemer.stats.metrics.table import METRICS, PRIMARY, Scorer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bessemer.core.signature import Task
    from bessemer.core.stage import Context
    from bessemer.evaluate.spec import EvaluateSpec

#: What a metric of float32 predictions can be off by, as a share of it.
_RESOLUTION = 4 * float(np.finfo(np.float32).eps)


@dataclass
class Said:
    """What a model says about its further targets, batch by batch."""

    further: tuple[Further, ...]
    _found: dict[str, list[NDArray[Any]]] = field(default_factory=dict)

    @property
    def outputs(self) -> tuple[str, ...]:
        return outputs_of(self.further)

    def take(self, made: Mapping[str, NDArray[Any]]) -> None:
        """The outputs of a batch."""
        for name in self.outputs:
            self._found.setdefault(name, []).append(made[name])

    def outcomes(
        self, truth: NDArray[np.float64], learnt: NDArray[np.float64]
    ) -> dict[str, tuple[Outcome, Outcome]]:
        """By target, on the rows that have it: the model's outcome, and that of a constant.

        truth, learnt: (N, T) float64 of test and training rows, NaN where a row has none.

        Raises:
            DataError: the model gave a number that is not finite.
        """
        return {
            one.name: (self._outcome(one, truth[:, i]), _constant(one, truth[:, i], learnt[:, i]))
            for i, one in enumerate(self.further)
        }

    def _outcome(self, one: Further, truth: NDArray[np.float64]) -> Outcome:
        rows = np.flatnonzero(np.isfinite(truth))
        said = np.concatenate(self._found[one.prediction])
        if one.task == "regression":
            return estimated(truth[rows], finite(f"the model's '{one.name}'", said.reshape(-1))[rows])
        shares = finite(f"the model's '{one.name}'", np.concatenate(self._found[one.probability]))
        predicted = class_indices(said, one.classes)
        return classified(one.task, truth[rows], shares[rows], predicted[rows])


def _constant(one: Further, truth: NDArray[np.float64], learnt: NDArray[np.float64]) -> Outcome:
    """What is said without looking at a row: the mean of the training rows, or the shares of their classes."""
    truth, learnt = truth[np.isfinite(truth)], learnt[np.isfinite(learnt)]
    if one.task == "regression":
        return estimated(truth, np.full(len(truth), learnt.mean()))
    counts = np.bincount(learnt.astype(np.int64), minlength=len(one.classes))
    return classified(one.task, truth, np.tile(counts / counts.sum(), (len(truth), 1)))


def further_faults(spec: EvaluateSpec, further: Sequence[Further]) -> Iterator[Fault]:
    """Gates that name no further target, or a metric that is not of its task."""
    tasks = {one.name: one.task for one in further}
    yield from unknown_targets(spec, list(tasks))
    for name, gates in spec.gates.targets.items():
        known = METRICS[tasks[name]] if name in tasks else {}
        for metric in gates.requirements() if known else ():
            if metric not in known:
                what, path = f"'{metric}' is not of a {tasks[name]} task", f"evaluate.gates.targets.{name}"
                yield Fault(f"{path}.{metric}", None, what, did_you_mean(metric, known))


def judge_further(
    spec: EvaluateSpec, outcomes: Mapping[str, tuple[Outcome, Outcome]], ctx: Context
) -> tuple[dict[str, dict[str, Any]], list[Gate]]:
    """`further` of `evaluation.json`, a mapping by target, and the gates of these targets.

    Of fewer test rows than a slice needs there are figures without intervals, nothing is told apart, and gates fail.
    """
    found: dict[str, dict[str, Any]] = {}
    gates: list[Gate] = []
    for name, (outcome, constant) in outcomes.items():
        asked = spec.gates.targets[name].requirements() if name in spec.gates.targets else {}
        task, main, few = outcome.task, PRIMARY[outcome.task], outcome.rows < MIN_ROWS
        found[name] = {"task": task, "metric": main, "rows": outcome.rows, "too_small": few}
        compared = _compared(spec, name, outcome, constant, list(asked), ctx)
        found[name] |= _content(task, compared)
        for metric, text in asked.items():
            gate = f"{name}.{metric}"
            why = f"too few test rows have {name}: {outcome.rows:,}, and {MIN_ROWS} are the least to judge by"
            judged = Gate(gate, text, None, False, why)
            gates.append(judged if few else required(gate, metric, text, compared.metrics[metric]))
    return found, gates


def _content(task: Task, compared: Comparison) -> dict[str, Any]:
    figures = compared.metrics.items()
    return {
        "metrics": {metric: {**as_json(figure), **about(task, metric)} for metric, figure in figures},
        "baselines": dict(compared.opponents),
        "versus": {name: _versus(versus, compared) for name, versus in compared.versus.items()},
    }


def _versus(versus: Versus, compared: Comparison) -> dict[str, Any]:
    """As JSON; what is less than the graph's numbers can hold apart is a tie, however surely it is there."""
    size = abs(compared.metrics[versus.metric].value)
    if abs(versus.difference) <= _RESOLUTION * size:
        return {**as_json(versus), "verdict": "tie"}
    return as_json(versus)


def _without_intervals(outcome: Outcome, constant: Outcome, names: Sequence[str]) -> Comparison:
    """The figures alone; none without a row."""
    if not outcome.rows:
        return Comparison({}, {}, {}, [])
    values, others = Scorer(outcome, names)().tolist(), Scorer(constant, names)().tolist()
    figures = {name: Figure(value, math.nan, math.nan) for name, value in zip(names, values, strict=True)}
    return Comparison(figures, {"constant": dict(zip(names, others, strict=True))}, {}, [])


def _compared(
    spec: EvaluateSpec, name: str, outcome: Outcome, constant: Outcome, gated: Sequence[str], ctx: Context
) -> Comparison:
    primary = PRIMARY[outcome.task]
    usual = metric_names(outcome.task, outcome.classes, primary, (), gated)
    if outcome.rows < MIN_ROWS:
        return _without_intervals(outcome, constant, usual)
    with ctx.progress(f"intervals of {name}", spec.replicates) as bar:
        return compare(
            outcome,
            usual,
            {"constant": constant},
            [],
            replicates=spec.replicates,
            confidence=spec.confidence,
            rng=ctx.rng("bootstrap", name),
            advance=bar.advance,
        )
