"""A run of a project: the plan of its stages, what is told of it, and what people find in the build folder."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from bessemer._version import __version__
from bessemer.contracts.history import remember
from bessemer.core import canonical
from bessemer.core.artifact import ArtifactRef
from bessemer.core.errors import ProjectError
from bessemer.core.redaction import hidden
from bessemer.core.run import Run
from bessemer.core.runner import Plan, Runner, Sink, describe_failure
from bessemer.core.store import write_atomic
from bessemer.core.table import resolve
from bessemer.flow import SETTINGS, STAGES
from bessemer.snapshots.record import Recorder
from bessemer.tracking import Tracking

if TYPE_CHECKING:
    from bessemer.api.project import Project
    from bessemer.snapshots.catalogue import Snapshot

#: Folders of a project: what the platform keeps, and what people take from it.
STATE = ".bessemer"
BUILD = "build"


def plan_of(project: Project, rows: list[Any], forced: frozenset[str], version: str = "") -> Plan:
    """What a run of these rows of the stage table is to do; `forced` names stages that run even if they are cached."""
    top = project.file.top
    return Plan(
        rows=rows,
        specs=project.file.sections,
        shared={
            "name": project.name,
            "version": version or top.version,
            "description": top.description,
            **top.shared_targets(),
        },
        seed=top.seed,
        project_dir=project.folder,
        state_dir=project.folder / STATE,
        threads=top.resources.threads or len(os.sched_getaffinity(0)),
        memory=top.resources.memory_bytes(),
        force=forced,
        after=partial(_check_columns, project),
    )


def execute(project: Project, plan: Plan, sinks: list[Sink], track: bool, given: Snapshot | None) -> Run:
    """Run a plan, with a record of it whatever happens; `given` is the snapshot that stands for what is acquired.

    Raises:
        BessemerError: what stopped the run.
    """
    now = dt.datetime.now(dt.UTC)
    run = Run(
        # runs of one project follow each other, so that their names do: the last part is of the second
        id=f"{now:%Y%m%d-%H%M%S}-{now.microsecond * 2**16 // 10**6:04x}",
        project=project.name,
        status="running",
        started=now.isoformat(timespec="seconds"),
        pid=os.getpid(),
    )
    _record(project, run)
    started = time.perf_counter()
    tracking = _tracking(project, run) if track else None
    runner = Runner(plan, project.store, [*sinks, *([tracking] if tracking else [])])
    recorder = Recorder(project.snapshots.catalogue, run, runner, given)
    plan.after = partial(_after, project, recorder)
    try:
        runner.run()
        run.status = "done"
        if given is None:  # a look at older data does not tell since when the newest breaks a rule
            remember(project.store, run, runner.artifacts.get("quarantine"), None)
    except ProjectError as error:
        run.status, run.error = "failed", describe_failure(error)
        raise project.file.located(error) from None
    except BaseException as error:
        run.status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        run.error = describe_failure(error)
        if given is None:
            remember(project.store, run, runner.artifacts.get("quarantine"), error)
        raise
    finally:
        run.stages, run.seconds = runner.results, time.perf_counter() - started
        recorder.end()
        _publish(project, run, runner.artifacts)
        _record(project, run)
        warnings = tracking.end(run.to_json(), _model_json(project, runner.artifacts)) if tracking else []
        for sink in sinks:
            for text in warnings:
                sink("track", "warning", {"text": hidden(text)})
            sink("", "run_end", run.to_json())
    return run


def _record(project: Project, run: Run) -> None:
    project.store.write_record("runs", run.id, asdict(run))


def _tracking(project: Project, run: Run) -> Tracking:
    sections = {
        name: spec.model_dump(mode="json", exclude_defaults=True)
        for name, spec in project.file.sections.items()
        if name not in SETTINGS
    }
    settings = {"target": ", ".join(project.file.top.target), "seed": project.file.top.seed, **sections}
    spec = project.file.sections["track"]
    return Tracking(spec, run=run.id, project=project.name, folder=project.folder / STATE, settings=settings)


def _model_json(project: Project, artifacts: Mapping[str, ArtifactRef]) -> dict[str, Any]:
    if "model" not in artifacts:
        return {}
    value: dict[str, Any] = project.store.get(artifacts["model"]).json("model.json")
    return value


def _after(project: Project, recorder: Recorder, stage: str, artifacts: Mapping[str, ArtifactRef]) -> None:
    recorder.after(stage, artifacts)
    _check_columns(project, stage, artifacts)


def _check_columns(project: Project, stage: str, artifacts: Mapping[str, ArtifactRef]) -> None:
    """When the data has landed, check every column the project file names, in all sections at once."""
    if stage != "acquire":
        return
    meta = project.store.get(artifacts["raw"]).meta
    columns = {column["name"]: column["dtype"] for column in meta["columns"]}
    shared = project.file.top.shared_targets()
    done = canonical.digest([project.file.sections, columns, shared, __version__])
    if project.store.record("checked", done):
        return
    faults = [
        fault
        for row in STAGES
        if row.columns
        for fault in resolve(row.columns)(project.file.sections[row.name], columns, shared)
    ]
    if faults:
        raise ProjectError(faults)
    project.store.write_record("checked", done, {"faults": 0})


def _publish(project: Project, run: Run, artifacts: Mapping[str, ArtifactRef]) -> None:
    """Put what people want into the build folder, and the headline figures into the run."""
    if "evaluation" in artifacts:
        evaluation = project.store.get(artifacts["evaluation"]).json("evaluation.json")
        run.metric, run.metrics = evaluation["metric"], evaluation["metrics"]
    training = _training(project, run, artifacts)
    if "report" in artifacts:
        html = project.store.get(artifacts["report"]).text("report.html")
        run.report = project.folder / BUILD / "report.html"
        page = timed(run, html, training)
        write_atomic(run.report, page.encode())
    if "package" in artifacts:
        artifact = project.store.get(artifacts["package"])
        (name,) = artifact.files
        run.package = project.folder / BUILD / name
        data = artifact.path(name)
        if not run.package.exists() or run.package.read_bytes() != data.read_bytes():
            write_atomic(run.package, data.read_bytes())


def _training(project: Project, run: Run, artifacts: Mapping[str, ArtifactRef]) -> dict[str, Any]:
    """The timings of training; the leaderboard that has them goes into the build folder."""
    if "timings" not in artifacts:
        return {}
    from bessemer.train.leaderboard import board

    history, timings = (project.store.get(artifacts[n]).json(f"{n}.json") for n in ("history", "timings"))
    run.leaderboard = project.folder / BUILD / "leaderboard.json"
    write_atomic(run.leaderboard, canonical.dump_bytes({"run": run.id, **board(history, timings)}))
    found: dict[str, Any] = timings
    return found


def timed(run: Run, page: str, training: Mapping[str, Any]) -> str:
    """The report's page with how long the stages of a run took."""
    from bessemer.report.html import with_timings

    kept = ("stage", "status", "seconds", "why", "peak_mb")
    stages = [{key: getattr(stage, key) for key in kept} for stage in run.stages]
    return with_timings(page, {"stages": stages, "total": run.seconds, "training": training})
