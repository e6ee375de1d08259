"""One retraining from its cause to its end: train, compare, deploy. Each step is written down before the next."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.core.errors import BessemerError, GateError
from bessemer.core.lock import Busy, exclusive
from bessemer.core.runner import describe_failure
from bessemer.evaluate.compare import primary_metric
from bessemer.monitor.alerts.notice import Notice, Severity
from bessemer.monitor.alerts.outbox import Outbox
from bessemer.monitor.retrain_spec import RetrainSpec
from bessemer.monitor.spec import MonitorSpec
from bessemer.monitor.store import MonitorStore
from bessemer.retrain.champion import latest_package, run_of
from bessemer.retrain.deployment import deploy, outcome, served
from bessemer.retrain.duel import duel, verdict
from bessemer.retrain.holdout import fresh_rows
from bessemer.retrain.records import Outcome, Retraining, Retrainings
from bessemer.retrain.triggers import Reason

if TYPE_CHECKING:
    from bessemer.api import Project
    from bessemer.core.runner import Sink


#: How often one that was killed is gone on with.
_ATTEMPTS = 3
_BUSY = Busy(
    "this project's model is being trained again already",
    "two at once would make two versions of one cause",
    "wait for it: bessemer retrain --history",
)


def utc_now() -> dt.datetime:
    """Now, naive, UTC."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


class Retrainer:
    """Trains a project's model again.

    Args:
        project: whose flow is run, and whose store says what the served model has trained on.
        store: the monitor's, where it is written down.
        deploying: whether a winner is given to the server that the project file names.
    """

    def __init__(
        self,
        project: Project,
        store: MonitorStore,
        *,
        deploying: bool = True,
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        spec: MonitorSpec = project.file.sections["monitor"]
        self.project, self.records, self._now = project, Retrainings(store), now
        self.spec = spec.retrain or RetrainSpec()
        self._deploy = self.spec.deploy if deploying else None
        self.outbox = Outbox(store, spec.alerts)

    def champion(self) -> Path:
        """The served package: what the server says, else the winner of the last retraining, else the newest run's."""
        if self._deploy is not None and (found := served(self._deploy, self.project.name)):
            return found
        done = self.records.all(self.project.name)
        won = [one for one in done if one.outcome in ("ready", "promoted", "deployed")]
        lost = {Path(one.package).resolve() for one in done if one.lost and one.package}
        return Path(won[-1].package) if won else latest_package(self.project, lost)

    def more_rows(self, champion: Path) -> float:
        """How many more rows the sources have than the champion was made of, as a share of those."""
        before = self.project.artifact("raw", run_of(self.project, champion).id).meta["rows"]
        run = self.project.run(upto="acquire", track=False)
        rows = self.project.artifact("raw", run.id).meta["rows"]
        return float(rows / max(1, before) - 1)

    def unfinished(self) -> Retraining | None:
        """One that was killed and goes on."""
        latest = self.records.latest(self.project.name)
        return latest if latest is not None and latest.step != "ended" else None

    def run(self, reason: Reason, champion: Path | None = None, sinks: Iterable[Sink] = ()) -> Retraining:
        """Go through with a retraining, or with one that was killed; what a fault stops has failed and says why.

        Raises:
            EnvironmentFault: another process is at it. UsageError: there is no served model to compare with, or it is
                not known what it has trained on.
        """
        with exclusive(self.project.folder / ".bessemer" / "retrain.lock", busy=_BUSY):
            one = self._begun(reason, champion)
            try:
                if one.attempts > _ATTEMPTS:
                    return self._end(one, "failed", f"it was begun {_ATTEMPTS} times, and killed each time")
                return self._through(one, list(sinks))
            except GateError as error:
                return self._end(one, "kept", str(error))
            except BessemerError as error:
                return self._end(one, "failed", str(error))
            except Exception as error:
                self._end(one, "failed", describe_failure(error))
                raise

    def _begun(self, reason: Reason, champion: Path | None) -> Retraining:
        if (one := self.unfinished()) is not None:
            return self.records.update(one, attempts=one.attempts + 1)
        version, name = self.project.file.top.version, self.project.name
        beaten = (champion or self.champion()).resolve()
        run_of(self.project, beaten)  # a stranger is refused now, not after the training
        return self.records.begin(name, self._now(), reason.cause, reason.text, str(beaten), version)

    def _through(self, one: Retraining, sinks: list[Sink]) -> Retraining:
        if one.step == "training":
            run = self.project.run(version=one.version, sinks=sinks, wait=3600.0)
            one = self.records.update(one, step="comparing", package=str(run.package))
        if one.step == "comparing":
            one, won = self._compared(one)
            if not won:
                return self._end(one, "kept", one.why)
            one = self.records.update(one, step="deploying")
        return self._deployed(one)

    def _deployed(self, one: Retraining) -> Retraining:
        """Give it to the server once: what has gone from there since was taken back by somebody, or by its gates."""
        if self._deploy is None:
            return self._end(one, "ready", one.why)
        if not one.posted:
            one = self.records.update(one, posted=True)
            deploy(self._deploy, Path(one.package))
        came, said = outcome(self._deploy, one.model, one.version)
        return self._end(one, came, f"{one.why}; {said}")

    def _compared(self, one: Retraining) -> tuple[Retraining, bool]:
        champion, challenger = Path(one.champion), Path(one.package)
        before, after = run_of(self.project, champion), run_of(self.project, challenger)
        models = [self.project.artifact("model", run.id) for run in (before, after)]
        if models[0].ref == models[1].ref:
            why = "it is the same model: nothing that it learns from has changed"
            return self.records.update(one, why=why), False
        splits = [self.project.artifact("splits", run.id) for run in (before, after)]
        with fresh_rows(splits[1], splits[0]) as holdout:
            if holdout.rows < self.spec.rows:
                why = f"only {holdout.rows:,} fresh rows that neither has trained on; {self.spec.rows:,} are needed"
                return self.records.update(one, why=why), False
            metric = primary_metric(holdout.wanted.task, after.metric)
            found = duel(challenger, champion, holdout, metric, self.project.file.top.seed)
        won, why = verdict(found, self.spec.margin)
        return self.records.update(one, comparison=found.to_json(), why=why), won

    def _end(self, one: Retraining, came: Outcome, why: str) -> Retraining:
        """Write down the end, and what is told of it, in one transaction."""
        return self.records.update(
            one,
            lambda connection, done: self.outbox.add(connection, [notice_of(done)]),
            step="ended",
            outcome=came,
            why=why,
            ended=self._now(),
        )


_TITLES = {
    "promoted": "was trained again and now has all requests",
    "deployed": "was trained again and deployed",
    "ready": "was trained again: a better model is ready",
    "kept": "was trained again; the served model stays",
    "rolled_back": "was trained again; its trial was broken off",
    "failed": "could not be trained again",
}
_TODO = {
    "ready": "bessemer deploy {package}",
    "rolled_back": "bessemer deployments says which gate it broke",
    "failed": "bessemer retrain shows what is wrong",
}
_SEVERITY: dict[str, Severity] = {"failed": "error", "rolled_back": "warning"}


def notice_of(one: Retraining) -> Notice:
    """What is told of a retraining that has ended."""
    return Notice(
        "action",
        _SEVERITY.get(one.outcome, "info"),
        f"{one.model}/retraining",
        str(one.id),
        one.model,
        one.version,
        f"{one.model} {_TITLES[one.outcome]}",
        f"Because: {one.reason}. {one.why}",
        _TODO.get(one.outcome, "").format(package=one.package),
        at=one.ended.isoformat(timespec="microseconds") if one.ended else "",
        body=one.to_json(),
    )
