"""One retraining from its cause to its end: train, compare, deploy. Each step is written down before the next."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.core.errors import BessemerError, GateError
from bessemer.core.lock import exclusive
from bessemer.evaluate.compare import primary_metric
from bessemer.monitor.notice import Notice, Severity
from bessemer.monitor.outbox import Outbox
from bessemer.monitor.retrain_spec import RetrainSpec
from bessemer.monitor.spec import MonitorSpec
from bessemer.monitor.store import MonitorStore
from bessemer.retrain.champion import artifact_of, latest_package, run_of
from bessemer.retrain.deployment import deploy, served
from bessemer.retrain.duel import duel, verdict
from bessemer.retrain.holdout import fresh_rows
from bessemer.retrain.records import Outcome, Retraining, Retrainings
from bessemer.retrain.triggers import Reason

if TYPE_CHECKING:
    from bessemer.api import Project
    from bessemer.core.runner import Sink


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
        self._outbox = Outbox(store, spec.alerts)

    def champion(self) -> Path:
        """The served package: what the server says, else the winner of the last retraining, else the newest run's."""
        if self._deploy is not None and (found := served(self._deploy, self.project.name)):
            return found
        won = [one for one in self.records.all(self.project.name) if one.outcome == "ready"]
        return Path(won[-1].package) if won else latest_package(self.project)

    def more_rows(self, champion: Path) -> float:
        """How many more rows the sources have than the champion was made of, as a share of those."""
        before = artifact_of(self.project, run_of(self.project, champion), "raw").meta["rows"]
        run = self.project.run(upto="acquire", track=False)
        rows = artifact_of(self.project, run, "raw").meta["rows"]
        return float(rows / max(1, before) - 1)

    def unfinished(self) -> Retraining | None:
        """One that was killed and goes on."""
        latest = self.records.latest(self.project.name)
        return latest if latest is not None and latest.step != "ended" else None

    def run(self, reason: Reason, champion: Path | None = None, sinks: Iterable[Sink] = ()) -> Retraining:
        """Go through with a retraining, or with one that was killed; what a fault stops has failed and says why.

        Raises:
            EnvironmentFault: another process is at it. UsageError: there is no served model to compare with.
        """
        with exclusive(self.project.folder / ".bessemer" / "retrain.lock"):
            one = self.unfinished() or self._begin(reason, champion or self.champion())
            try:
                one = self._through(one, list(sinks))
            except GateError as error:
                one = self._end(one, "kept", str(error))
            except BessemerError as error:
                one = self._end(one, "failed", str(error))
            return one

    def _begin(self, reason: Reason, champion: Path) -> Retraining:
        version = self.project.file.top.version
        name = self.project.name
        return self.records.begin(
            name, self._now(), reason.cause, reason.text, str(champion.resolve()), version
        )

    def _through(self, one: Retraining, sinks: list[Sink]) -> Retraining:
        if one.step == "training":
            run = self.project.run(version=one.version, sinks=sinks, wait=3600.0)
            one = self.records.update(one, step="comparing", package=str(run.package))
        if one.step == "comparing":
            one, won = self._compared(one)
            if not won:
                return self._end(one, "kept", one.why)
            one = self.records.update(one, step="deploying")
        if self._deploy is None:
            return self._end(one, "ready", one.why)
        outcome, said = deploy(self._deploy, one.model, one.version, Path(one.package))
        return self._end(one, outcome, f"{one.why}; {said}")

    def _compared(self, one: Retraining) -> tuple[Retraining, bool]:
        champion, challenger = Path(one.champion), Path(one.package)
        before, after = run_of(self.project, champion), run_of(self.project, challenger)
        models = [artifact_of(self.project, run, "model") for run in (before, after)]
        if models[0].ref == models[1].ref:
            return self.records.update(
                one, why="it is the same model: nothing that it learns from has changed"
            ), False
        splits = [artifact_of(self.project, run, "splits") for run in (before, after)]
        with fresh_rows(splits[1], splits[0]) as holdout:
            if holdout.rows < self.spec.rows:
                why = f"only {holdout.rows:,} fresh rows that neither has trained on; {self.spec.rows:,} are needed"
                return self.records.update(one, why=why), False
            metric = primary_metric(holdout.task, after.metric)
            found = duel(challenger, champion, holdout, metric, self.project.file.top.seed)
        won, why = verdict(found, self.spec.margin)
        return self.records.update(one, comparison=found.to_json(), why=why), won

    def _end(self, one: Retraining, outcome: Outcome, why: str) -> Retraining:
        done = self.records.update(one, step="ended", outcome=outcome, why=why, ended=self._now())
        self._outbox.announce([notice_of(done)])
        return done


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
