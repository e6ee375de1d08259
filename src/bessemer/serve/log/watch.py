"""The thread of a prediction log that looks once a second: is the segment old, is there something to roll?

It does no work itself. Rolling is done by a process of its own (`roller`), which is started when there is something
to roll and ends when there is nothing left: a thread would hold Python's lock for milliseconds while requests wait,
and the memory of Arrow would stay in the server. One roller works on a folder at a time, whoever started it.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from bessemer.package.prediction_log.layout import segments
from bessemer.serve.log.journal import Journal
from bessemer.serve.log.spec import LogSpec
from bessemer.serve.log.stats import LogStats
from bessemer.serve.log.waiting import waits

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
        self._roller: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0
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
        self._collect()
        if self._roller is None and now >= self._not_before and self._something(now):
            self._start()
            self._retained = now

    def _something(self, now: float) -> bool:
        """Whether a closed segment waits, or old days may have to go, and no roller works on the folder."""
        due = now - self._retained >= _RETENTION_EVERY and (self._spec.keep or self._spec.max_disk)
        folder = self._journal.folder
        closed = (_closed(path) for path in segments(folder) if path != self._journal.own)
        if not due and not any(closed) and not waits(folder, self._spec.sinks):
            return False
        return not _held(folder)

    def _start(self) -> None:
        self._roller = subprocess.Popen(  # noqa: S603 - our own module and settings
            [sys.executable, "-P", "-m", "bessemer.serve.log.roller", self._spec.model_dump_json()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the server's; a roller finishes what it has begun
        )

    def _collect(self, wait: float = 0.0) -> None:
        """Count what a roller that ended did."""
        if self._roller is None:
            return
        try:
            output, _ = self._roller.communicate(timeout=wait or 0.001)
        except subprocess.TimeoutExpired:
            return
        code, self._roller = self._roller.returncode, None
        done: dict[str, Any] = json.loads(output) if code == 0 and output else {}
        failed = done.get("failures", 0) if code == 0 else 1
        self.rolled = replace(
            self.rolled,
            rolled_rows=self.rolled.rolled_rows + done.get("rows", 0),
            rolled_segments=self.rolled.rolled_segments + done.get("segments", 0),
            roll_failures=self.rolled.roll_failures + failed,
            damaged=self.rolled.damaged + done.get("damaged", 0),
        )
        if told := done.get("lost"):
            _LOG.error("rows of the prediction log did not reach a sink: %s", told)
        if failed:
            self._not_before = time.monotonic() + _AFTER_FAILURE
            why = done.get("error") or f"the roller ended with {code}"
            _LOG.error(
                "a part of the prediction log could not be delivered; it is kept for the next try: %s", why
            )

    def stop(self) -> None:
        """End the thread; a roller goes on."""
        self._stopped.set()
        if self.is_alive():
            self.join()

    def finish(self, wait: float) -> None:
        """After `stop`: roll what is there, for at most `wait` seconds."""
        deadline = time.monotonic() + wait
        self._collect(wait)
        if self._roller is None and wait > 0 and self._something(time.monotonic()):
            self._start()
            self._collect(max(0.0, deadline - time.monotonic()))


def _closed(path: Path) -> bool:
    """Whether nobody writes a segment any more."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def _held(folder: Path) -> bool:
    """Whether a roller works on the folder."""
    from bessemer.serve.log.roller import LOCK

    path = folder / LOCK
    return path.exists() and not _closed(path)
