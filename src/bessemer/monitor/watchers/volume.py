"""More or fewer rows an hour than at this hour of the week before."""

from __future__ import annotations

import datetime as dt
import math
from functools import partial
from typing import Any, ClassVar

from pydantic import Field

from bessemer.core.spec import Share, Spec
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.stats.level import Expected, Seasonal, expected_within, surprise

#: A Monday, 00:00 UTC.
_MONDAY = dt.datetime(1970, 1, 5)

_AT = {
    "hour of the week": "at this hour of the week",
    "hour of the day": "at this hour of the day",
    "all hours": "over all hours",
}


class VolumeSettings(Spec):
    """What is a change of the volume."""

    change: Share = Field(
        0.25, description="A share by which the rows an hour may rise or fall as they like."
    )


class Volume:
    """The logarithm of the rows an hour against what it was before, with the spread that it had before.

    Counts of requests vary far more than chance alone would have it; how much more is learned. Times are UTC.
    """

    kind: ClassVar[Kind] = "quality"
    again: ClassVar[bool] = False
    empty: ClassVar[bool] = True
    Settings: ClassVar[type[Spec]] = VolumeSettings

    def __init__(self, settings: VolumeSettings) -> None:
        self._least = math.log1p(settings.change)

    def watch(self, watched: Watched) -> Said:
        """Nothing is tested before a day has been seen."""
        window = watched.window
        hours = (window.end - window.start).total_seconds() / 3600
        middle = window.start + (window.end - window.start) / 2
        hour = (middle - _MONDAY).total_seconds() / 3600
        seasonal = Seasonal(dict(watched.memory) or None)
        value = math.log((window.rows + 0.5) / hours)
        expected = seasonal.expected(hour)
        seasonal.add(hour, value, hours)
        figures: dict[str, Any] = {"rows_an_hour": window.rows / hours, "expected": None, "by": None}
        if expected is None:
            return Said((), figures, seasonal.to_json())
        figures |= {"expected": math.exp(expected.mean), "by": expected.by}
        return Said((self._test(value, expected, hours),), figures, seasonal.to_json())

    def _test(self, value: float, expected: Expected, hours: float) -> Test:
        variance = max(
            expected.variance, 1 / max(1.0, math.exp(expected.mean) * hours)
        )  # no less than Poisson's
        known, freedom = expected.known, max(1.0, expected.freedom)
        p = surprise(value, expected.mean, variance, known, freedom, least=self._least)
        spread = partial(expected_within, variance, known, freedom, least=self._least)
        return Test(
            *("volume", "rows", self.kind, "logarithm of the ratio", abs(value - expected.mean)),
            f"{math.exp(value):,.4g} rows an hour, {math.exp(expected.mean):,.4g} before, {_AT[expected.by]}",
            p,
            spread,
            "service",
        )
