"""A number of a window against the same number of earlier windows, which a watcher remembers."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import Field, model_validator

from bessemer.core.spec import Duration, Spec
from bessemer.monitor.finding import Test
from bessemer.monitor.slo import span
from bessemer.monitor.watching.watched import Watched
from bessemer.stats.history import newcomer_critical, newcomer_p, newcomer_share_p

#: Windows differ by about 5 % whatever happens.
FLOOR = 0.05
#: So many windows can be remembered.
MOST = 5000


class EarlierSpec(Spec):
    """What a watcher remembers."""

    remember: int = Field(
        200, ge=5, le=MOST, description="How many earlier windows a window is compared with, at most."
    )
    least: int = Field(20, ge=5, description="How many earlier windows there must be before it is judged.")
    season: Duration | None = Field(
        None,
        ge=60,
        description="Only windows that far before, or a multiple: 1d compares with the same hour of the day.",
    )

    @model_validator(mode="after")
    def _enough(self) -> EarlierSpec:
        if self.remember < self.least:
            raise ValueError(
                f"of {self.remember} windows there are never {self.least}: raise `remember`, or lower `least`"
            )
        return self

    def check(self, every: float) -> None:
        """Whether windows of so many seconds can ever be judged.

        Raises:
            ValueError: they cannot: too few of those that are remembered are of the same time of the season.
        """
        if self.season is None or self.season <= every:
            return
        found, wanted = int(self.remember * every / self.season), math.ceil(self.least * self.season / every)
        if found < self.least:
            raise ValueError(
                f"of {self.remember} windows of {span(every)} only {found} are of the same time of a season of "
                f"{span(self.season)}, and {self.least} are wanted: "
                + (
                    f"write `remember: {wanted}`"
                    if wanted <= MOST
                    else "lower `least`, or make `every` longer"
                )
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

    def waiting(self, watched: Watched) -> dict[str, Any]:
        """A figure that says how many windows there are, as long as they are too few."""
        found = self.column(0, watched)
        return {} if self.enough(found) else {"waiting": {"windows": len(found), "wanted": self.spec.least}}


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
    """How likely a share so great is, from the shares of earlier windows (events and totals; empty ones say nothing).

    Chance is that of requests and that of windows: what is slow or fails comes in heaps.
    """
    known = [each for each in earlier if each[1] > 0]
    return newcomer_share_p(events, total, known) if total and len(known) > 1 else 1.0


def _critical(probability: float, *, earlier: tuple[float, ...], both: bool, down: bool) -> float:
    away = newcomer_critical(probability, earlier, floor=FLOOR, both=both)
    return math.exp(-away if down else away)
