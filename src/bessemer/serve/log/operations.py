"""Writes what the process has done beside the prediction log: a line an interval, from a thread of its own.

The counters are those of the metrics; a line has their growth. See `package.prediction_log.operations` for the format.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from bessemer.package.prediction_log import layout
from bessemer.package.prediction_log.operations import FOLDER, FORMAT, SUFFIX
from bessemer.serve.batching import Lane
from bessemer.serve.deployments.canary import since
from bessemer.serve.dialect import Subject
from bessemer.serve.telemetry.facts import ServerFacts, Usage, usage

_LOG = logging.getLogger("bessemer.serve.log")


class Operations:
    """Appends a line at each multiple of `every` seconds, and the rest at the end.

    Args:
        folder: of the prediction log. every: seconds. keep: days older than so many seconds are removed; None: none.
        lanes, server: give the numbers of the moment.
        clock: Unix time; steady: seconds that are never set back; used: what the process uses.
    """

    def __init__(
        self,
        folder: Path,
        every: float,
        keep: float | None,
        lanes: Callable[[], Iterable[Lane]],
        server: Callable[[], ServerFacts],
        clock: Callable[[], float] = time.time,
        used: Callable[[], Usage | None] = lambda: usage(os.getpid()),
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root, self._every, self._keep = folder / FOLDER, every, keep
        self._lanes, self._server, self._clock, self._used = lanes, server, clock, used
        self._steady = steady
        self._name = f"{os.getpid()}-{round(clock() * 1000):x}{SUFFIX}"
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="bessemer-operations", daemon=True)
        # what is counted already was told by the process whose place this one took
        self._models: dict[Subject, dict[str, Any]] = {
            lane.subject: lane.subject.statistics.snapshot() for lane in lanes()
        }
        self._refused: Mapping[str, int] = {}
        self._dropped: Mapping[str, int] = {}
        self._cpu = 0.0
        self._told = False
        self._last, self._wrote, self._ahead = clock(), steady(), False

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        while not self._end.wait(self._every - self._clock() % self._every):
            now = self._clock()
            self._try(now - now % self._every)

    def _try(self, moment: float) -> None:
        try:
            self.write(moment)
        except OSError as error:
            _LOG.error("what the server does cannot be written down (%s)", error)

    def write(self, moment: float) -> None:
        """Append what was done since the last time; `moment` (Unix time) is said to be its end, if it is later.

        Raises:
            OSError: it cannot be written; then the next line has it.
        """
        with self._lock:
            moment, wrote, ahead = self._onwards(moment)
            server, used = self._server(), self._used()
            models = {
                lane.subject: (lane.subject.statistics.snapshot(), lane.waiting) for lane in self._lanes()
            }
            refused = {str(status): count for status, count in server.refused.items()}
            line: dict[str, Any] = {
                "format": FORMAT,
                "time": moment,
                "seconds": max(0.0, moment - self._last),
                "models": [
                    grown
                    for subject, (now, waiting) in models.items()
                    if (grown := _grown(subject, now, self._models.get(subject, {}), waiting))
                ],
                "refused": _more(refused, self._refused),
                "dropped": _more(server.dropped, self._dropped),
            }
            if used is not None:
                line |= {"cpu": round(used.cpu - self._cpu, 3), "memory": used.memory}
            if not self._told and server.cold_start:
                line["cold_start"] = round(server.cold_start, 3)
            self._append(moment, line)
            self._models = {subject: now for subject, (now, _) in models.items()}
            self._refused, self._dropped, self._last = refused, dict(server.dropped), moment
            self._wrote, self._ahead = wrote, ahead
            self._cpu = used.cpu if used is not None else 0.0
            self._told = self._told or "cold_start" in line

    def _onwards(self, moment: float) -> tuple[float, float, bool]:
        """The line's time, the steady clock's, and whether the first is ahead of the clock that was set back.

        A time that was read already is never told again, so that what is done then is counted, and once: time goes on
        as if nothing had happened, then half as fast until the clock is where it was.
        """
        now = self._steady()
        if moment > self._last:
            return moment, now, False
        passed = now - self._wrote
        return self._last + (passed / 2 if self._ahead else passed), now, True

    def _append(self, moment: float, line: Mapping[str, Any]) -> None:
        folder = self._root / f"date={layout.day_of(moment)}"
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            self._forget(moment)
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        path = folder / self._name
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            size = os.fstat(handle).st_size
            if os.write(handle, data) < len(data):  # the disk is full: nothing of it stays
                os.ftruncate(handle, size)
                raise OSError(28, "no space is left", str(path))
        finally:
            os.close(handle)

    def _forget(self, moment: float) -> None:
        """Remove days that are too old."""
        if self._keep is None:
            return
        first = layout.day_of(max(0.0, moment - self._keep))
        for day in self._root.iterdir():
            if day.name.startswith("date=") and day.name.removeprefix("date=") < first:
                for path in day.glob("*" + SUFFIX):
                    path.unlink(missing_ok=True)
                if not any(day.iterdir()):
                    day.rmdir()

    def close(self, wait: float = 5.0) -> None:
        """Write what is left; for at most so many seconds."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(wait)
        self._try(self._clock())


def _grown(
    subject: Subject, now: Mapping[str, Any], before: Mapping[str, Any], waiting: int
) -> dict[str, Any] | None:
    """What a version has done since; None where that is nothing."""
    done = since({name: value for name, value in now.items() if name != "last"}, before)
    done = {name: _short(value) for name, value in done.items() if _any(value)}
    if not done and not waiting:
        return None
    return {"model": subject.name, "version": subject.version, "waiting": waiting, "done": done}


def _any(value: Any) -> bool:
    return (
        any(value.values())
        if isinstance(value, dict)
        else any(value)
        if isinstance(value, list)
        else bool(value)
    )


def _short(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value


def _more(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {name: more for name, count in now.items() if (more := count - before.get(name, 0))}
