"""Training again while a log is watched: in a process of its own, so that watching goes on meanwhile."""

from __future__ import annotations

import datetime as dt
import logging
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.core.errors import BessemerError
from bessemer.retrain.records import Retraining
from bessemer.retrain.retrainer import Retrainer, utc_now
from bessemer.retrain.triggers import Reason, due

if TYPE_CHECKING:
    from bessemer.monitor.store import MonitorStore
    from bessemer.package.model import Model


log = logging.getLogger("bessemer.retrain")


#: New data are looked for no more often: their sources are read for it.
_DATA_EVERY = dt.timedelta(hours=1)


class Attendant:
    """Begins a retraining when its time has come, one at a time, and says when it has ended.

    Args:
        retrainer: of the project whose model is watched. store: the monitor's.
    """

    def __init__(self, retrainer: Retrainer, store: MonitorStore) -> None:
        self._retrainer, self._store = retrainer, store
        self._process: subprocess.Popen[bytes] | None = None
        self._before: Retraining | None = None
        self._resumed = False
        self._pause = dt.timedelta(seconds=min(86_400.0, max(60.0, 1 / retrainer.spec.at_most)))
        self._next = self._data = utc_now()

    def tick(self, model: Model, name: str, package: str) -> Retraining | None:
        """Begin what is due; gives a retraining once it has ended.

        Args:
            model: that is watched, of `package`. name: of the model at the server.
        """
        if self._process is not None:
            return self._ended()
        try:
            reason = self._reason(model, name, Path(package)) if utc_now() >= self._next else None
        except BessemerError as error:  # the sources or the server are away: watching goes on
            log.warning("cannot tell whether to train again: %s", str(error).splitlines()[0])
            return None
        if reason is not None:
            self._begin(reason, package)
        return None

    def _begin(self, reason: Reason, package: str) -> None:
        project = self._retrainer.project
        command = [sys.executable, "-P", "-m", "bessemer", "retrain", str(project.file.path)]
        command += [
            "--store",
            str(self._store.path.resolve()),
            "--cause",
            reason.cause,
            "--because",
            reason.text,
        ]
        if self._retrainer.spec.deploy is None and "://" not in package:
            command += ["--champion", str(Path(package).resolve())]
        self._before = self._retrainer.records.latest(project.name)
        # also where it ends without a record: it is not begun again at once
        self._next = utc_now() + self._pause
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program

    def wait(self) -> Retraining | None:
        """Wait for the end of what has begun."""
        if self._process is None:
            return None
        self._process.wait()
        return self._ended()

    def _ended(self) -> Retraining | None:
        """What the process has made; None while it is at work, and where it has written nothing down."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        self._process = None
        made, before = self._retrainer.records.latest(self._retrainer.project.name), self._before
        if made is None or (before is not None and made.id == before.id and before.step == "ended"):
            log.warning(
                "training again ended with code %d before it had begun; it is tried again later", code
            )
            return None
        return made if made.step == "ended" else None

    def _reason(self, model: Model, name: str, package: Path) -> Reason | None:
        if not self._resumed:
            self._resumed = True
            if one := self._retrainer.unfinished():
                return Reason(one.cause, one.reason)  # type: ignore[arg-type]
        spec = self._retrainer.spec
        latest = self._retrainer.records.latest(self._retrainer.project.name)
        windows = self._store.windows(name, model.version, most=spec.windows)
        return due(spec, windows, latest, _made(model), utc_now(), lambda: self._more_rows(package))

    def _more_rows(self, package: Path) -> float:
        if utc_now() < self._data:
            return 0.0
        self._data = utc_now() + _DATA_EVERY
        champion = self._retrainer.champion() if self._retrainer.spec.deploy is not None else package
        return self._retrainer.more_rows(champion)

    def current(self, package: str) -> str:
        """The package to watch: the one that was named, or the one that has taken its place since."""
        known = Path(package).resolve() if "://" not in package else None
        for one in self._retrainer.records.all(self._retrainer.project.name):
            if one.serves and known == Path(one.champion):
                known = Path(one.package)
        return package if known is None or known == Path(package).resolve() else str(known)


def _made(model: Model) -> dt.datetime:
    made = dt.datetime.fromisoformat(model.manifest.created)
    return made.astimezone(dt.UTC).replace(tzinfo=None)
