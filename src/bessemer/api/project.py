"""A project: its file, its store, its runs and what they made."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.api.execution import STATE, execute, plan_of, timed
from bessemer.api.shorthand import expand
from bessemer.core import project_file
from bessemer.core.artifact import Artifact, ArtifactRef
from bessemer.core.errors import StoreError, UsageError, did_you_mean
from bessemer.core.lineage import Step, lineage
from bessemer.core.lock import exclusive
from bessemer.core.redaction import remember_environment
from bessemer.core.remote_store import open_store
from bessemer.core.run import Run
from bessemer.core.runner import Sink
from bessemer.core.store import Store
from bessemer.core.table import in_order, upstream
from bessemer.flow import STAGES, sections
from bessemer.snapshots.door import Snapshots
from bessemer.snapshots.keep import built, judge, remove
from bessemer.snapshots.record import taken

if TYPE_CHECKING:
    from bessemer.contracts.door import ContractDoor


class Project:
    """A project file that has been read and checked.

    Args:
        path: the project file, or the folder it is in; the nearest one above the working folder by default.

    Raises:
        ProjectError: with every fault of the file.
    """

    def __init__(self, path: str | Path = ".") -> None:
        found = project_file.find(Path(path))
        self.file = project_file.load(found, sections(), partial(expand, folder=found.parent))
        self.folder = self.file.folder
        self.name = self.file.name
        self.store: Store = open_store(self.file.top.store, self.folder)

    def __repr__(self) -> str:
        return f"<Project {self.name}: {', '.join(self.file.top.target)} in {self.folder}>"

    def _repr_html_(self) -> str:
        from bessemer.core.rich_html import card, figure, table, text

        runs = self.runs()[:5]
        rows = [
            [text(run.id), text(run.status), text(run.metric), figure(run.metrics.get(run.metric))]
            for run in runs
        ]
        facts = [("predicts", text(", ".join(self.file.top.target))), ("folder", text(self.folder))]
        more = table(["newest runs", "", "metric", "on the test rows"], rows) if rows else ""
        return card(f"Project {self.name}", facts, more)

    def run(
        self,
        *,
        upto: str | None = None,
        force: Iterable[str] = (),
        wait: float = 0.0,
        sinks: Iterable[Sink] = (),
        track: bool = True,
        version: str = "",
        data: str = "",
    ) -> Run:
        """Run the flow; what is cached is not run again.

        Args:
            upto: the last stage to run; the whole flow by default.
            force: stages to run even if they are cached ("all" for every one).
            wait: seconds to wait for another run in this project.
            sinks: called with (stage, kind, data) for everything that happens.
            track: whether the trackers of the project file are fed.
            version: of the package, where it is not to be the project file's.
            data: a snapshot to work on, as `snapshots.find` takes it: nothing is acquired.

        Raises:
            BessemerError: what stopped the run; `runs()` has its record.
        """
        remember_environment()
        rows = upstream(STAGES, upto) if upto else in_order(STAGES)
        forced = self._forced(force)
        if data and "acquire" in set(force):
            raise UsageError("`data` and `force: acquire` exclude each other", fix="leave one of them out")
        with exclusive(self.folder / STATE / "lock", wait=wait):
            self._sweep()
            plan = plan_of(self, rows, forced, version)
            given = self.snapshots.catalogue.open(data)[0] if data else None
            if given is not None:
                plan.given = {"acquire": taken(given)}
            return execute(self, plan, list(sinks), track, given)

    def _forced(self, force: Iterable[str]) -> frozenset[str]:
        names = [row.name for row in STAGES]
        asked = list(force)
        for name in asked:
            if name != "all" and name not in names:
                raise UsageError(f"no stage '{name}' to force", fix=did_you_mean(name, names))
        return frozenset(names if "all" in asked else asked)

    def _sweep(self) -> None:
        """Remove what killed runs left in the store's scratch space; nobody else is at work (we hold the lock)."""
        shutil.rmtree(self.store.root / "tmp", ignore_errors=True)

    @property
    def snapshots(self) -> Snapshots:
        """What has landed in this project: versions of the data, to list, compare, name and go back to."""
        resources = self.file.top.resources
        return Snapshots(
            self.store,
            scratch=self.folder / STATE / "work",
            threads=resources.threads or len(os.sched_getaffinity(0)),
            memory=resources.memory_bytes(),
        )

    @property
    def contract(self) -> ContractDoor:
        """The data contract: hold the newest data to it, see what breaks and since when, accept what it is."""
        from bessemer.contracts.door import ContractDoor

        return ContractDoor(self, self.folder / STATE / "work")

    def runs(self) -> list[Run]:
        """The runs of this project, the newest first."""
        records = (self.store.record("runs", name) for name in reversed(self.store.records("runs")))
        return [Run.from_record(record) for record in records if record]

    def show(self, run: str = "latest") -> Run:
        """One run, by its id or the beginning of it; `last` is the newest, `last~1` the one before.

        Raises:
            UsageError: no such run, or more than one.
        """
        names = self.store.records("runs")
        if back := re.fullmatch(r"(?:latest|last)(?:~(\d+))?", run):
            at = len(names) - 1 - int(back.group(1) or 0)
            found = names[at : at + 1] if at >= 0 else []
        else:
            found = [name for name in names if name.startswith(run)]
        if len(found) != 1:
            what = f"no run '{run}'" if not found else f"'{run}' could be any of {', '.join(found[-5:])}"
            raise UsageError(what, fix=did_you_mean(run, names) if names else "bessemer run")
        record = self.store.record("runs", found[0])
        if record is None:
            raise StoreError(f"the record of run {found[0]} is damaged", fix="bessemer runs")
        return Run.from_record(record)

    def report(self, run: str = "latest") -> str:
        """The report of a run, one HTML page with the times of its stages.

        Raises:
            UsageError: no such run, or it made no report.
        """
        found = self.show(run)
        html = self.artifact("report", found.id).text("report.html")
        made = {slot for stage in found.stages for slot in stage.outputs}
        training = self.artifact("timings", found.id).json("timings.json") if "timings" in made else {}
        return timed(found, html, training)

    def compare(self, *runs: str) -> dict[str, Any]:
        """Runs side by side, the first as the reference: settings, data, metrics with paired differences, and more.

        Args:
            runs: two or more, as `show` takes them.

        Returns:
            what docs/report.md says under "Comparing runs"; `report.compare.page_of` makes a page of it.

        Raises:
            UsageError: no such run, or one that cannot be compared.
        """
        from bessemer.report.compare import Side, comparison

        return comparison([Side(run.to_json(), *self._made(run)) for run in map(self.show, runs)])

    def notebook(self, run: str = "latest", *, beside: str | Path = ".") -> str:
        """A notebook that starts from what a run made: its data, its model, its evaluation.

        Args:
            run: as `show` takes it.
            beside: the folder the notebook will be in; the project is named relative to it.

        Returns:
            the text of an `.ipynb` file (nbformat 4.5), without outputs.

        Raises:
            UsageError: no such run, or one that has not come as far as to split its data.
        """
        from bessemer.notebook import notebook

        found = self.show(run)
        made = {slot for stage in found.stages for slot in stage.outputs}
        return notebook(self.name, os.path.relpath(self.folder, beside), found.id, made)

    def _made(self, run: Run) -> tuple[dict[str, Artifact], dict[str, dict[str, Any]]]:
        """What a run made, by name, and the settings of each of its stages."""
        refs = {name: digest for stage in run.stages for name, digest in stage.outputs.items()}
        records = {stage.stage: self.store.record("keys", stage.key) for stage in run.stages}
        settings = {name: record["parts"]["spec"] for name, record in records.items() if record}
        return {name: self.store.get(ArtifactRef(name, digest)) for name, digest in refs.items()}, settings

    def clean(self, *, keep: int = 3, dry_run: bool = False) -> dict[str, Any]:
        """Remove the artifacts and blobs that none of the latest `keep` finished runs uses, except for the snapshots
        of the data that `acquire: {keep: ...}` keeps and those that packages in the build folder were made from.

        Returns:
            `artifacts` and `bytes` that went (or would go), and `snapshots`: of each whose rows were there its
            `snapshot`, `names`, `rows`, whether it was `kept`, and `why`.

        Raises:
            UsageError: `keep` is less than 1.
        """
        if keep < 1:
            raise UsageError(f"keep is {keep}", fix="keep what at least 1 run uses")
        with exclusive(self.folder / STATE / "lock"):
            every = self.runs()
            used = [run for run in every if run.status == "done"][:keep]
            digests = {digest for run in used for stage in run.stages for digest in stage.outputs.values()}
            policy = self.file.sections["acquire"].keep
            verdicts = judge(self.snapshots.catalogue, policy, used, built(every))
            if not dry_run:
                shutil.rmtree(
                    self.folder / STATE / "work", ignore_errors=True
                )  # what killed runs left behind
                remove(self.snapshots.catalogue, verdicts)
            kept = {each.snapshot.digest for each in verdicts if each.kept}
            found = self.store.sweep(digests | kept, dry_run=dry_run)
        return {**found, "snapshots": [each.to_json() for each in verdicts]}

    def lineage(self, name: str, run: str = "latest") -> list[Step]:
        """The steps behind an artifact of a run, the sources first.

        Raises:
            UsageError: the run did not make it.
        """
        found = self.show(run)
        steps = lineage(
            self.store, self.artifact(name, run).ref.digest, [stage.key for stage in found.stages]
        )
        acquired = {stage.key for stage in found.stages if stage.stage == "acquire"}
        snapshot = found.data.get("snapshot", "")
        return [replace(step, snapshot=snapshot) if step.key in acquired else step for step in steps]

    def leaderboard(self, run: str = "latest") -> dict[str, Any]:
        """All models that a run has tried.

        Returns:
            `rows`, the best first: learner, metric, value with low and high (95 %), chosen, weight in the ensemble,
            fit_seconds, predict_microseconds (a row), bytes (of the native form), params, note. After AutoML also
            `automl`: budget and used (seconds), folds, rows, weights, skipped (learner, why, and needed_seconds
            where that is known), and where a model was distilled the metric of it and of the ensemble. With comparators
            also `compared`: learner, budget (seconds), and why there is no row of it, or ''. Their rows have no bytes
            (None).

        Raises:
            UsageError: the run trained nothing.
        """
        from bessemer.train.leaderboard import board

        history = self.artifact("history", run).json("history.json")
        timings = self.artifact("timings", run).json("timings.json")
        return {"run": self.show(run).id, **board(history, timings)}

    def artifact(self, name: str, run: str = "latest") -> Artifact:
        """An artifact of a run, by its name in the flow (`splits`, `evaluation`...).

        Raises:
            UsageError: the run did not make it.
        """
        made = {slot: digest for stage in self.show(run).stages for slot, digest in stage.outputs.items()}
        if name not in made:
            raise UsageError(f"run {run} has no artifact '{name}'", fix=did_you_mean(name, made))
        return self.store.get(ArtifactRef(name, made[name]))
