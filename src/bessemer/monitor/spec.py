"""What the project file may say about monitoring."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bessemer.core.errors import did_you_mean
from bessemer.core.plugin_settings import Named, parse_named
from bessemer.core.spec import Duration, Spec
from bessemer.monitor.plugins import DETECTORS, USUAL, USUAL_WATCHERS, WATCHERS

_PERIODS = {
    "hour": 3600.0,
    "day": 86_400.0,
    "week": 7 * 86_400.0,
    "month": 365.25 / 12 * 86_400.0,
    "year": 365.25 * 86_400.0,
}


def parse_rate(value: Any) -> float:
    """How often a second, from '1 per month'.

    >>> round(1 / parse_rate("1 per day")), round(1 / parse_rate("2 per hour"))
    (86400, 1800)
    """
    found = re.fullmatch(r"\s*([0-9.]+)\s*per\s*(\w+)\s*", value) if isinstance(value, str) else None
    if found is None:
        if isinstance(value, float) and value > 0:  # it was read before
            return value
        raise ValueError(f"{value!r} is not a rate: write 1 per month")
    number, period = found.groups()
    if period not in _PERIODS:
        raise ValueError(f"'{period}' is no period; {did_you_mean(period, _PERIODS)}")
    if not float(number) > 0:
        raise ValueError(f"{value!r} never comes: write 1 per year for hardly ever")
    return float(number) / _PERIODS[period]


def _known(value: Any) -> Any:
    for name in value if isinstance(value, list) else []:
        if name not in DETECTORS:
            raise ValueError(f"no detector is called {name!r}; {did_you_mean(name, DETECTORS)}")
    return value


def _usual_watchers() -> Named:
    return {name: {} for name in USUAL_WATCHERS}


def _watchers(value: Any) -> Named:
    return parse_named(value, WATCHERS, "a watcher", ", ".join(USUAL_WATCHERS))


Rate = Annotated[float, BeforeValidator(parse_rate, json_schema_input_type=str)]
MONTHLY = parse_rate("1 per month")


class MonitorSpec(Spec):
    """How the prediction log is watched.

    >>> MonitorSpec(every="15m").every
    900.0
    """

    every: Duration = Field(
        3600.0, ge=1, description="The length of a window, and how often one is looked at."
    )
    rows: int = Field(
        200, ge=1, description="The fewest rows of a window; one with fewer goes on until it has them."
    )
    false_alarms: Rate = Field(
        MONTHLY, description="How often anything may be found while nothing changes, as '1 per month'."
    )
    detectors: Annotated[list[str], BeforeValidator(_known)] = Field(
        list(USUAL), description="What is watched; see the table of detectors."
    )
    watchers: Annotated[
        Named, BeforeValidator(_watchers, json_schema_input_type=list[str | dict[str, Any]])
    ] = Field(
        default_factory=_usual_watchers,
        description="What else is watched in the log, each a name or {name: {setting: value}}.",
    )
    again: list[Duration] = Field(
        [86_400.0, 7 * 86_400.0],
        description="When a window is so old it is looked at again: labels come late.",
    )
    log: str | None = Field(
        None, description="The folder of the prediction log; the one of `serve: log:` by default."
    )
    store: str = Field(".bessemer/monitor.db", description="The file in which windows and findings are kept.")
    keep: Duration = Field(365 * 86_400.0, description="Windows older than this are forgotten.")

    @property
    def false_alarm(self) -> float:
        """The probability of a finding in one window in which nothing has changed; at most a half."""
        return min(0.5, self.false_alarms * self.every)
