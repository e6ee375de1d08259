"""What the monitor's page shows, read from the stores: what is served, windows, open alerts, retrainings."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from bessemer.core.errors import EnvironmentFault
from bessemer.monitor.alerts.advice import title_of, todo_of
from bessemer.monitor.alerts.open_alerts import Alert
from bessemer.monitor.store import Kept
from bessemer.stats.arrays import tidy
from bessemer.web.reading import Reading, reading, wal

#: The most windows that the page has, the newest of them: 50 days of hours.
WINDOWS = 1200
#: The most columns of the picture of drift, and windows in it.
COLUMNS, SHOWN = 30, 120
_FOUND = 60
_PAGES = 8  # models and spans of time whose state is remembered
_TRIES = 5


class Stores:
    """The stores of a monitor, read again when they have changed.

    Args:
        path: the monitor's SQLite file; where there is none yet, nothing has been looked at. It is read only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._pages: OrderedDict[tuple[str, str, float | None], bytes] = OrderedDict()

    def mark(self) -> str:
        """Another text whenever something may have changed."""
        files = (self.path, wal(self.path))
        return "-".join(f"{stat.st_mtime_ns}.{stat.st_size}" for file in files if (stat := _stat(file)))

    def page(self, asked: str, days: float | None = None) -> tuple[str, bytes]:
        """The mark, and the state of a model as a JSON document, made once for all who ask while nothing changes.

        Args:
            asked: the model; the first where there is none of that name.
        """
        with self._lock:
            mark = self.mark()
            key = (mark, asked, days)
            if key not in self._pages:
                mark, body = self._made(asked, days)
                self._pages[mark, asked, days] = body
                while len(self._pages) > _PAGES:
                    self._pages.popitem(last=False)
                return mark, body
            self._pages.move_to_end(key)
            return mark, self._pages[key]

    def _made(self, asked: str, days: float | None) -> tuple[str, bytes]:
        """A file that is changed while it is read without its log gives nonsense, or a fault: it is read again."""
        tries = 0
        while True:
            mark, tries = self.mark(), tries + 1
            try:
                body = json.dumps(self._found(asked, days), ensure_ascii=False).encode()
            except (EnvironmentFault, ValueError):
                if tries == _TRIES or self.mark() == mark:
                    raise
            else:
                if tries == _TRIES or self.mark() == mark:
                    return mark, body

    def _found(self, asked: str, days: float | None) -> dict[str, Any]:
        if not self.path.is_file():
            return {"models": []}
        with reading(self.path) as now:
            models = now.models()
            model = asked if asked in models else next(iter(models), "")
            return {"models": models, **_state(now, model, days)} if model else {"models": []}

    def state(self, model: str, days: float | None = None) -> dict[str, Any]:
        """What there is to see of a model, as JSON.

        Args:
            days: how far back the newest window is looked behind; all that is kept by default.
        """
        with reading(self.path) as now:
            return _state(now, model, days)


def _state(now: Reading, model: str, days: float | None) -> dict[str, Any]:
    since = ""
    if days is not None and (ended := now.ended(model)):
        since = _back(ended, days)
    seen = _Seen(now.newest(model, WINDOWS, since))
    found: dict[str, Any] = tidy(
        {
            "model": model,
            "versions": versions(seen.windows),
            "windows": seen.windows,
            "drift": drift(seen.strengths),
            "alerts": [alert(each) for each in now.alerts(model)],
            "findings": seen.findings,
            "retrainings": [one.to_json() for one in now.retrainings(model)],
        }
    )
    return found


class _Seen:
    """Windows in a few figures each. Of whole checks there is one at a time.

    Args:
        newest: windows, the newest first.

    windows: their summaries; strengths: of the newest `SHOWN`; both the oldest first. findings: the newest first.
    """

    def __init__(self, newest: Iterator[Kept]) -> None:
        self.windows: list[dict[str, Any]] = []
        self.strengths: list[dict[str, float]] = []
        self.findings: list[dict[str, Any]] = []
        for window in newest:
            self.windows.append(summary(window))
            if len(self.strengths) < SHOWN:
                self.strengths.append(_strengths(window))
            for finding in window.check["findings"][: _FOUND - len(self.findings)]:
                self.findings.append({"start": window.start, "version": window.version, **_plain(finding)})
        self.windows.reverse()
        self.strengths.reverse()


def _stat(path: Path) -> Any:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _back(moment: str, days: float) -> str:
    """So many days before a moment; '' where the calendar does not reach back so far.

    Moments are compared as texts: without fractions of seconds one is before those with them.
    """
    try:
        return (dt.datetime.fromisoformat(moment) - dt.timedelta(days=days)).isoformat(timespec="seconds")
    except OverflowError:
        return ""


def versions(windows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each version that was seen: since and until when, how many rows, in how many windows, and whether in the newest.

    Args:
        windows: as `summary` has them, the oldest first.
    """
    found: dict[str, dict[str, Any]] = {}
    for window in windows:
        version = window["version"]
        mine = found.setdefault(
            version, {"version": version, "since": window["start"], "rows": 0, "windows": 0}
        )
        mine["until"] = window["end"]
        mine["rows"] += window["rows"]
        mine["windows"] += 1
    newest = max((window["end"] for window in windows), default="")
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


def drift(strength: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """How sure each column's change is, by window: 1 is where it is found, 0 where nothing speaks for it.

    The columns that were found most often come first.

    Args:
        strength: by window and column.
    """
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


def _plain(finding: Mapping[str, Any]) -> dict[str, Any]:
    return {name: finding[name] for name in ("column", "of", "kind", "detector", "text", "p_value")}
