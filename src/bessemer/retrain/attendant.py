"""Training again while a log is watched: in a process of its own, so that watching goes on meanwhile."""

from __future__ import annotations

import datetime as dt
import logging
import subprocess
import sys
from typing import TYPE_CHECKING

from bessemer.core.errors import BessemerError
from bessemer.retrain.records import Retraining
from bessemer.retrain.retrainer import Retrainer, utc_now
from bessemer.retrain.triggers import Reason, due

if TYPE_CHECKING:
    from bessemer.monitor.store import MonitorStore
    from bessemer.package.model import Model


log = logging.getLogger("bessemer.retrain")


class Attendant:
    """Begins a retraining when its time has come, one at a time, and says when it has ended.

    Args:
        retrainer: of the project whose model is watched. store: the monitor's.
    """

    def __init__(self, retrainer: Retrainer, store: MonitorStore) -> None:
        self._retrainer, self._store = retrainer, store
        self._process: subprocess.Popen[bytes] | None = None
        self._resumed = False

    def tick(self, model: Model, name: str) -> Retraining | None:
        """Begin what is due; gives a retraining once it has ended.

        Args:
            model: that is watched. name: of the model at the server.
        """
        if self._process is not None:
            return self._ended()
        try:
            reason = self._reason(model, name)
        except BessemerError as error:  # the sources or the server are away: watching goes on
            log.warning("cannot tell whether to train again: %s", str(error).splitlines()[0])
            return None
        if reason is not None:
            project = str(self._retrainer.project.file.path)
            command = [sys.executable, "-m", "bessemer", "retrain", project]
            command += ["--cause", reason.cause, "--because", reason.text]
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
        return None

    def wait(self) -> Retraining | None:
        """Wait for the end of what has begun."""
        if self._process is None:
            return None
        self._process.wait()
        return self._ended()

    def _ended(self) -> Retraining | None:
        if self._process is None or self._process.poll() is None:
            return None
        self._process = None
        return self._retrainer.records.latest(self._retrainer.project.name)

    def _reason(self, model: Model, name: str) -> Reason | None:
        if not self._resumed:  # once: what failed without a word is not begun again and again
            self._resumed = True
            if one := self._retrainer.unfinished():
                return Reason(one.cause, one.reason)  # type: ignore[arg-type]
        windows = self._store.windows(name, model.version)
        return due(
            self._retrainer.spec,
            windows,
            self._retrainer.records.latest(self._retrainer.project.name),
            _made(model),
            utc_now(),
            lambda: self._retrainer.more_rows(self._retrainer.champion()),
        )


def _made(model: Model) -> dt.datetime:
    made = dt.datetime.fromisoformat(model.manifest.created)
    return made.astimezone(dt.UTC).replace(tzinfo=None)
