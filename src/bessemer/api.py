"""The Python door: projects, runs and packages."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer._version import __version__
from bessemer.contracts.history import remember
from bessemer.core import canonical, project_file
from bessemer.core.artifact import Artifact, ArtifactRef
from bessemer.core.errors import EnvironmentFault, Fault, ProjectError, StoreError, UsageError, did_you_mean
from bessemer.core.lineage import Step, lineage
from bessemer.core.lock import exclusive
from bessemer.core.redaction import hidden, remember_environment
from bessemer.core.remote_store import open_store
from bessemer.core.run import Run
from bessemer.core.runner import Plan, Runner, Sink, describe_failure
from bessemer.core.store import Store, write_atomic
from bessemer.core.table import in_order, resolve, upstream
from bessemer.flow import SETTINGS, STAGES, sections
from bessemer.snapshots.door import Snapshots
from bessemer.snapshots.keep import built, judge, remove
from bessemer.snapshots.record import Recorder, taken
from bessemer.tracking import Tracking

if TYPE_CHECKING:
    from bessemer.contracts.door import ContractDoor
    from bessemer.explain.answers import Answer
    from bessemer.importers.findings import Finding
    from bessemer.package.model import Model
    from bessemer.predict.job import Predicted
    from bessemer.snapshots.catalogue import Snapshot

STATE = ".bessemer"
BUILD = "build"


class Project:
    """A project file that has been read and checked.

    Args:
        path: the project file, or the folder it is in; the nearest one above the working folder by default.

    Raises:
        ProjectError: with every fault of the file.
    """

    def __init__(self, path: str | Path = ".") -> None:
        found = project_file.find(Path(path))
        self.file = project_file.load(found, sections(), partial(_expand, folder=found.parent))
        self.folder = self.file.folder
        self.name = self.file.name
        self.store: Store = open_store(self.file.top.store, self.folder)

    def __repr__(self) -> str:
        return f"<Project {self.name}: {self.file.top.target} in {self.folder}>"

    def _repr_html_(self) -> str:
        from bessemer.core.rich_html import card, figure, table, text

        runs = self.runs()[:5]
        rows = [
            [text(run.id), text(run.status), text(run.metric), figure(run.metrics.get(run.metric))]
            for run in runs
        ]
        facts = [("predicts", text(self.file.top.target)), ("folder", text(self.folder))]
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
            plan = self._plan(rows, forced, version)
            given = self.snapshots.catalogue.open(data)[0] if data else None
            if given is not None:
                plan.given = {"acquire": taken(given)}
            return self._run(plan, list(sinks), track, given)

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

    def _run(self, plan: Plan, sinks: list[Sink], track: bool, given: Snapshot | None) -> Run:
        now = dt.datetime.now(dt.UTC)
        run = Run(
            # runs of one project follow each other, so that their names do: the last part is of the second
            id=f"{now:%Y%m%d-%H%M%S}-{now.microsecond * 2**16 // 10**6:04x}",
            project=self.name,
            status="running",
            started=now.isoformat(timespec="seconds"),
            pid=os.getpid(),
        )
        self._record(run)
        started = time.perf_counter()
        tracking = self._tracking(run) if track else None
        runner = Runner(plan, self.store, [*sinks, *([tracking] if tracking else [])])
        recorder = Recorder(self.snapshots.catalogue, run, runner, given)
        plan.after = partial(self._after, recorder)
        try:
            runner.run()
            run.status = "done"
            if given is None:  # a look at older data does not tell since when the newest breaks a rule
                remember(self.store, run, runner.artifacts.get("quarantine"), None)
        except ProjectError as error:
            run.status, run.error = "failed", describe_failure(error)
            raise self.file.located(error) from None
        except BaseException as error:
            run.status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            run.error = describe_failure(error)
            if given is None:
                remember(self.store, run, runner.artifacts.get("quarantine"), error)
            raise
        finally:
            run.stages, run.seconds = runner.results, time.perf_counter() - started
            recorder.end()
            self._publish(run, runner.artifacts)
            self._record(run)
            warnings = tracking.end(run.to_json(), self._model_json(runner.artifacts)) if tracking else []
            for sink in sinks:
                for text in warnings:
                    sink("track", "warning", {"text": hidden(text)})
                sink("", "run_end", run.to_json())
        return run

    def _tracking(self, run: Run) -> Tracking:
        sections = {
            name: spec.model_dump(mode="json", exclude_defaults=True)
            for name, spec in self.file.sections.items()
            if name not in SETTINGS
        }
        settings = {"target": self.file.top.target, "seed": self.file.top.seed, **sections}
        spec = self.file.sections["track"]
        return Tracking(spec, run=run.id, project=self.name, folder=self.folder / STATE, settings=settings)

    def _model_json(self, artifacts: Mapping[str, ArtifactRef]) -> dict[str, Any]:
        if "model" not in artifacts:
            return {}
        value: dict[str, Any] = self.store.get(artifacts["model"]).json("model.json")
        return value

    def _plan(self, rows: list[Any], forced: frozenset[str], version: str = "") -> Plan:
        top = self.file.top
        return Plan(
            rows=rows,
            specs=self.file.sections,
            shared={
                "name": self.name,
                "version": version or top.version,
                "description": top.description,
                "target": top.target,
                "task": top.task,
            },
            seed=top.seed,
            project_dir=self.folder,
            state_dir=self.folder / STATE,
            threads=top.resources.threads or len(os.sched_getaffinity(0)),
            memory=top.resources.memory_bytes(),
            force=forced,
            after=self._check_columns,
        )

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

    def _after(self, recorder: Recorder, stage: str, artifacts: Mapping[str, ArtifactRef]) -> None:
        recorder.after(stage, artifacts)
        self._check_columns(stage, artifacts)

    def _check_columns(self, stage: str, artifacts: Mapping[str, ArtifactRef]) -> None:
        """When the data has landed, check every column the project file names, in all sections at once."""
        if stage != "acquire":
            return
        meta = self.store.get(artifacts["raw"]).meta
        columns = {column["name"]: column["dtype"] for column in meta["columns"]}
        shared = {"target": self.file.top.target, "task": self.file.top.task}
        done = canonical.digest([self.file.sections, columns, shared, __version__])
        if self.store.record("checked", done):
            return
        faults = [
            fault
            for row in STAGES
            if row.columns
            for fault in resolve(row.columns)(self.file.sections[row.name], columns, shared)
        ]
        if faults:
            raise ProjectError(faults)
        self.store.write_record("checked", done, {"faults": 0})

    def _publish(self, run: Run, artifacts: Mapping[str, ArtifactRef]) -> None:
        """Put what people want into the build folder, and the headline figures into the run."""
        if "evaluation" in artifacts:
            evaluation = self.store.get(artifacts["evaluation"]).json("evaluation.json")
            run.metric, run.metrics = evaluation["metric"], evaluation["metrics"]
        training = self._training(run, artifacts)
        if "report" in artifacts:
            html = self.store.get(artifacts["report"]).text("report.html")
            run.report = self.folder / BUILD / "report.html"
            page = _timed(run, html, training)
            write_atomic(run.report, page.encode())
        if "package" in artifacts:
            artifact = self.store.get(artifacts["package"])
            (name,) = artifact.files
            run.package = self.folder / BUILD / name
            data = artifact.path(name)
            if not run.package.exists() or run.package.read_bytes() != data.read_bytes():
                write_atomic(run.package, data.read_bytes())

    def _training(self, run: Run, artifacts: Mapping[str, ArtifactRef]) -> dict[str, Any]:
        """The timings of training; the leaderboard that has them goes into the build folder."""
        if "timings" not in artifacts:
            return {}
        from bessemer.train.leaderboard import board

        history, timings = (self.store.get(artifacts[n]).json(f"{n}.json") for n in ("history", "timings"))
        run.leaderboard = self.folder / BUILD / "leaderboard.json"
        write_atomic(run.leaderboard, canonical.dump_bytes({"run": run.id, **board(history, timings)}))
        found: dict[str, Any] = timings
        return found

    def _record(self, run: Run) -> None:
        self.store.write_record("runs", run.id, asdict(run))

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
        return _timed(found, html, training)

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


def _timed(run: Run, page: str, training: Mapping[str, Any]) -> str:
    """The report's page with how long the stages of a run took."""
    from bessemer.report.html import with_timings

    kept = ("stage", "status", "seconds", "why", "peak_mb")
    stages = [{key: getattr(stage, key) for key in kept} for stage in run.stages]
    return with_timings(page, {"stages": stages, "total": run.seconds, "training": training})


def scaffold(name: str, *, data: str, target: str, folder: str | Path = ".", overwrite: bool = False) -> Path:
    """Write a commented project file from what the data looks like, and give its path.

    The data is landed in the project's store on the way, so the first run finds it there.

    Raises:
        UsageError: the name cannot be one, or a project file is there already.
        ProjectError: the data has no such target.
        DataError: the data cannot be read.
    """
    from bessemer import scaffold as made

    place = Path(folder)
    path = place / project_file.FILE
    made.check(name, path, overwrite=overwrite)
    place.mkdir(parents=True, exist_ok=True)
    if "://" not in data and not Path(data).is_absolute():
        data = os.path.relpath(data, place)
    with tempfile.NamedTemporaryFile("w", dir=place, suffix=".yaml", encoding="utf-8") as file:
        json.dump({"name": name, "data": data, "target": target}, file)
        file.flush()
        project = Project(file.name)
        try:
            raw = Runner(project._plan(upstream(STAGES, "acquire"), frozenset()), project.store).run()["raw"]
        except ProjectError as error:
            raise ProjectError(error.faults, "--target") from None
    parquet = project.store.get(raw).path("data.parquet")
    rows, columns = made.look(parquet)
    text = made.project_text(name, data, target, rows, columns, made.classes(parquet, target))
    write_atomic(path, text.encode("utf-8"))
    return path


@dataclass(frozen=True)
class Imported:
    """A project file that was written from another tool's, and what could not be kept.

    tool: `ludwig` or `igel`. findings: in the order of the tool's file; those that became something are
    approximate, the others have no counterpart.
    """

    path: Path
    tool: str
    target: str
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        from bessemer.importers.findings import plain

        return {
            "project": str(self.path),
            "tool": self.tool,
            "target": self.target,
            "approximate": plain(row for row in self.findings if row.became),
            "without_counterpart": plain(row for row in self.findings if not row.became),
        }


def import_project(
    file: str | Path,
    *,
    tool: str = "",
    data: str = "",
    output: str | Path = project_file.FILE,
    force: bool = False,
) -> Imported:
    """Turn the project file of another tool (Ludwig, igel) into one of ours.

    Args:
        file: Ludwig's config, or igel's file, YAML or JSON.
        tool: `ludwig` or `igel`; found from the file's keys by default.
        data: where the data is, if the tool's file does not say it: a file, folder, glob or URL.
        output: the project file to write.
        force: replace a project file that is there.

    Raises:
        ProjectError: the tool's file cannot be read, has faults, or says nothing that can run here.
        UsageError: a project file is there already, or it is not said where the data is or which tool this is.
    """
    from bessemer.importers.translate import translate

    path = Path(output)
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", fix="give --force to replace it, or --output FILE")
    made = translate(Path(file), tool=tool, data=data, folder=path.parent)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as trial:
        trial.write(made.text)
        trial.flush()
        try:
            project_file.load(Path(trial.name), sections(), partial(_expand, folder=path.parent))
        except ProjectError as error:
            named = (
                "--data" if data and {fault.path for fault in error.faults} == {"data"} else Path(file).name
            )
            raise ProjectError([Fault(f.path, None, f.what, f.fix) for f in error.faults], named) from None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {error.strerror}", fix="--output FILE") from None
    write_atomic(path, made.text.encode("utf-8"))
    return Imported(path, made.tool, made.target, made.findings)


def _expand(value: dict[str, Any], folder: Path | None = None) -> list[Fault]:
    """Turn `data: FILE` into the source it stands for; `folder` is the one of the project file."""
    from bessemer.acquire.sources import source_from_path

    path = value.get("data")
    if path is None:
        if "acquire" not in value:
            return [
                Fault(
                    "",
                    None,
                    "nothing says where the data is",
                    "add `data: FILE`, or `acquire: {sources: ...}`",
                )
            ]
        return []
    acquire = value.setdefault("acquire", {})
    if not isinstance(path, str) or not isinstance(acquire, dict):
        return []  # the types themselves are reported by the schema
    if "sources" in acquire:
        return [
            Fault("data", None, "both `data` and `acquire.sources` say where the data is", "keep one of them")
        ]
    try:
        acquire["sources"] = {"data": source_from_path(path, folder)}
    except ProjectError as error:
        return list(error.faults)
    return []


def load(package: str | Path, *, threads: int | None = None, key: str | Path | None = None) -> Model:
    """Open a model package: signature, digests, format and graph are checked first.

    Args:
        package: a `.bsm` file or an fsspec URL.
        threads: of the graph session; one by default.
        key: a public key file to trust besides those of this user.

    Raises:
        PackageError: it is refused; the error says why.
    """
    from bessemer.package.model import load as load_model

    return load_model(package, threads=threads, key=key)


def verify(package: str | Path, *, key: str | Path | None = None) -> dict[str, Any]:
    """Check a package's signature, digests, format and graph without loading the model.

    Returns:
        the checks and what they found, as plain JSON data.

    Raises:
        PackageError: it is refused.
    """
    from bessemer.package.read import verify_package

    return verify_package(package, key=key)


def predict(
    package: str | Path | Model,
    source: str | Path | Mapping[str, Any],
    output: str | Path | Mapping[str, Any],
    **settings: Any,
) -> Predicted:
    """Score every row of a source into a file, a folder of parts or a table; a killed call is gone on with.

    Args:
        package: a `.bsm` file, an fsspec URL, or a loaded model.
        source, output, settings: see `bessemer.predict.job.predict`.

    Raises:
        PackageError: the package is refused.
        DataError, UsageError, StoreError: as `bessemer.predict.job.predict`.
    """
    from bessemer.predict.job import predict as run

    remember_environment()
    model = load(package) if isinstance(package, str | Path) else package
    return run(model, source, output, **settings)


def explain(
    package: str | Path | Model,
    rows: Any,
    with_: str = "",
    *,
    settings: Mapping[str, Any] | None = None,
    asked: Sequence[int] | None = None,
    background: Any = None,
    most: int = 2000,
    first: int | None = None,
    seed: int = 0,
) -> Answer:
    """Say why a packaged model predicts what it predicts for some rows.

    Args:
        package: a `.bsm` file, an fsspec URL, or a loaded model.
        rows: a file or any source that `predict` takes, or what `Model.predict` takes: a table, a DataFrame, a list
            of dicts. A column of the target's name holds what is actual.
        with_: an explainer of the project file, such as `counterfactuals`; by default the contributions to each row's
            score, by the method that travels in the package.
        settings: of the explainer, as in the project file.
        asked: which rows to explain, counted from 0; by default all that are read.
        background: rows (as `rows`) to take values from; by default drawn from the profile in the package.
        most: rows that are read, at most. first: how many of them are explained where `asked` says nothing.
        seed: of everything that is drawn at random.

    Raises:
        PackageError: the package is refused, or has no native model.
        DataError: a column is missing or holds what cannot be converted.
        UsageError: no such explainer, setting or row, or it cannot explain this model or these rows.
    """
    from bessemer.explain.answers import answer
    from bessemer.package.tabular import as_table
    from bessemer.predict.head import first_rows

    model = load(package) if isinstance(package, str | Path) else package

    def table(data: Any, count: int) -> Any:
        if isinstance(data, str | Path):
            return first_rows(data, model.signature.inputs, count, optional=model.signature.target)
        return as_table(data).slice(0, count)

    behind = None if background is None else table(background, 100_000)
    given = table(rows, most)
    if asked is None and first is not None:
        asked = range(min(first, given.num_rows))
    return answer(model, given, with_, settings=settings, asked=asked, background=behind, seed=seed)


def schema() -> dict[str, Any]:
    """The JSON Schema of the project file, for editors.

    >>> "target" in schema()["required"]
    True
    """
    return project_file.json_schema(sections())
