"""What the decisions of a binary model cost: by threshold, at the best one, and against simple rules.

The best threshold is chosen on the validation rows and judged on the test rows. Where probabilities are right it is
known without any rows (Elkan 2001); that one stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bessemer.evaluate.thresholds import moved
from bessemer.stats.arrays import Floats
from bessemer.stats.bootstrap import Statistic, interval
from bessemer.stats.decision import OUTCOMES, best, choices
from bessemer.stats.metrics.outcome import Outcome

#: Thresholds of the curve: 0.00, 0.01 ... 1.00, as in `curves.thresholds`.
_GRID = np.arange(101) / 100


def right_threshold(costs: Mapping[str, float]) -> float | None:
    """The threshold that costs least where probabilities are right (Elkan 2001); None where one answer is always best.

    >>> costs = {"false_positive": 1, "false_negative": 4, "true_positive": 0, "true_negative": 0}
    >>> right_threshold(costs)
    0.2
    """
    wrong_yes = costs["false_positive"] - costs["true_negative"]
    wrong_no = costs["false_negative"] - costs["true_positive"]
    if wrong_yes <= 0 or wrong_no <= 0:
        return None
    return float(wrong_yes / (wrong_yes + wrong_no))


def row_costs(outcome: Outcome, costs: Mapping[str, float]) -> Floats:
    """What the decision about each row costs, float64 (n,)."""
    table = np.array(
        [
            [costs["true_negative"], costs["false_positive"]],
            [costs["false_negative"], costs["true_positive"]],
        ],
        dtype=np.float64,
    )
    found: Floats = table[outcome.truth.astype(np.int64), outcome.predicted.astype(np.int64)]
    return found


class Costs:
    """The costs of a model on the test rows, and of what it is held against.

    Args:
        valid, test: outcomes. costs: of the four outcomes of a decision. shipped: the model's threshold; None: one a
            group.
    """

    def __init__(
        self, costs: Mapping[str, float], valid: Outcome, test: Outcome, shipped: float | None
    ) -> None:
        self._costs, self._valid, self._test = costs, valid, test
        self._best = best(choices(valid.truth == 1, valid.probability[:, 1]), "cost", costs)
        self._thresholds: dict[str, float | None] = {"shipped": shipped, "best": self._best, "half": 0.5}
        always, never = (np.full(test.rows, said) for said in (1, 0))
        rules = {
            "shipped": test,
            "best": moved(test, self._best),
            "half": moved(test, 0.5),
            "always": Outcome("binary", test.truth, always, test.probability),
            "never": Outcome("binary", test.truth, never, test.probability),
        }
        self._rows = {name: row_costs(rule, costs) for name, rule in rules.items()}

    @property
    def statistics(self) -> list[Statistic]:
        """The mean cost of a row under each rule."""
        together = np.array(list(self._rows.values()))
        return [lambda weights: (together * weights).sum(axis=1) / weights.sum()]

    def content(self, draws: Sequence[Floats], confidence: float) -> dict[str, Any]:
        """The section `costs` of `evaluation.json`."""
        names, found = list(self._rows), draws[0]
        drawn = {name: found[:, k] for k, name in enumerate(names)}
        mean = {name: float(np.mean(rows)) for name, rows in self._rows.items()}
        own = drawn["shipped"]
        return {
            "costs": dict(self._costs),
            "unit": "per row",
            "chosen_on": "valid",
            "right_threshold": right_threshold(self._costs),
            **{
                name: {
                    **({"threshold": self._thresholds[name]} if name in self._thresholds else {}),
                    **_figure(mean[name], drawn[name], confidence),
                }
                for name in names
            },
            "saved": {
                name: _figure(mean[name] - mean["shipped"], drawn[name] - own, confidence)
                for name in names
                if name != "shipped"
            },
            "curve": _curve(self._valid, self._test, self._costs),
        }


def _figure(value: float, draws: Floats, confidence: float) -> dict[str, float]:
    low, high = interval(draws, confidence)
    return {"value": value, "low": low, "high": high}


def _curve(valid: Outcome, test: Outcome, costs: Mapping[str, float]) -> list[list[float]]:
    """[threshold, mean cost of a validation row, of a test row]."""
    return [
        [float(t), *(float(row_costs(moved(part, t), costs).mean()) for part in (valid, test))] for t in _GRID
    ]


def costs_of(
    given: Mapping[str, float] | None, trained: Mapping[str, float] | None
) -> dict[str, float] | None:
    """The costs to judge by: those of `evaluate`, else those that the threshold was chosen by."""
    found = given if given is not None else trained
    return None if found is None else {name: float(found[name]) for name in OUTCOMES}
