"""Whether what the model says is still as near to what happens as it was."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, ClassVar

import numpy as np

from bessemer.core.spec import Spec
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.watching.drawn import draw
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.profile.groups import excesses, places
from bessemer.stats.shift import Sums, moved


class CalibrationSettings(Spec):
    """Nothing may be said."""


class Calibration:
    """What happened less what was said, by what was said, on labelled rows: against the same on the test rows.

    So a model whose probabilities were never right is not found again, and one whose probabilities have become wrong
    is, though it may order the rows as well as ever.
    """

    kind: ClassVar[Kind] = "performance"
    again: ClassVar[bool] = True
    Settings: ClassVar[type[Spec]] = CalibrationSettings

    def __init__(self, settings: CalibrationSettings) -> None:
        pass

    def watch(self, watched: Watched) -> Said:
        known = watched.reference.facts.get("calibration")
        if known is None:
            return Said((), {"why": "the package does not say how it was calibrated: make it again"})
        labelled = draw(watched.window, watched.model.signature, labelled=True).with_labels()
        said, excess = excesses(labelled.outcome)
        before = Sums(*(np.asarray(known[k], dtype=np.float64) for k in ("rows", "excess", "excess_squares")))
        now = Sums.of(excess, places(said, known["edges"]), len(before.rows))
        statistic, p, freedom = moved(before, now, None if watched.model.task == "regression" else 1.0)
        figures = _figures(known["edges"], before, now)
        if math.isnan(p):
            return Said((), figures)
        shift = float((now.total.sum() / now.rows.sum()) - (before.total.sum() / before.rows.sum()))
        test = Test(
            "calibration",
            "prediction" if watched.model.task == "regression" else "probability",
            self.kind,
            "chi-square",
            statistic,
            f"what happens has moved away from what is said, by {shift:+.4g} on average over {labelled.rows:,} labels",
            p,
            partial(_critical, freedom),
            "output",
        )
        return Said((test,), figures)


def _critical(freedom: int, probability: float) -> float:
    from scipy.special import chdtri

    return float(chdtri(freedom, probability))


def _figures(edges: list[float], before: Sums, now: Sums) -> dict[str, Any]:
    """By bin of what was said its upper end, rows, and the mean of what happened less what was said."""
    bins = zip(edges[1:], now.rows, now.mean, before.mean, strict=True)
    return {
        "bins": [
            {"upto": upto, "rows": int(rows), "excess": float(mean), "before": float(then)}
            for upto, rows, mean, then in bins
        ]
    }
