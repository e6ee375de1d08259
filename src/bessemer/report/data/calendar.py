"""Time in the units of the calendar: hours, days, weeks, months, quarters, years."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bessemer.report.data.bins import Edges
from bessemer.stats.arrays import Floats

#: The most units of a picture.
UNITS = 100
#: The share of times left outside the picture on either side: one wrong date must not squeeze all others.
_TAIL = 0.001
#: name, months or microseconds of a unit.
_MONTHS = {"month": 1, "quarter": 3, "year": 12, "decade": 120, "century": 1200, "millennium": 12_000}
_MICROSECONDS = {
    name: seconds * 1_000_000
    for name, seconds in {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}.items()
}
#: 1969-12-29, a Monday, from which weeks are counted.
_MONDAY = -3 * 86_400_000_000


@dataclass(frozen=True)
class Calendar:
    """unit: of each bin; edges: microseconds since 1970; starts: ISO 8601 of each bin's first moment."""

    unit: str
    edges: Edges
    starts: tuple[str, ...]


def calendar(values: Floats) -> Calendar:
    """The finest unit that gives at most `UNITS` bins over the times (n,), microseconds since 1970, none NaN.

    >>> calendar(np.array([0.0, 3 * 86_400e6])).unit
    'hour'
    """
    if not len(values):
        values = np.zeros(1)
    low, high = (int(v) for v in np.quantile(values, [_TAIL, 1 - _TAIL], method="inverted_cdf"))
    if low == high:
        low, high = int(values.min()), int(values.max())
    unit = _unit(high - low)
    starts = _starts(unit, low, high)
    # A bin of `Edges` holds its upper edge, a unit of the calendar its lower one.
    edges = Edges(np.nextafter(starts.astype(np.float64), -np.inf))
    stamps = starts[:-1].astype("datetime64[us]").astype("datetime64[s]")
    return Calendar(unit, edges, tuple(str(stamp) for stamp in stamps))


def _unit(span: int) -> str:
    for name, length in _MICROSECONDS.items():
        if span / length < UNITS - 2:
            return name
    month = 30.44 * 86_400e6
    return next((name for name, n in _MONTHS.items() if span / month / n < UNITS - 2), "millennium")


def _starts(unit: str, low: int, high: int) -> np.ndarray:
    """The first moments of all units from the one that holds `low` to the one after `high`: int64 microseconds."""
    if unit in _MICROSECONDS:
        length, origin = _MICROSECONDS[unit], _MONDAY if unit == "week" else 0
        first, last = (low - origin) // length, (high - origin) // length + 2
        return np.arange(first, last, dtype=np.int64) * length + origin
    length = _MONTHS[unit]
    ends = [int(np.datetime64(v, "us").astype("datetime64[M]").astype(np.int64)) for v in (low, high)]
    # 1970 is no start of a century or decade in general: units are counted from the year 0
    first, last = (ends[0] + 1970 * 12) // length, (ends[1] + 1970 * 12) // length + 2
    months = np.arange(first, last, dtype=np.int64) * length - 1970 * 12
    return months.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
