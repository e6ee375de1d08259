"""What `bessemer monitor watch` does until it is ended: look, tell, deliver, train again, go over to what is served."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.cli._monitor_metrics import told
from bessemer.core.errors import BessemerError, UsageError
from bessemer.monitor.alerts.courier import Couriers
from bessemer.monitor.monitor import Monitor
from bessemer.monitor.steady import Steady
from bessemer.monitor.watch import Watch
from bessemer.package.prediction_log.read import read_log, versions_in

if TYPE_CHECKING:
    from bessemer.monitor.spec import MonitorSpec
    from bessemer.monitor.store import Kept, MonitorStore
    from bessemer.retrain.attendant import Attendant
    from bessemer.retrain.records import Retraining


class Watching:
    """A watch of one model, of one version after the other.

    Args:
        package: that is served; where it was trained again since, what has taken its place is watched.
        attendant: who trains again; None where nobody does.
        say: is told in a sentence what is done beside looking.
    """

    def __init__(
        self,
        spec: MonitorSpec,
        store: MonitorStore,
        log: Path,
        package: str,
        attendant: Attendant | None,
        *,
        name: str,
        key: Path | None,
        metrics: str | None,
        textfile: Path | None,
        say: Callable[[str], None],
    ) -> None:
        self._spec, self._store, self._log, self._name, self._key = spec, store, log, name, key
        self._metrics, self._textfile = metrics, textfile
        self._attendant, self._say, self._steady = attendant, say, Steady(say)
        self._open = ExitStack()
        now = attendant.current(package) if attendant is not None else package
        if now != package:
            say(f"{package} was trained again since; {now} has its place")
        self._watch_package(now)
        self._couriers = Couriers(self._watch.outbox, say)

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _watch_package(self, package: str) -> None:
        """Watch a package from now on; nothing changes where it is refused."""
        from bessemer.package.model import load

        monitor = Monitor(load(package, key=self._key), detectors=self._spec.detectors)
        watch = Watch(monitor, self._log, self._store, self._spec, self._name)
        self._open.close()
        self._tell = self._open.enter_context(
            told(self._store, watch.name, watch.version, self._metrics, self._textfile)
        )
        self._watch, self._package = watch, package
        self._say(
            outlook(self._log, watch, self._store, self._spec, dt.datetime.now(dt.UTC).replace(tzinfo=None))
        )

    def run(self, show: Callable[[Kept], None], *, once: bool) -> None:
        """Look at what is due, once or until somebody ends it."""
        if not once:
            self._couriers.start()
        while True:
            self._look(show, once)
            if once:
                self._couriers.once()  # before what may take a day
            else:
                self._couriers.ring()
            if self._attendant is not None and self._train_again(self._attendant, once) and once:
                self._couriers.once()
            if once:
                return
            time.sleep(min(60.0, self._spec.every))

    def _look(self, show: Callable[[Kept], None], once: bool) -> None:
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        for window in self._watch.tick(now) if once else self._steady.tick(self._watch, now):
            show(window)
            self._tell(window)
        if once:
            self._tell(None)
        else:
            self._steady.do("metrics cannot be written", lambda: self._tell(None))

    def _train_again(self, attendant: Attendant, wait: bool) -> bool:
        """Whether a retraining has ended."""
        done: Retraining | None = None

        def attend() -> None:
            nonlocal done
            done = attendant.tick(self._watch.model, self._watch.name, self._package)
            done = attendant.wait() if wait and done is None else done

        self._steady.do("whether to train again cannot be told", attend)
        if done is None:
            return False
        self._say(f"{done.model} {done.version} {done.outcome}: {done.why}")
        if done.serves:
            try:
                self._watch_package(done.package)
            except BessemerError as error:
                self._say(f"{done.package} cannot be watched, the version before it is: {error}")
        return True


def outlook(log: Path, watch: Watch, store: MonitorStore, spec: MonitorSpec, now: dt.datetime) -> str:
    """One line of what will be looked at: which model in which log, the rows that wait, when a window ends."""
    told = f"watching {watch.name} {watch.version} in {log}: "
    last = store.last(watch.name, watch.version)
    rows, first = _waiting(log, watch, last)
    begun = last or (None if first is None else _floor(first, spec.every).isoformat())
    if begun is None:
        there = "; ".join(f"{name} {', '.join(each)}" for name, each in versions_in(log).items())
        length = f"{spec.every:g} s" if spec.every < 3600 else f"{spec.every / 3600:g} h"
        return (
            f"{told}no rows yet; the log has {there or 'none of any model'}; "
            f"windows are of {length}, from the first row on"
        )
    end = dt.datetime.fromisoformat(begun) + dt.timedelta(seconds=spec.every)
    when = f"the next window ends at {end:%Y-%m-%d %H:%M:%S} UTC" if end > now else "they are looked at now"
    return f"{told}{rows:,} rows since {begun[:19]}, {when}, where there are {spec.rows:,} rows"


def _waiting(log: Path, watch: Watch, since: str | None) -> tuple[int, dt.datetime | None]:
    """How many rows were not looked at yet, and the time of the first."""
    start = None if since is None else dt.datetime.fromisoformat(since)
    import pyarrow.compute as pc

    rows: int = 0
    first: dt.datetime | None = None
    try:
        reader = read_log(log, watch.name, version=watch.version, since=start, labels=False, columns=["time"])
    except UsageError:
        return 0, None
    for batch in reader:
        if batch.num_rows:
            rows += batch.num_rows
            oldest = pc.min(batch.column("time")).as_py().replace(tzinfo=None)
            first = oldest if first is None else min(first, oldest)
    return rows, first


def _floor(moment: dt.datetime, every: float) -> dt.datetime:
    """The last multiple of `every` seconds since 1970: there a first window begins."""
    passed = moment.replace(tzinfo=dt.UTC).timestamp() // every * every
    return dt.datetime.fromtimestamp(passed, dt.UTC).replace(tzinfo=None)
