"""The run's side of tracking: lines into a spool file, and a process that reads them.

Importing MLflow takes seconds and a tracking server may be slow or away. None of that is in the way of the
work: `emit` appends a line to a file and returns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bessemer.core import canonical
from bessemer.train.trackers.plugins import TRACKERS
from bessemer.train.trackers.spec import TrackSpec
from bessemer.train.trackers.tracker import Status


@dataclass(frozen=True)
class TrackConfig:
    """What the worker needs to know: the run's id, the project's name, its .bessemer folder, and the trackers.

    trackers: name -> setting (`auto` or an address), only those to be fed.
    """

    run: str
    project: str
    folder: str
    trackers: Mapping[str, str] = field(default_factory=dict)


def configure(spec: TrackSpec, *, run: str, project: str, folder: Path) -> TrackConfig:
    """The trackers that the project file asks for. `auto` means: where the package is installed, and the environment
    does not say `BESSEMER_TRACK=off`.

    An address for a tracker that is not installed stays in, so that it is warned of.
    """
    wanted = {"mlflow": spec.mlflow, "tensorboard": spec.tensorboard}
    off = os.environ.get("BESSEMER_TRACK") == "off"
    kept = {
        name: setting
        for name, setting in wanted.items()
        if setting != "off" and not (setting == "auto" and (off or TRACKERS.ref(name).missing()))
    }
    return TrackConfig(run, project, str(folder.absolute()), kept)


class TrackerProcess:
    """A process that feeds the trackers. Nothing it does or fails to do ends the run.

    Kinds that `emit` takes: `params` {name: value}, `metric` {name, value, step}, `tags` {name: value} and
    `artifacts` {path: a file or folder}. Others are ignored.

    Args:
        spool: a file that does not exist yet; the worker removes it when all is told. Its messages go into a
            file beside it, `.log`.
    """

    def __init__(self, spool: Path, config: TrackConfig) -> None:
        self.spool, self.config = spool, config
        self._warnings: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._file: Any = None
        if not config.trackers:
            return
        try:
            self._start()
        except OSError as error:
            self._give_up(error)

    def _start(self) -> None:
        self.spool.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.spool.open("x", encoding="utf-8")
        self.emit("start", asdict(self.config))
        module = "bessemer.train.trackers.worker"
        command = [sys.executable, "-P", "-m", module, str(self.spool), str(os.getpid())]
        with self.spool.with_suffix(".log").open("wb") as log:
            # a session of its own: Ctrl-C ends the run, and the worker stays to say so
            self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def emit(self, kind: str, data: Mapping[str, Any]) -> None:
        """Append an event; takes some microseconds and never raises for the file system's sake."""
        if self._file is None:
            return
        try:
            self._file.write(canonical.dumps({"kind": kind, "data": data}) + "\n")
            self._file.flush()
        except OSError as error:
            self._give_up(error)

    def close(self, timeout: float = 2.0, status: Status = "FINISHED") -> list[str]:
        """End the run's record and wait up to `timeout` seconds; a worker that needs longer ends by itself.

        Returns:
            what went wrong, a text each.
        """
        self.emit("end", {"status": status})
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None
        if self._process is not None:
            self._wait(timeout)
        return self._warnings

    def _wait(self, timeout: float) -> None:
        assert self._process is not None
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            _reap_later(self._process)
            return
        failures = self.spool.with_suffix(".failed")
        if failures.exists():
            self._warnings += json.loads(failures.read_text(encoding="utf-8"))
        elif code != 0:
            last = self.spool.with_suffix(".log").read_text(encoding="utf-8", errors="replace").strip()
            reason = last.splitlines()[-1] if last else "no message"
            self._warnings.append(f"tracking stopped (exit code {code}): {reason}")

    def _give_up(self, error: OSError) -> None:
        self._file = None
        self._warnings.append(f"tracking stopped: {error}")


def _reap_later(process: subprocess.Popen[bytes]) -> None:
    """Collect the exit of a worker that outlives `close`, so that it does not stay a zombie of a long session."""
    import threading

    threading.Thread(target=process.wait, name="tracker", daemon=True).start()
