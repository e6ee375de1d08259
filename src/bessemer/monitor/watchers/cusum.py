"""Errors that come more often than on the test rows, as soon as that can be known: a control chart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, ClassVar

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.watching.labelled import NO_ERRORS, known_errors, labelled, moment
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.stats.bernoulli_cusum import Chart, chart
from bessemer.stats.cusum_chance import critical_level, reached_p
from bessemer.stats.error_bins import ErrorBins
from bessemer.stats.excursion import Excursion, follow
from bessemer.stats.intervals import wilson

#: A window has a few hundred tests that share its false alarms.
_TESTS = 1000


class Settings(Spec):
    """What the project file may say."""

    odds: float = Field(
        1.5,
        gt=1,
        le=100,
        description="The change it finds soonest: by so much the odds of an error have risen.",
    )


class Cusum:
    """The Bernoulli CUSUM of the errors, in the order in which labels came."""

    kind: ClassVar[Kind] = "concept"
    again: ClassVar[bool] = False
    empty: ClassVar[bool] = True  # labels come also while nothing is asked
    Settings: ClassVar[type[Spec]] = Settings

    def __init__(self, settings: Any) -> None:
        self._odds = settings.odds

    def watch(self, watched: Watched) -> Said:
        known = known_errors(watched.reference, watched.model.task)
        if known is None:
            return Said(figures={"why": NO_ERRORS}, memory=watched.memory)
        asked = charted(known, self._odds, watched.false_alarm)
        steps = [asked.up, asked.down]
        end, highest, rows, errors = _remembered(watched.memory, steps), Excursion(), 0, 0
        for some in labelled(watched, known):
            end, peak = follow(asked, some.wrong, some.times, end)
            highest = max(highest, peak, key=lambda each: each.level)
            rows, errors = rows + len(some.wrong), errors + int(some.wrong.sum())
        memory = {"steps": steps, "excursion": asdict(end)}
        figures = {
            "labels": rows,
            "errors": errors,
            "reference": known.rate,
            "worse": asked.worse,
            "evidence": asked.evidence(end.level),
            **_since(end),
        }
        if not rows:
            return Said(figures=figures, memory=memory)
        test = _test(asked, highest, rows, known, watched.model.task)
        return Said((test,), figures, memory, {"steps": steps, "excursion": asdict(Excursion())})


def charted(known: ErrorBins, odds: float, false_alarm: float) -> Chart:
    """The chart for a reference, its odds raised where so few test rows leave the old rate too much open.

    Args:
        false_alarm: the probability of any finding in a window.
    """
    from scipy.special import betaincinv

    wrong, rows = float(known.errors.sum()), float(known.counts.sum())
    possible = 1 - betaincinv(rows - wrong + 0.5, wrong + 0.5, false_alarm / _TESTS)
    return chart((wrong + 0.5) / (rows + 1), odds, float(possible))


def _remembered(memory: Mapping[str, Any], steps: list[int]) -> Excursion:
    """Where the chart was; at zero where settings have changed since."""
    if memory.get("steps") != steps:
        return Excursion()
    return Excursion(**memory["excursion"])


def _since(found: Excursion) -> dict[str, Any]:
    """When the chart was last at zero, and the error rate from then on with its 95 % interval."""
    if not found.labels or found.since is None:
        return {"since": None}
    low, high = wilson(found.errors, found.labels, 0.95)
    rate = {"value": found.errors / found.labels, "low": low, "high": high}
    return {"since": moment(found.since), "labels_since": found.labels, "rate_since": rate}


def _test(asked: Chart, highest: Excursion, rows: int, known: ErrorBins, task: str) -> Test:
    wrong, of = float(known.errors.sum()), float(known.counts.sum())
    return Test(
        "cusum",
        "error",
        "concept",
        "evidence",
        asked.evidence(highest.level),
        _text(highest, known, task),
        reached_p(asked, highest.level, rows, wrong, of),
        partial(_critical, asked=asked, rows=rows, wrong=wrong, of=of),
        "output",
    )


def _critical(probability: float, *, asked: Chart, rows: int, wrong: float, of: float) -> float:
    level = critical_level(asked, probability, rows, wrong, of)
    return math.inf if level is None else asked.evidence(level)


def _text(found: Excursion, known: ErrorBins, task: str) -> str:
    if not found.labels or found.since is None:
        return "errors are as frequent as when the model was made"
    low, high = wilson(found.errors, found.labels, 0.95)
    what = "were wrong" if task != "regression" else "had an error as great as one test row in ten"
    return (
        f"of the {found.labels:,} labels since {moment(found.since)} {found.errors / found.labels:.1%} {what} "
        f"({low:.1%} to {high:.1%}), {known.rate:.1%} when the model was made"
    )
