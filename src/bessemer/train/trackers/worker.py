"""The process that feeds the trackers: `python -m bessemer.train.trackers.worker SPOOL PARENT_PID`.

It follows the spool file until the `end` line. Where the run dies without one (SIGKILL, a crash, power), it
finds its parent gone, writes what is left and marks the run KILLED.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bessemer.core.redaction import hidden, remember_environment
from bessemer.core.store import write_atomic
from bessemer.train.trackers.plugins import TRACKERS
from bessemer.train.trackers.tracker import RunInfo, Status, Tracker

_POLL_SECONDS = 0.2
#: Points kept back at most before they are sent.
_BATCH = 1000


class Feed:
    """The trackers of one run; one that fails is left out from then on, and the others go on."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.failures: list[str] = []
        self._points: list[tuple[str, float, int]] = []
        self._trackers: dict[str, Tracker] = {}
        for name, setting in config["trackers"].items():
            info = RunInfo(config["run"], config["project"], Path(config["folder"]), setting)
            self._guarded(name, self._start, name, info)

    def _start(self, name: str, info: RunInfo) -> None:
        tracker = TRACKERS.load(name)()
        tracker.start(info)
        self._trackers[name] = tracker

    def _guarded(self, name: str, call: Any, *arguments: Any) -> None:
        """A tracker is somebody else's library talking to somebody else's server: here any failure ends."""
        try:
            call(*arguments)
        except Exception as error:  # noqa: BLE001 - the border to trackers
            sys.stderr.write(hidden(traceback.format_exc()))
            self._trackers.pop(name, None)
            self.failures.append(hidden(f"tracking in {name} stopped: {type(error).__name__}: {error}"))

    def _each(self, method: str, *arguments: Any) -> None:
        for name, tracker in list(self._trackers.items()):
            self._guarded(name, getattr(tracker, method), *arguments)

    def take(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "metric":
            value = float("nan") if data["value"] is None else float(data["value"])
            self._points.append((str(data["name"]), value, int(data.get("step", 0))))
            if len(self._points) >= _BATCH:
                self.flush()
        elif kind == "params":
            self._each("log_params", {str(k): str(v) for k, v in data.items()})
        elif kind == "tags":
            self._each("log_tags", {str(k): str(v) for k, v in data.items()})
        elif kind == "artifacts":
            self._each("log_artifacts", Path(data["path"]))

    def flush(self) -> None:
        """Send the points that wait."""
        if self._points:
            self._each("log_metrics", self._points)
            self._points = []

    def finish(self, status: Status) -> None:
        self.flush()
        self._each("finish", status)


def events(spool: Path, parent: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of the spool as they come; `idle` when there is none, `end` with KILLED when the run is gone."""
    with spool.open("rb") as file:
        rest = b""
        while True:
            alive = os.getppid() == parent  # before reading: what a dying run wrote last is still read
            *lines, rest = (rest + file.read()).split(b"\n")
            for line in lines:
                event = json.loads(line)
                yield event["kind"], event["data"]
            if not lines:
                yield "idle", {}
                if not alive:
                    yield "end", {"status": "KILLED"}
                time.sleep(_POLL_SECONDS)


def follow(spool: Path, parent: int) -> list[str]:
    """Feed the trackers until the run ends. Returns what went wrong, a text each."""
    stream = events(spool, parent)
    _, config = next(event for event in stream if event[0] == "start")
    feed = Feed(config)
    for kind, data in stream:
        if kind == "idle":
            feed.flush()
        elif kind == "end":
            feed.finish(data["status"])
            break
        else:
            feed.take(kind, data)
    return feed.failures


def main() -> None:
    remember_environment()
    spool, parent = Path(sys.argv[1]), int(sys.argv[2])
    failures = follow(spool, parent)
    if failures:
        write_atomic(spool.with_suffix(".failed"), json.dumps(failures).encode())
    else:
        spool.with_suffix(".log").unlink(missing_ok=True)
    spool.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
