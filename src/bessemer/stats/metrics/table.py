"""The table of metrics.

A metric is a function of a *summary*: a curve, a confusion matrix, weighted sums. A summary is prepared once
from an outcome and computed once for each set of weights, whatever the number of metrics that read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bessemer.core.errors import UsageError, did_you_mean
from bessemer.core.signature import Task
from bessemer.stats import confusion, errors, ranking, reliability
from bessemer.stats.arrays import Floats, Weights, ratio, total, weighted
from bessemer.stats.metrics.outcome import Outcome

Summary = Callable[[Weights], Any]


@dataclass(frozen=True)
class Metric:
    """A metric of a task.

    summary: the key of `SUMMARIES` that it reads; needs: what a model must give for it (probability or label).
    value: summary -> figure; NaN where the metric is not defined (one class only, constant truth).
    """

    name: str
    summary: str
    value: Callable[[Any], float]
    greater_is_better: bool
    meaning: str

    @property
    def needs(self) -> str:
        return "label" if self.summary in ("confusion", "moments", "median") else "probability"

    def gain(self, difference: Floats | float) -> Any:
        """A difference turned so that above zero means better."""
        return difference if self.greater_is_better else -difference


def _table(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


def _mean_log_loss(sums: Mapping[str, float]) -> float:
    return ratio(sums["log_loss"], sums["weight"])


def _mean_brier(sums: Mapping[str, float]) -> float:
    return ratio(sums["brier"], sums["weight"])


_ECE = reliability.expected_calibration_error
_LOG_LOSS = Metric(
    "log_loss", "losses", _mean_log_loss, False, "mean -log probability of the true class, in nats"
)
_ACCURACY = Metric("accuracy", "confusion", confusion.accuracy, True, "share of rows with the right class")
_BALANCED = Metric(
    "balanced_accuracy", "confusion", confusion.balanced_accuracy, True, "mean recall of the classes"
)
_MCC = Metric("mcc", "confusion", confusion.matthews, True, "correlation of truth and prediction (Matthews)")

METRICS: Mapping[Task, Mapping[str, Metric]] = {
    "binary": _table(
        Metric("roc_auc", "curve", ranking.roc_auc, True, "chance that a positive scores above a negative"),
        Metric(
            "average_precision", "curve", ranking.average_precision, True, "area under precision and recall"
        ),
        _LOG_LOSS,
        Metric("brier", "losses", _mean_brier, False, "mean squared error of the probability"),
        _ACCURACY,
        _BALANCED,
        Metric(
            "precision", "confusion", confusion.precision, True, "share of called positives that are positive"
        ),
        Metric("recall", "confusion", confusion.recall, True, "share of positives that are found"),
        Metric("f1", "confusion", confusion.f1, True, "harmonic mean of precision and recall"),
        _MCC,
        Metric("ece", "bins", _ECE, False, "mean gap between probability and frequency, 15 bins"),
    ),
    "multiclass": _table(
        _LOG_LOSS,
        Metric("roc_auc", "curves", ranking.macro_roc_auc, True, "mean one-vs-rest area under the ROC curve"),
        _ACCURACY,
        _BALANCED,
        Metric("f1_macro", "confusion", confusion.f1_macro, True, "mean F1 of the classes"),
        _MCC,
        Metric(
            "brier", "losses", _mean_brier, False, "mean squared distance of the probabilities to the truth"
        ),
        Metric("ece", "bins", _ECE, False, "mean gap between confidence and accuracy, 15 bins"),
    ),
    "regression": _table(
        Metric("rmse", "moments", errors.rmse, False, "root mean squared error, in the target's unit"),
        Metric("mae", "moments", errors.mae, False, "mean absolute error, in the target's unit"),
        Metric("median_ae", "median", float, False, "median absolute error, in the target's unit"),
        Metric("r2", "moments", errors.r2, True, "share of the target's variance that is predicted"),
        Metric("smape", "moments", errors.smape, False, "mean of 2|y-p|/(|y|+|p|), between 0 and 2"),
        Metric(
            "explained_variance", "moments", errors.explained_variance, True, "as r2, with the bias left out"
        ),
    ),
}

#: The metric that decides where the project names none.
PRIMARY: Mapping[Task, str] = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


def lookup(task: Task, name: str) -> Metric:
    """The metric of that name.

    Raises:
        UsageError: the task has no such metric.

    >>> lookup("binary", "roc_auc").greater_is_better
    True
    """
    known = METRICS[task]
    if name not in known:
        raise UsageError(f"no metric '{name}' for a {task} task", fix=did_you_mean(name, known))
    return known[name]


# summaries -------------------------------------------------------------------------------------------
def _curve(outcome: Outcome) -> Summary:
    return ranking.Ranking(outcome.truth == 1, outcome.probability[:, 1]).curve


def _curves(outcome: Outcome) -> Summary:
    ranked = [ranking.Ranking(outcome.truth == k, outcome.probability[:, k]) for k in range(outcome.classes)]
    return lambda weights: [ranking_.curve(weights) for ranking_ in ranked]


def _confusion(outcome: Outcome) -> Summary:
    return confusion.Confusion(outcome.truth, outcome.predicted, outcome.classes).matrix


def _losses(outcome: Outcome) -> Summary:
    truth = np.asarray(outcome.truth, dtype=np.int64)
    log_loss = reliability.log_losses(truth, outcome.probability)
    brier = reliability.brier_losses(truth, outcome.probability)
    return lambda weights: {
        "weight": total(weights, outcome.rows),
        "log_loss": weighted(weights, log_loss),
        "brier": weighted(weights, brier),
    }


def _bins(outcome: Outcome) -> Summary:
    if outcome.task == "binary":
        return reliability.Reliability(outcome.truth == 1, outcome.probability[:, 1]).bins
    confidence = outcome.probability.max(axis=1)
    return reliability.Reliability(outcome.truth == outcome.predicted, confidence).bins


SUMMARIES: Mapping[str, Callable[[Outcome], Summary]] = {
    "curve": _curve,
    "curves": _curves,
    "confusion": _confusion,
    "losses": _losses,
    "bins": _bins,
    "moments": lambda outcome: errors.Errors(outcome.truth, outcome.predicted).moments,
    "median": lambda outcome: errors.Errors(outcome.truth, outcome.predicted).median_absolute,
}


class Scorer:
    """Several metrics of one outcome, ready for any number of weightings.

    >>> from bessemer.stats.metrics.outcome import estimated
    >>> Scorer(estimated([1.0, 2.0], [1.0, 4.0]), ["mae", "rmse"])().round(4).tolist()
    [1.0, 1.4142]
    """

    def __init__(self, outcome: Outcome, names: Sequence[str]) -> None:
        """Raises UsageError where the task has no such metric."""
        self.metrics = [lookup(outcome.task, name) for name in names]
        needed = dict.fromkeys(metric.summary for metric in self.metrics)
        self._summaries = {key: SUMMARIES[key](outcome) for key in needed}

    def __call__(self, weights: Weights = None) -> Floats:
        """The metrics under `weights` (float64 (n,) or None), float64 (metrics,), in the order of their names."""
        found = {key: summary(weights) for key, summary in self._summaries.items()}
        return np.array([metric.value(found[metric.summary]) for metric in self.metrics], dtype=np.float64)
