"""What the workers of a server tell each other: which state each follows, and what each has done. A file each."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from bessemer.core.store import write_atomic

log = logging.getLogger("bessemer.serve")

#: How long a change waits for the other workers to follow it.
_PATIENCE = 120.0


class Peers:
    """The files of the workers in a folder; this one is `worker` of `workers`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     one, two = Peers(Path(folder), 0, 2), Peers(Path(folder), 1, 2)
    ...     two.write_statistics({"models": {"churn": {"requests": 3}}})
    ...     one.others("models")
    [{'churn': {'requests': 3}}]
    """

    def __init__(self, folder: Path, worker: int, workers: int) -> None:
        self._folder, self._worker, self._workers = folder / "workers", worker, workers
        self._folder.mkdir(parents=True, exist_ok=True)

    def follow(self, generation: int, errors: dict[str, dict[str, Any]]) -> None:
        """Tell that this worker follows a generation of the state, and what of it could not be loaded."""
        done = {"pid": os.getpid(), "generation": generation, "errors": errors}
        write_atomic(self._path(self._worker, "json"), orjson.dumps(done))

    def wait(self, generation: int, going_on: Callable[[], bool] = lambda: True) -> dict[str, Any]:
        """Wait until every worker follows a generation; gives what went wrong in any of them.

        Args:
            going_on: False once this worker stops: the others stop, too, and follow nothing more.
        """
        end = time.monotonic() + _PATIENCE
        errors: dict[str, Any] = {}
        for worker in range(self._workers):
            path = self._path(worker, "json")
            while True:
                told: dict[str, Any] = (
                    orjson.loads(path.read_bytes()) if path.exists() else {"generation": -1}
                )
                if told["generation"] >= generation:
                    errors |= told["errors"]
                    break
                if time.monotonic() > end or not going_on():
                    log.error("worker %d does not follow generation %d", worker, generation)
                    break
                time.sleep(0.02)
        return errors

    def write_statistics(self, told: dict[str, dict[str, Any]]) -> None:
        """Tell what this worker has done: {kind: {name: figures}}. Quick."""
        path = self._path(self._worker, "stats")
        part = path.with_suffix(".part")
        part.write_bytes(orjson.dumps(told))  # not flushed to the disk: it is called on the event loop
        part.replace(path)

    def note_restarts(self, count: int) -> None:
        """Tell how many workers were started anew (the supervisor does)."""
        (self._folder / "restarts").write_text(str(count))

    def restarts(self) -> int:
        """How many workers were started anew."""
        try:
            return int((self._folder / "restarts").read_text() or "0")
        except (OSError, ValueError):
            return 0

    def own(self, kind: str) -> dict[str, Any]:
        """What the worker of this number had told before it died; {} where there was none."""
        return dict(self._read(self._worker).get(kind, {}))

    def others(self, kind: str) -> list[dict[str, Any]]:
        """What the other workers have told of one kind, about a second ago."""
        return [told.get(kind, {}) for told in self.told()]

    def told(self) -> list[dict[str, Any]]:
        """All that the other workers have told, each file read once."""
        return [self._read(worker) for worker in range(self._workers) if worker != self._worker]

    def _read(self, worker: int) -> dict[str, Any]:
        try:
            found: dict[str, Any] = orjson.loads(self._path(worker, "stats").read_bytes())
        except (OSError, ValueError):
            return {}
        return found

    def _path(self, worker: int, kind: str) -> Path:
        return self._folder / f"{worker}.{kind}"
