"""Watching a prediction log: each window is looked at once it is whole, and again when its labels have come."""

from __future__ import annotations

import datetime as dt
import logging
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.core import plugin_settings
from bessemer.core.errors import DataError
from bessemer.core.lock import Busy, exclusive
from bessemer.core.redaction import hidden
from bessemer.core.sql import literal, quote
from bessemer.monitor.alerts.outbox import Outbox
from bessemer.monitor.check import Check, compared, decide
from bessemer.monitor.finding import TESTED, Test
from bessemer.monitor.joint import check_parts
from bessemer.monitor.judge import SEED, judged
from bessemer.monitor.monitor import Monitor
from bessemer.monitor.plugins import WATCHERS, Watcher, parts_read
from bessemer.monitor.scan import scan
from bessemer.monitor.spec import MonitorSpec
from bessemer.monitor.steady import FAULTS
from bessemer.monitor.store import Kept, MonitorStore
from bessemer.monitor.tables import opened
from bessemer.monitor.watching.logged import LoggedWindow, filled, read_window, said
from bessemer.monitor.watching.suspects import act
from bessemer.monitor.watching.watched import Said, Watched

log = logging.getLogger("bessemer.monitor")

#: By how much clocks may differ.
_SLACK = dt.timedelta(hours=1)
_BUSY = Busy(
    "another monitor watches this version in this store",
    "two would look at every window twice, and remember it twice",
    "end one of them, or name another store: --store FILE",
)


class Watch:
    """Watches what a server logs of one version of a model.

    Args:
        monitor: of the package that is served.
        log: the folder of the prediction log.
        store: where windows are kept; what is there is not looked at twice.
        spec: the settings.
        name: the model's name at the server, where it is not the package's.

    `tick` does what is due and may be called as often as one likes; one process at a time has the version in a store.
    """

    def __init__(
        self, monitor: Monitor, log: Path, store: MonitorStore, spec: MonitorSpec, name: str = ""
    ) -> None:
        self._monitor, self._log, self._store, self._spec = monitor, log, store, spec
        self.model = monitor.model
        self.name, self.version = name or monitor.model.name, monitor.model.version
        self.outbox = Outbox(store, spec.alerts)
        check_parts(monitor.reference, parts_read(spec.detectors))
        self._watchers: dict[str, Watcher] = plugin_settings.opened(spec.watchers, WATCHERS)
        for watcher in self._watchers.values():
            if (ask := getattr(watcher, "check", None)) is not None:
                ask(self.model, monitor.reference)
        if not log.is_dir():
            raise DataError(
                f"no prediction log in '{log}'",
                fix="serve with `serve: {log: true}`, or name it: --log FOLDER",
            )

    def tick(self, now: dt.datetime) -> Iterator[Kept]:
        """Look at every window that is whole by now, and again at those whose labels may have come; the oldest first.

        Args:
            now: naive, UTC.
        """
        with exclusive(self._store.lock(self.name, self.version), busy=_BUSY):
            self._retract(now)
            yield from self._again(now)
            yield from self._whole(now)
            oldest = _text(now - dt.timedelta(seconds=self._spec.keep))
            self._store.forget(oldest)
            self.outbox.lapse(self.name, now)
            self.outbox.forget(oldest)

    def _retract(self, now: dt.datetime) -> None:
        """A clock that was ahead has left windows of a time to come: they are looked at again when it is there."""
        ahead = self._store.retract(self.name, self.version, _text(now + _SLACK))
        if ahead:
            log.warning(
                "%d windows of %s %s end in the future: this machine's clock was ahead, or is behind now; they are "
                "looked at again in their time",
                ahead,
                self.name,
                self.version,
            )

    def _whole(self, now: dt.datetime) -> Iterator[Kept]:
        """The windows that are whole by now and were never looked at."""
        spec = self._spec
        last = self._store.last(self.name, self.version)
        # what would be forgotten at once is not looked at: a log may reach further back than the store
        oldest = now - dt.timedelta(seconds=spec.keep)
        start = None if last is None else dt.datetime.fromisoformat(last)
        start = None if start is not None and start < oldest else start
        whole = filled(
            self._log,
            self.name,
            self.version,
            (start or oldest, now),
            spec.every,
            spec.rows,
            goes_on=start is not None,
            longest=spec.silence,
        )
        for begin, end in whole:
            yield self._look(begin, end, now, looks=1)

    def _again(self, now: dt.datetime) -> Iterator[Kept]:
        """The windows that have come of age since they were last looked at, however long nobody has watched."""
        ages = sorted(self._spec.again)
        for start, end, looks in self._store.unfinished(self.name, self.version, len(ages)):
            due = sum((now - dt.datetime.fromisoformat(end)).total_seconds() >= age for age in ages)
            if looks <= due:
                (window,) = self._store.windows(self.name, self.version, start, most=1, oldest=True)
                begun, done = (dt.datetime.fromisoformat(moment) for moment in (start, end))
                yield self._look(begun, done, now, looks=due + 1, earlier=window)

    def _look(
        self,
        start: dt.datetime,
        end: dt.datetime,
        now: dt.datetime,
        *,
        looks: int,
        earlier: Kept | None = None,
    ) -> Kept:
        """Check a window and keep what was found, and what is to be told of it."""
        signature = self._monitor.model.signature
        with tempfile.TemporaryDirectory(prefix="bessemer-monitor-") as folder:
            path = Path(folder) / "window.parquet"
            window = read_window(self._log, self.name, self.version, signature, start, end, path)
            found, memories = self._check(window, now, looks)
        check: Mapping[str, Any] = found.to_json()
        rows = window.rows
        if earlier is not None:
            # rows that are gone from the log since were looked at: what was found then holds
            gone = rows < earlier.rows
            check, rows = (earlier.check, earlier.rows) if gone else (carried(check, earlier.check), rows)
        kept = Kept(self.name, self.version, _text(start), _text(end), rows, looks, check)
        self._store.keep(kept, memories, lambda connection: self.outbox.judge(connection, kept, now, earlier))
        return kept

    def _check(self, window: LoggedWindow, now: dt.datetime, looks: int) -> tuple[Check, dict[str, Any]]:
        """What is found, and what watchers will remember of it."""
        reference, model = self._monitor.reference, self._monitor.model
        tests: list[Test] = []
        figures = None
        if window.rows:
            scored = said(window, model.signature, reference.outputs.columns, np.random.default_rng(SEED))
            outputs, figures = judged(reference, scored, model, self._spec.detectors)
            tests = [*self._inputs(window), *outputs]
        shown: dict[str, Any] = {}
        answers = dict(self._watched(window, now, looks))
        for name, answer in answers.items():
            tests += answer.tests
            shown[name] = dict(answer.figures)
        check = decide(tests, window.rows, self._spec.false_alarm, figures, shown)
        told = {(name, client) for name, answer in answers.items() for client in answer.only_told}
        meant = [each for each in check.findings if (each.detector, each.column) not in told]
        if looks == 1 and (done := act(self._spec.suspects, meant, window.end, now)):
            check = replace(check, figures={**check.figures, "suspects": done})
        return check, _memories(answers, check) if looks == 1 else {}

    def _inputs(self, window: LoggedWindow) -> list[Test]:
        named = ", ".join(f"{quote('in.' + name)} AS {quote(name)}" for name in window.inputs)
        if not named:
            return []
        reference = self._monitor.reference.of(window.inputs)
        relation = f"(SELECT {named} FROM read_parquet({literal(window.path)}))"
        with opened(window.path) as (connection, _):
            seen = scan(connection, relation, reference, parts_read(self._spec.detectors))
            seen = self._monitor.held(connection, relation, seen)
        return compared(reference, seen, self._spec.detectors)

    def _watched(self, window: LoggedWindow, now: dt.datetime, looks: int) -> Iterator[tuple[str, Said]]:
        """What each watcher says of a window."""
        remembered = self._store.memories(self.name, self.version)
        for name, watcher in self._watchers.items():
            if (looks > 1 and not watcher.again) or not (window.rows or getattr(watcher, "empty", False)):
                continue
            watched = Watched(
                self._monitor.model,
                self._monitor.reference,
                self.name,
                window,
                self._log,
                now,
                looks,
                remembered.get(name, {}),
                self._spec.false_alarm,
                np.random.default_rng(SEED),
                slo=self._spec.slo,
            )
            yield name, _said(name, watcher, watched)


def _said(name: str, watcher: Watcher, watched: Watched) -> Said:
    """What a watcher says; one that fails, a plug-in perhaps, ends neither the others nor the watch, and is told of."""
    try:
        return watcher.watch(watched)
    except FAULTS:  # the machine is at fault: the window is looked at again
        raise
    except Exception as error:  # the border: plug-ins of others run here
        log.warning("the watcher '%s' failed", name, exc_info=True)
        why = hidden(f"{type(error).__name__}: {error}").splitlines()[0]
        told = f"the watcher '{name}' failed, and says nothing of this window: {why}"
        failed = Test(name, f"watcher {name}", "operations", "failures", 1, told, of="service")
        return Said((failed,), {"failed": why}, watched.memory)


def carried(now: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """A check of a window that is looked at again, with what an earlier look found that this one did not ask.

    Watchers that remember look once: what they said of the window holds on.
    """
    merged = {
        key: {
            name: {**earlier[key].get(name, {}), **now[key].get(name, {})}
            for name in {**earlier[key], **now[key]}
        }
        for key in TESTED.values()
    }
    held = [
        each
        for each in earlier["findings"]
        if each["detector"] not in now[TESTED[each["of"]]].get(each["column"], {})
    ]
    findings = [*now["findings"], *held]
    figures = {**earlier["figures"], **now["figures"]}
    return {**now, **merged, "findings": findings, "figures": figures, "alarm": bool(findings)}


def _memories(answers: Mapping[str, Said], check: Check) -> dict[str, Any]:
    """What watchers will remember; one that was right may begin anew."""
    found = {finding.detector for finding in check.findings}
    return {
        name: answer.memory if answer.memory_if_found is None or name not in found else answer.memory_if_found
        for name, answer in answers.items()
    }


def _text(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def describe(window: Kept) -> dict[str, Any]:
    """A window as one JSON object."""
    return {
        "model": window.model,
        "version": window.version,
        "start": window.start,
        "end": window.end,
        "looks": window.looks,
        **window.check,
    }
