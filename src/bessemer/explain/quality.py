"""How good predictions are, in the model's own metric, for permutation importance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from bessemer.core.signature import Task
from bessemer.stats.metrics.outcome import classified, estimated
from bessemer.stats.metrics.table import METRICS, PRIMARY, Metric, Scorer

if TYPE_CHECKING:
    from bessemer.explain.sample import Floats, Sample
    from bessemer.stats.arrays import Ints


@dataclass(frozen=True)
class Quality:
    """The metric that permutation importance is measured in.

    >>> quality = Quality("binary", METRICS["binary"]["accuracy"])
    >>> quality(np.array([0.0, 1.0]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    0.5
    """

    task: Task
    metric: Metric

    @property
    def output(self) -> Literal["score", "probability"]:
        """The output of the graph that the metric needs."""
        return "score" if self.task == "regression" else "probability"

    @property
    def needs_said(self) -> bool:
        """Whether it judges the class that the graph says: of two classes, its threshold may be any."""
        return self.task == "binary" and self.metric.needs == "label"

    def __call__(self, actual: Floats, output: Floats, said: Ints | None = None) -> float:
        """The metric of N rows; `output` is (N, K) as the graph gives it. NaN where it is not defined.

        said: the class index (N,) that the graph says; from a probability of 0.5 on where it is left out.
        """
        return float(self.scorer(actual, output, said)()[0])

    def scorer(self, actual: Floats, output: Floats, said: Ints | None = None) -> Scorer:
        """The metric of the same rows, ready for any number of weightings of them."""
        if self.task == "regression":
            outcome = estimated(actual, output[:, 0])
        else:
            outcome = classified(self.task, actual, output, said)
        return Scorer(outcome, [self.metric.name])

    def loss(self, before: float, after: float) -> float:
        """How much worse `after` is than `before`; negative where it is better."""
        return float(self.metric.gain(before - after))


def quality_for(task: str, wanted: str, sample: Sample) -> Quality:
    """The metric `wanted`; where it is not defined on the sample (one class only), log loss or RMSE."""
    kind = cast(Task, task)
    known = METRICS[kind]
    quality = Quality(kind, known.get(wanted, known[PRIMARY[kind]]))
    if np.isnan(quality(sample.actual, getattr(sample, quality.output), sample.said)):
        quality = Quality(kind, known["rmse" if kind == "regression" else "log_loss"])
    return quality


def mean_interval(values: Sequence[float] | Floats) -> tuple[float, float]:
    """The 95% t interval of the mean of two or more values.

    >>> [round(v, 3) for v in mean_interval([1.0, 2.0, 3.0])]
    [-0.484, 4.484]
    """
    from scipy.special import stdtrit

    n = len(values)
    half = float(stdtrit(n - 1, 0.975)) * float(np.std(values, ddof=1)) / n**0.5
    mean = float(np.mean(values))
    return mean - half, mean + half
