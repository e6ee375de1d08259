"""Whether this version takes longer than the one before it."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.spec import Duration, Share, Spec
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.tables import opened
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.package.prediction_log.read import read_log
from bessemer.stats.arrays import Floats
from bessemer.stats.series import higher

#: Fewer requests in an hour say nothing of it; fewer hours say nothing of a version.
_REQUESTS, _HOURS = 20, 5
#: So many hours of a version are remembered: a week.
_MOST_HOURS = 168
#: So many kinds of requests, the most frequent ones.
_MOST_KINDS = 20

#: The hours that are known of a kind of requests: [hour since 1970, logarithm of the median in microseconds, requests].
Hours = list[list[float]]


class SpeedSettings(Spec):
    """What is slower."""

    slowdown: Share = Field(0.2, description="By so much the median may be longer than it was.")
    history: Duration = Field(
        30 * 86_400.0,
        description="So far before its first window other versions of the model are looked for.",
    )


class Speed:
    """Medians of the latency, hour by hour, of requests of one protocol and about one size, against the version before.

    Requests of one hour share its load, so that hours are compared and not requests; and hours resemble those before
    them, so that many of them are worth few (`stats.series.higher`).
    """

    kind: ClassVar[Kind] = "model"
    again: ClassVar[bool] = False
    Settings: ClassVar[type[Spec]] = SpeedSettings

    def __init__(self, settings: SpeedSettings) -> None:
        self._settings = settings

    def watch(self, watched: Watched) -> Said:
        memory = dict(watched.memory) or self._before(watched)
        earlier, before = memory["version"], memory["before"]
        if earlier is None:
            return Said((), {"earlier": None}, memory)
        with opened(watched.window.path) as (connection, relation):
            now = _medians(connection, relation).get("", {})
        known = _joined(memory["now"], now)
        tests = [
            self._test(kind, earlier, before[kind], hours) for kind, hours in known.items() if kind in before
        ]
        figures = {
            "earlier": earlier,
            "kinds": {kind: _shown(before.get(kind), hours) for kind, hours in known.items()},
        }
        return Said(
            tuple(test for test in tests if test is not None),
            figures,
            {"version": earlier, "before": before, "now": known},
        )

    def _before(self, watched: Watched) -> dict[str, Any]:
        """The version that the log has most hours of before this window."""
        since = watched.window.start - dt.timedelta(seconds=self._settings.history)
        reader = read_log(
            watched.log,
            watched.name,
            since=since.replace(tzinfo=dt.UTC),
            until=watched.window.start.replace(tzinfo=dt.UTC),
            labels=False,
            columns=["prediction_id", "time", "version", "dialect", "latency_us"],
        )
        with opened(watched.window.path) as (connection, _):
            connection.register("earlier_rows", reader)
            found = _medians(connection, "earlier_rows", "version")
        found.pop(watched.model.version, None)
        if not found:
            return {"version": None, "before": {}, "now": {}}
        version = max(found, key=lambda name: (sum(map(len, found[name].values())), name))
        return {"version": version, "before": found[version], "now": {}}

    def _test(self, kind: str, earlier: str, before: Hours, now: Hours) -> Test | None:
        a, b = _logarithms(before), _logarithms(now)
        if min(len(a), len(b)) < _HOURS:
            return None
        allowed = math.log1p(self._settings.slowdown)
        p = higher(a, b, allowed)
        then, here = math.exp(float(a.mean())), math.exp(float(b.mean()))
        return Test(
            *("speed", kind, self.kind, "ratio of the medians", here / then),
            f"{kind}: {here:,.0f} us, {then:,.0f} us by version {earlier}",
            p,
            of="service",
        )


def _medians(connection: Any, relation: str, version: str = "''") -> dict[str, dict[str, Hours]]:
    """By version and kind of request the hours that have enough of them."""
    connection.execute("SET threads = 1")  # a digest by several threads is another one each time
    request = (
        f"SELECT {version} AS version, regexp_replace(prediction_id, '-[0-9]{{1,9}}$', '') AS request, dialect, "
        f"min(time) AS time, count(*) AS n, max(latency_us) AS latency FROM {relation} GROUP BY ALL"
    )
    found = connection.execute(
        "SELECT version, dialect, CAST(floor(log2(n)) AS INTEGER) AS size, epoch_us(time) // 3600000000 AS hour, "
        f"approx_quantile(ln(greatest(latency, 1)), 0.5), count(*) FROM ({request}) WHERE latency IS NOT NULL "
        f"GROUP BY ALL HAVING count(*) >= {_REQUESTS} ORDER BY version, dialect, size, hour"
    ).fetchall()
    told: dict[str, dict[str, Hours]] = {}
    for name, dialect, size, hour, median, requests in found:
        rows = f"{2**size:,} to {2 ** (size + 1) - 1:,} rows" if size else "1 row"
        kinds = told.setdefault(name, {})
        kinds.setdefault(f"{dialect or 'unknown'}, {rows}", []).append(
            [hour, round(float(median), 6), requests]
        )
    return {name: _bounded(kinds) for name, kinds in told.items()}


def _bounded(kinds: dict[str, Hours]) -> dict[str, Hours]:
    frequent = sorted(kinds, key=lambda kind: (-sum(hour[2] for hour in kinds[kind]), kind))[:_MOST_KINDS]
    return {kind: kinds[kind][-_MOST_HOURS:] for kind in sorted(frequent)}


def _joined(before: dict[str, Hours], now: dict[str, Hours]) -> dict[str, Hours]:
    """Hours of both; of an hour that several windows have, the mean."""
    found: dict[str, Hours] = {}
    for kind in sorted({*before, *now}):
        hours: dict[float, list[float]] = {}
        for hour, median, requests in (*before.get(kind, ()), *now.get(kind, ())):
            other = hours.get(hour, [hour, median, 0.0])
            whole = other[2] + requests
            hours[hour] = [hour, (other[1] * other[2] + median * requests) / whole, whole]
        found[kind] = [hours[hour] for hour in sorted(hours)]
    return _bounded(found)


def _logarithms(hours: Hours) -> Floats:
    return np.array([median for _, median, _ in hours], dtype=np.float64)


def _shown(before: Hours | None, now: Hours) -> dict[str, Any]:
    def median(hours: Hours | None) -> float | None:
        return math.exp(float(np.median(_logarithms(hours)))) if hours else None

    return {"median_us": median(now), "earlier_us": median(before), "hours": len(now)}
