"""Service level objectives: what is promised to those who ask, and when its breach is worth an alert.

Alerts are those of Google's SRE workbook (2018, chapter 5): an error budget that is spent fast, both over a long window
and, so that the alert ends when the trouble does, over a short one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from bessemer.core.spec import Duration, Share, Spec, parse_duration
from bessemer.serve.statistics import LATENCIES

_EDGES = LATENCIES[:-1]
#: Of a smaller budget one bad request in a hundred million is more than all of it.
LEAST_BUDGET = 1e-8


def span(seconds: float) -> str:
    """A length of time as Prometheus writes it.

    >>> span(300), span(21600), span(259200), span(90)
    ('5m', '6h', '3d', '90s')
    """
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def milliseconds(seconds: float) -> str:
    """
    >>> milliseconds(0.05), milliseconds(2.5)
    ('50 ms', '2.5 s')
    """
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"


def _latency(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} says nothing of latency: write {{p99: 50ms}}")
    found = {str(name): _within(str(name), seconds) for name, seconds in value.items()}
    known: dict[float, str] = {}
    for name in found:
        if (same := known.setdefault(float(name[1:]), name)) != name:
            raise ValueError(f"'{same}' and '{name}' are the same percentile: leave one of them out")
    return found


def _within(name: str, value: Any) -> float:
    found = re.fullmatch(r"p(\d{1,2}(\.\d+)?)", name)
    if found is None or not 0 < float(found.group(1)) < 100:
        raise ValueError(f"'{name}' is no percentile: write p99, or p99.9")
    seconds = parse_duration(value)
    if seconds not in _EDGES:
        near = sorted(_EDGES, key=lambda edge: abs(math.log(edge / max(seconds, 1e-9))))[:2]
        named = " or ".join(milliseconds(edge).replace(" ", "") for edge in sorted(near))
        raise ValueError(f"{milliseconds(seconds)} is no edge of the server's histogram: write {named}")
    return seconds


class SloSpec(Spec):
    """What is promised.

    >>> SloSpec(availability="99.9%", latency={"p99": "50ms"}).objectives()[1].label
    'latency_p99'
    """

    period: Duration = Field(
        30 * 86_400.0,
        ge=7 * 86_400,
        description="Over which time the promises are kept, and the budget is counted.",
    )
    availability: Share | None = Field(
        None, gt=0, lt=1, description="The share of requests that the server must not fail, as 99.9%."
    )
    latency: Annotated[
        dict[str, float], BeforeValidator(_latency, json_schema_input_type=dict[str, float | str])
    ] = Field(
        default_factory=dict,
        description="Percentiles of the time an answer takes, and what they must not exceed, as {p99: 50ms}.",
    )

    @model_validator(mode="after")
    def _something(self) -> SloSpec:
        if self.availability is None and not self.latency:
            raise ValueError("`slo` promises nothing: give `availability: 99.9%` or `latency: {p99: 50ms}`")
        for each in self.objectives():
            if each.budget < LEAST_BUDGET:
                raise ValueError(
                    f"{each.label} leaves no error budget: at most {1 - LEAST_BUDGET:%} can be promised"
                )
        return self

    def objectives(self) -> list[Objective]:
        found = [] if self.availability is None else [Objective("availability", self.availability)]
        for name, within in self.latency.items():
            found.append(Objective(f"latency_{name}", round(float(name[1:]) / 100, 9), within))
        return found


@dataclass(frozen=True)
class Objective:
    """A share of requests that must be good.

    within: seconds within which an answer is good; None: it is enough that it is no fault of the server.
    """

    label: str
    target: float
    within: float | None = None

    @property
    def budget(self) -> float:
        """The share of requests that may be bad."""
        return round(1 - self.target, 9)

    def counted(self, done: Mapping[str, Any]) -> tuple[int, int]:
        """How many requests were bad, and of how many, in sums of the server's statistics.

        A request that was refused for its values is neither: that is its client's affair. Of latency those count that
        were answered.

        >>> Objective("availability", 0.999).counted({"requests": 98, "failed": 1, "late": 1, "refused": 7})
        (2, 100)
        """
        if self.within is None:
            bad = int(done.get("failed", 0) + done.get("late", 0))
            return bad, bad + int(done.get("requests", 0))
        counts: Sequence[int] = done.get("latencies") or ()
        good = sum(count for edge, count in zip(LATENCIES, counts, strict=False) if edge <= self.within)
        return sum(counts) - good, sum(counts)

    def says(self) -> str:
        """The objective in words."""
        if self.within is None:
            return f"{self.target:.6g} of the requests are answered without a fault of the server"
        return f"{self.target:.6g} of the answers take at most {milliseconds(self.within)}"


@dataclass(frozen=True)
class Burn:
    """An alert: so many times the budget's pace, over a long and a short window (seconds)."""

    long: float
    short: float
    factor: float
    severity: str

    def __str__(self) -> str:
        return f"{span(self.long)} and {span(self.short)}"


#: Long window, short window, the share of the budget that is spent in the long one, how urgent that is.
_BURNS = (
    (3600.0, 300.0, 0.02, "page"),
    (6 * 3600.0, 1800.0, 0.05, "page"),
    (86_400.0, 2 * 3600.0, 0.1, "ticket"),
    (3 * 86_400.0, 6 * 3600.0, 0.1, "ticket"),
)
#: All windows that are looked at, in seconds.
WINDOWS = tuple(sorted({seconds for burn in _BURNS for seconds in burn[:2]}))


def burns(period: float, budget: float) -> list[Burn]:
    """The alerts of an objective: those that are above the pace at which the budget lasts, and that can come at all.

    >>> [(burn.factor, str(burn)) for burn in burns(30 * 86_400, 0.001)]
    [(14.4, '1h and 5m'), (6.0, '6h and 30m'), (3.0, '1d and 2h'), (1.0, '3d and 6h')]
    >>> [burn.factor for burn in burns(30 * 86_400, 0.1)]
    [6.0, 3.0, 1.0]
    """
    found = [Burn(long, short, round(spent * period / long, 6), how) for long, short, spent, how in _BURNS]
    return [burn for burn in found if burn.factor >= 1 and burn.factor * budget < 1]


def never_alerts(slo: SloSpec) -> dict[str, str]:
    """The objectives that no alert can be given for, and why, in words.

    >>> list(never_alerts(SloSpec(availability="20%", period="7d")))
    ['availability']
    """
    return {
        each.label: f"{each.label} can raise no alert: of a budget of {each.budget:.4g} no burn over "
        f"{span(slo.period)} that is worth one is possible; promise more, or over a longer period"
        for each in slo.objectives()
        if not burns(slo.period, each.budget)
    }
