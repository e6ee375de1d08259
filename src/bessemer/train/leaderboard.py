"""The leaderboard: a row for each candidate, with its metric, an interval, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bessemer.train.metrics import Metric

_BLOCKS = 10
#: Student's t for 95 % and nine degrees of freedom.
_T = 2.262


def row(
    learner: str,
    metric: Metric,
    value: float,
    interval: tuple[float, float],
    *,
    chosen: bool,
    note: str,
    **facts: Any,
) -> dict[str, Any]:
    """One row: learner, metric, value with low and high, chosen, note, and further facts.

    Args:
        facts: `weight` in the ensemble, `bytes`, `params`.
    """
    return {
        "learner": learner,
        "metric": metric.name,
        "value": _number(value),
        "low": _number(interval[0]),
        "high": _number(interval[1]),
        "chosen": chosen,
        "note": note,
        **facts,
    }


def timing(seconds: float, microseconds: float) -> dict[str, float]:
    """What a row of the leaderboard says of time: of the fit, and of predicting a row."""
    return {"fit_seconds": round(seconds, 2), "predict_microseconds": round(microseconds, 2)}


def interval(metric: Metric, y: np.ndarray, output: np.ndarray, value: float) -> tuple[float, float]:
    """A 95 % interval of the metric, from its spread over ten random tenths of the rows.

    NaN where a tenth has no value of its own: too few rows, or one class only.

    Args:
        y, output: (J,) targets and what the metric takes.
    """
    if len(y) < 10 * _BLOCKS:
        return math.nan, math.nan
    block = np.random.default_rng(0).permutation(len(y)) % _BLOCKS
    half = _T * _error(_of_blocks(metric, y, output, block))
    return float(f"{value - half:.6g}"), float(f"{value + half:.6g}")


def surely_better(
    metric: Metric, y: np.ndarray, output: np.ndarray, than: np.ndarray, block: np.ndarray
) -> bool:
    """Whether an output (J, ...) is better than another one for the same rows: by more, over blocks of them, than
    chance gives in one of forty cases.

    Args:
        block: (J,) the number of each row's block, from 0. What rows have in common must not cross blocks: the folds,
            or stretches of time. Of fewer than three nothing is sure, nor where a block has no value of its own.
    """
    from scipy.stats import t

    count = int(block.max()) + 1
    if count < 3:
        return False
    gained = _of_blocks(metric, y, output, block) - _of_blocks(metric, y, than, block)
    gained = gained if metric.maximize else -gained
    return bool(gained.mean() > float(t.ppf(0.975, count - 1)) * float(_error(gained)))


def _of_blocks(metric: Metric, y: np.ndarray, output: np.ndarray, block: np.ndarray) -> np.ndarray:
    return np.array([metric(y[block == b], output[block == b]) for b in range(int(block.max()) + 1)])


def _error(values: np.ndarray) -> float:
    """The standard error of a mean of values."""
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))


def ordered(rows: Iterable[dict[str, Any]], metric: Metric) -> list[dict[str, Any]]:
    """The best first; those without a value last."""
    sign = -1 if metric.maximize else 1
    return sorted(rows, key=lambda r: math.inf if r["value"] is None else sign * r["value"])


def board(history: Mapping[str, Any], timings: Mapping[str, Any]) -> dict[str, Any]:
    """What `Project.leaderboard` gives, from `history.json` and `timings.json`: `rows`, and where there are such things
    `automl` and `compared`."""
    fits = timings["fits"]
    found: dict[str, Any] = {"rows": [row | fits.get(row["learner"], {}) for row in history["leaderboard"]]}
    if "automl" in history:
        needed = timings["needed"]
        skipped = [
            row | {"needed_seconds": needed.get(row["learner"])} for row in history["automl"]["skipped"]
        ]
        found["automl"] = history["automl"] | {"used": timings["used"], "skipped": skipped}
    if "compared" in history:
        found["compared"] = history["compared"]
    return found


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
