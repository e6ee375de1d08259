"""How a metric grows with the training rows: points with intervals, and a power law beyond them.

Intervals come from drawing validation rows and repeats with replacement (Efron 1979). Every size sees the same draws,
so that the gain from one size to another is paired: rows that are hard for all sizes cancel out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.stats.arrays import shown, tidy
from bessemer.stats.bootstrap import interval, resample
from bessemer.stats.power_law import fit_power_law

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.stats.arrays import Floats
    from bessemer.train.learner import Part, Problem
    from bessemer.train.metrics import Metric

#: Resamples behind the intervals, and their confidence.
_DRAWS, _CONFIDENCE = 200, 0.95
#: The fewest sizes to draw a law from, and how many times the rows it is asked for.
_SIZES, _FURTHER = 3, (2, 4)


@dataclass
class Point:
    """Outputs of each repeat on the judging rows, for one number of rows."""

    rows: int
    outputs: list[np.ndarray]


def judged(points: list[Point], problem: Problem, judges: Part, ctx: Context) -> dict[str, Any]:
    """The points with their intervals, and the extrapolation."""
    metric, y = problem.metric, judges.y
    scorers = [[metric.weighted(y, output) for output in point.outputs] for point in points]
    values = [[metric(y, output) for output in point.outputs] for point in points]
    rng = ctx.rng("learning curve", "bootstrap")
    draws: Floats = np.empty((_DRAWS, len(points)))
    for b in range(_DRAWS):
        weights = resample(len(y), rng)
        for k, repeats in enumerate(scorers):
            chosen = rng.integers(0, len(repeats), len(repeats))
            each = {int(i): repeats[i](weights) for i in np.unique(chosen)}
            draws[b, k] = np.mean([each[int(i)] for i in chosen])
    made = []
    for k, point in enumerate(points):
        low, high = interval(draws[:, k], _CONFIDENCE)
        mean = float(np.mean(values[k]))
        made.append(
            {
                "rows": point.rows,
                "values": tidy(values[k]),
                "mean": tidy(mean),
                "low": tidy(low),
                "high": tidy(high),
            }
        )
    means = np.array([np.mean(value) for value in values])
    return {"points": made, "extrapolation": extrapolated([p.rows for p in points], means, draws, problem)}


def extrapolated(rows: list[int], means: Floats, draws: Floats, problem: Problem) -> dict[str, Any] | None:
    """What a power law says of more rows; None with too few sizes, or where the error does not fall with rows."""
    usable = np.isfinite(draws).all(axis=1)
    if len(rows) < _SIZES or usable.sum() < _DRAWS / 2 or not np.isfinite(means).all():
        return None
    turned = problem.metric.maximize  # 1 - value is an error that falls towards a floor
    spread = draws[usable].std(axis=0)
    law = fit_power_law(rows, 1 - means if turned else means, spread)
    if law.scale == 0:
        return None
    laws = [fit_power_law(rows, 1 - draw if turned else draw, spread) for draw in draws[usable]]
    sign, ends = (1 if turned else -1), draws[usable, -1]
    at = []
    for times in _FURTHER:
        gain = law(rows[-1]) - law(times * rows[-1])
        gains = np.array([each(rows[-1]) - each(times * rows[-1]) for each in laws])
        figure = {"value": float(means[-1]) + sign * gain, "gain": gain}
        figure["low"], figure["high"] = interval(ends + sign * gains, _CONFIDENCE)
        figure["gain_low"], figure["gain_high"] = interval(gains, _CONFIDENCE)
        at.append({"rows": times * rows[-1], **tidy(figure)})
    facts = {"floor": tidy(law.floor), "scale": tidy(law.scale), "exponent": tidy(law.exponent)}
    text = _words(problem.metric, rows[-1], float(means[-1]), at[0])
    return {"law": "error = floor + scale * rows^-exponent", **facts, "at": at, "text": text}


def _words(metric: Metric, rows: int, now: float, twice: Mapping[str, Any]) -> str:
    low, high = shown(twice["gain_low"]), shown(twice["gain_high"])
    return (
        f"twice the {rows:,} rows would {'raise' if metric.maximize else 'lower'} {metric.name} from {shown(now)} "
        f"to about {shown(twice['value'])}: by {shown(twice['gain'])} [{low}, {high}]"
    )
