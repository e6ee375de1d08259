"""A number of a window against the same number of earlier windows, which a watcher remembers."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import Field

from bessemer.core.spec import Duration, Spec
from bessemer.monitor.finding import Test
from bessemer.monitor.watched import Watched
from bessemer.stats.history import newcomer_critical, newcomer_p
from bessemer.stats.two_sample import shares_p

#: Windows differ by about 5 % whatever happens.
FLOOR = 0.05


class EarlierSpec(Spec):
    """What a watcher remembers."""

    remember: int = Field(
        200, ge=5, le=5000, description="How many earlier windows a window is compared with, at most."
    )
    least: int = Field(20, ge=5, description="How many earlier windows there must be before it is judged.")
    season: Duration | None = Field(
        None,
        ge=60,
        description="Only windows that far before, or a multiple: 1d compares with the same hour of the day.",
    )


@dataclass(frozen=True)
class Earlier:
    """The numbers of earlier windows: lists of a time (Unix, of the window's end) and numbers, the oldest first."""

    spec: EarlierSpec
    rows: Sequence[Sequence[float]]

    @classmethod
    def of(cls, spec: EarlierSpec, watched: Watched) -> Earlier:
        return cls(spec, watched.memory.get("windows", []))

    def column(self, place: int, watched: Watched) -> list[float]:
        """A number of those windows that this one is compared with."""
        now, season = ended(watched), self.spec.season
        half = (watched.window.end - watched.window.start).total_seconds() / 2
        return [
            row[place + 1]
            for row in self.rows
            if season is None or abs((now - row[0] + season / 2) % season - season / 2) < half
        ]

    def and_now(self, watched: Watched, *numbers: float) -> dict[str, Any]:
        """What is to be remembered with this window's numbers."""
        if not all(math.isfinite(number) for number in numbers):
            return {"windows": list(self.rows)}
        return {"windows": [*self.rows, [ended(watched), *numbers]][-self.spec.remember :]}

    def enough(self, earlier: Sequence[object]) -> bool:
        return len(earlier) >= self.spec.least


def ended(watched: Watched) -> float:
    """When the window ended, Unix time."""
    return watched.window.end.replace(tzinfo=dt.UTC).timestamp()


def ratio_test(
    watcher: str,
    column: str,
    statistic: str,
    value: float,
    earlier: Sequence[float],
    text: str,
    *,
    both: bool = False,
) -> Test:
    """Whether a positive number is greater than it was (or other, with `both`), on a logarithmic scale.

    Args:
        value, earlier: logarithms.
        text: with `{now}` and `{before}`, which stand for the number and the geometric mean of the earlier ones.
    """
    before = sum(earlier) / len(earlier)
    return Test(
        *(watcher, column, "operations", statistic),
        math.exp(value - before),
        text.format(now=f"{math.exp(value):.4g}", before=f"{math.exp(before):.4g}"),
        newcomer_p(value, earlier, floor=FLOOR, both=both),
        partial(_critical, earlier=tuple(earlier), both=both, down=both and value < before),
        "service",
    )


def share_p(events: float, total: float, earlier: Sequence[tuple[float, float]]) -> float:
    """How likely a share so great is, from the shares of earlier windows (events and totals).

    It must be above them by chance of its requests (their score test) and by chance of windows, too: what is slow or
    fails comes in heaps.
    """
    before, whole = (sum(column) for column in zip(*earlier, strict=True))
    if not total or not whole or events / total <= before / whole:
        return 1.0
    by_requests = shares_p((before, events), (whole, total))
    return max(by_requests, newcomer_p(_angle(events, total), [_angle(*each) for each in earlier]))


def _angle(events: float, total: float) -> float:
    """Freeman and Tukey's (1950) angle of a share: its spread does not depend on it."""
    return math.asin(math.sqrt(events / (total + 1))) + math.asin(math.sqrt((events + 1) / (total + 1)))


def _critical(probability: float, *, earlier: tuple[float, ...], both: bool, down: bool) -> float:
    away = newcomer_critical(probability, earlier, floor=FLOOR, both=both)
    return math.exp(-away if down else away)
