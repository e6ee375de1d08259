"""What the monitor's page shows, read from the stores: what is served, windows, open alerts, retrainings."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bessemer.monitor.advice import title_of, todo_of
from bessemer.monitor.alerts import Alert
from bessemer.monitor.alerts_spec import AlertsSpec
from bessemer.monitor.outbox import Outbox
from bessemer.monitor.store import Kept, MonitorStore
from bessemer.retrain.records import Retrainings
from bessemer.stats.arrays import tidy

#: The most windows that the page has, the newest of them: 50 days of hours.
WINDOWS = 1200
#: The most columns of the picture of drift, and windows in it.
COLUMNS, SHOWN = 30, 120
_FOUND = 60


class Stores:
    """The stores of a monitor, read again for each look.

    Args:
        path: the monitor's SQLite file; where there is none yet, nothing has been looked at.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def mark(self) -> str:
        """Another text whenever something may have changed."""
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return "-".join(f"{stat.st_mtime_ns}.{stat.st_size}" for file in files if (stat := _stat(file)))

    def models(self) -> list[str]:
        """The models that were looked at."""
        if not self.path.is_file():
            return []
        with MonitorStore(self.path).transaction() as connection:
            rows = connection.execute("SELECT DISTINCT model FROM windows ORDER BY model").fetchall()
        return [str(row[0]) for row in rows]

    def state(self, model: str, days: float | None = None) -> dict[str, Any]:
        """What there is to see of a model, as JSON.

        Args:
            days: how far back the newest window is looked behind; all that is kept by default.
        """
        store = MonitorStore(self.path)
        windows = store.windows(model)[-WINDOWS:]
        if days is not None and windows:
            first = _moment(windows[-1].end) - dt.timedelta(days=days)
            windows = [window for window in windows if _moment(window.end) >= first]
        found: dict[str, Any] = tidy(
            {
                "model": model,
                "versions": versions(windows),
                "windows": [summary(window) for window in windows],
                "drift": drift(windows[-SHOWN:]),
                "alerts": [alert(each) for each in Outbox(store, AlertsSpec()).alerts(model)],
                "findings": list(findings(windows)),
                "retrainings": [one.to_json() for one in reversed(Retrainings(store).all(model))],
            }
        )
        return found


def _stat(path: Path) -> Any:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def versions(windows: Sequence[Kept]) -> list[dict[str, Any]]:
    """Each version that was seen: since and until when, how many rows, in which share of the newest window's time."""
    found: dict[str, dict[str, Any]] = {}
    for window in windows:
        mine = found.setdefault(
            window.version, {"version": window.version, "since": window.start, "rows": 0, "windows": 0}
        )
        mine["until"] = window.end
        mine["rows"] += window.rows
        mine["windows"] += 1
    newest = max((window.end for window in windows), default="")
    return [{**each, "current": each["until"] == newest} for each in found.values()]


def summary(window: Kept) -> dict[str, Any]:
    """A window in a few figures; `performance` is that of the metric the model was chosen by."""
    check = window.check
    figures = check.get("performance") or {}
    metric = figures.get("metric", "")
    return {
        "version": window.version,
        "start": window.start,
        "end": window.end,
        "rows": window.rows,
        "looks": window.looks,
        "found": len(check["findings"]),
        "labelled": figures.get("labelled", 0),
        "metric": metric,
        **{kind: (figures.get(kind) or {}).get(metric) for kind in ("reference", "measured", "estimated")},
    }


def drift(windows: Sequence[Kept]) -> dict[str, Any]:
    """How sure each column's change is, by window: 1 is where it is found, 0 where nothing speaks for it.

    The columns that were found most often come first.
    """
    strength = [_strengths(window) for window in windows]
    names = {name for one in strength for name in one}
    seen = {name: [one.get(name) for one in strength] for name in names}

    def order(name: str) -> tuple[float, float, str]:
        values = [value for value in seen[name] if value is not None]
        return -sum(value >= 1 for value in values), -max(values), name

    kept = sorted(names, key=order)[:COLUMNS]
    return {
        "columns": [{"name": name, "values": seen[name]} for name in kept],
        "more": len(names) - len(kept),
    }


def _strengths(window: Kept) -> dict[str, float]:
    """By column, the surest of its tests: how many decimal places its p-value has, of those that were asked for."""
    check = window.check
    tested = [
        (name, test)
        for kind in ("columns", "outputs")
        for name, tests in check.get(kind, {}).items()
        for test in tests.values()
    ]
    by_chance = sum(test["p_value"] is not None for _, test in tested)
    each = check["false_alarm"] / max(1, by_chance)
    found = {f["column"] for f in check["findings"] if f["of"] in ("input", "output")}
    strength: dict[str, float] = {}
    for name, test in tested:
        if test["p_value"] is not None:
            sure = math.log(max(test["p_value"], 1e-300)) / math.log(each)
            strength[name] = max(strength.get(name, 0.0), min(sure, 0.99))
    return {**strength, **dict.fromkeys(found & {name for name, _ in tested}, 1.0)}


def alert(one: Alert) -> dict[str, Any]:
    """An open alert with what to do about it."""
    cause, _, command = todo_of(one.finding, one.model, one.since).rpartition("\n")
    return {
        "title": title_of(one.finding),
        "text": one.finding["text"],
        "column": one.finding["column"],
        "cause": cause,
        "command": command,
        "severity": one.severity,
        "kind": one.finding["kind"],
        "version": one.version,
        "since": one.since,
        "windows": one.windows,
    }


def findings(windows: Sequence[Kept]) -> Iterable[dict[str, Any]]:
    """The newest findings, each with its window."""
    left = _FOUND
    for window in reversed(windows):
        for finding in window.check["findings"][:left]:
            yield {"start": window.start, "version": window.version, **_plain(finding)}
        left -= len(window.check["findings"])
        if left <= 0:
            return


def _plain(finding: Mapping[str, Any]) -> dict[str, Any]:
    return {name: finding[name] for name in ("column", "of", "kind", "detector", "text", "p_value")}
