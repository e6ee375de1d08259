"""The thread of a prediction log that looks once a second: is the segment old, is there something to deliver?

It does no work itself. Rolling is done by a process of its own (`roller`), which is started when there is something
to roll and ends when there is nothing left: a thread would hold Python's lock for milliseconds while requests wait,
and the memory of Arrow would stay in the server. One roller works on a folder at a time, whoever started it, and beside
it one process for each sink which others do not wait for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from bessemer.package.prediction_log.layout import segments
from bessemer.serve.log.helper import Helper
from bessemer.serve.log.journal import Journal
from bessemer.serve.log.locks import released
from bessemer.serve.log.plugins import SINKS
from bessemer.serve.log.roller import LOCK
from bessemer.serve.log.spec import LogSpec
from bessemer.serve.log.stats import LogStats
from bessemer.serve.log.waiting import lock_of, waits

_LOG = logging.getLogger("bessemer.serve.log")
_TICK = 1.0
_AFTER_FAILURE = 30.0
_RETENTION_EVERY = 3600.0


class Watcher(threading.Thread):
    """Rolls by age, flushes, starts rollers and counts what they did (`rolled`)."""

    def __init__(self, journal: Journal, spec: LogSpec, lock: threading.Lock) -> None:
        super().__init__(name="bessemer-log", daemon=True)
        self.rolled = LogStats()
        self._journal, self._spec, self._lock = journal, spec, lock
        self._stopped = threading.Event()
        self._roller = Helper(spec, journal.folder / LOCK)
        self._beside = {
            name: Helper(spec, journal.folder / lock_of(name), name)
            for name in spec.sinks
            if SINKS.load(name).beside
        }
        self._retained = time.monotonic()

    def run(self) -> None:
        while not self._stopped.is_set():
            wait = _TICK
            try:
                self.look(time.monotonic())
            except OSError as error:
                _LOG.warning("the prediction log cannot be looked after: %s", error)
                wait = _AFTER_FAILURE
            self._stopped.wait(wait)

    def look(self, now: float) -> None:
        """What is due now."""
        own = self._journal.own
        if self._journal.age(now) >= self._spec.roll_age or (own is not None and not own.exists()):
            with self._lock:
                self._journal.roll()
        if self._spec.fsync == "interval":
            self._journal.flush()
        if self._spec.max_disk is not None:
            self._journal.blocked = self._journal.pending()[1] > self._spec.max_disk
        self._collect([self._roller, *self._beside.values()])
        for helper in self._due(now):
            if now >= helper.not_before:
                self._start(helper, now)

    def _due(self, now: float) -> list[Helper]:
        """Those that have something to do, and whose like does not run on the folder."""
        found = [self._roller] if self._something(now) else []
        folder = self._journal.folder
        found += [helper for name, helper in self._beside.items() if waits(folder, [name])]
        return [helper for helper in found if helper.free]

    def _something(self, now: float) -> bool:
        """Whether a closed segment is there, or old days may have to go."""
        if now - self._retained >= _RETENTION_EVERY and (self._spec.keep or self._spec.max_disk):
            return True
        return any(released(path) for path in segments(self._journal.folder) if path != self._journal.own)

    def _start(self, helper: Helper, now: float) -> None:
        helper.start()
        if helper is self._roller:
            self._retained = now

    def _collect(self, helpers: Iterable[Helper], until: float = 0.0) -> None:
        """Count what those that ended did, or end until then (monotonic)."""
        for helper in helpers:
            done = helper.collect(until - time.monotonic())
            if done is not None:
                self._count(done)
                if done["failures"]:
                    helper.not_before = time.monotonic() + _AFTER_FAILURE

    def _count(self, done: dict[str, Any]) -> None:
        self.rolled = replace(
            self.rolled,
            rolled_rows=self.rolled.rolled_rows + done.get("rows", 0),
            rolled_segments=self.rolled.rolled_segments + done.get("segments", 0),
            roll_failures=self.rolled.roll_failures + done["failures"],
            damaged=self.rolled.damaged + done.get("damaged", 0),
        )
        if told := done.get("lost"):
            _LOG.error("rows of the prediction log did not reach a sink: %s", told)
        if done["failures"]:
            why = done["error"]
            _LOG.error(
                "a part of the prediction log could not be delivered; it is kept for the next try: %s", why
            )

    def stop(self) -> None:
        """End the thread; the processes go on."""
        self._stopped.set()
        if self.is_alive():
            self.join()

    def finish(self, wait: float) -> None:
        """After `stop`: deliver what is there, for at most `wait` seconds; first the files."""
        until = time.monotonic() + wait
        for helpers in ([self._roller], list(self._beside.values())):
            self._collect(helpers, until)
            if time.monotonic() >= until:
                return
            for helper in self._due(time.monotonic()):
                if helper in helpers:
                    helper.start()
            self._collect(helpers, until)
