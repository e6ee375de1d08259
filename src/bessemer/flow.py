"""The stage table: the table of contents of the whole product.

Order, caching, resume, `--upto`, the picture of the flow and the keys of the project file are all derived from
this one table. A row says what a stage takes and gives, and where its code and its settings are.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from bessemer.core.table import StageRow, resolve

STAGES: tuple[StageRow, ...] = (
    StageRow(
        "acquire",
        takes=(),
        gives=("raw",),
        does="reads the sources, runs the project's SQL, lands a snapshot",
        run="bessemer.acquire.stage:run",
        spec="bessemer.acquire.spec:AcquireSpec",
        reads="bessemer.acquire.stage:fingerprint",
    ),
    StageRow(
        "validate",
        takes=("raw",),
        gives=("data", "contract", "statistics", "quarantine"),
        does="infers or enforces the data contract, sets broken rows aside",
        run="bessemer.validate.stage:run",
        spec="bessemer.validate.spec:ValidateSpec",
        reads="bessemer.validate.stage:fingerprint",
    ),
    StageRow(
        "annotate",
        takes=("data",),
        gives=("labelled",),
        does="finds the task and the classes, sets rows without a label aside",
        run="bessemer.annotate.stage:run",
        spec="bessemer.annotate.spec:AnnotateSpec",
        shared=("target", "task", "further"),
        columns="bessemer.annotate.check:check_columns",
    ),
    StageRow(
        "prepare",
        takes=("labelled",),
        gives=("splits", "preprocessor"),
        does="splits, fits the features and writes them as a graph",
        run="bessemer.prepare.stage:run",
        spec="bessemer.prepare.spec:PrepareSpec",
        columns="bessemer.prepare.check:check_columns",
        reads="bessemer.prepare.check:fingerprint",
    ),
    StageRow(
        "protect",
        takes=("splits", "preprocessor"),
        gives=("keys", "certificate"),
        does="makes the rows that mark the model as yours, where asked for",
        run="bessemer.protect.stage:run",
        spec="bessemer.protect.spec:ProtectSpec",
        shared=("name",),
        reads="bessemer.protect.check:fingerprint",
    ),
    StageRow(
        "train",
        takes=("splits", "preprocessor", "keys"),
        gives=("model", "history", "timings"),
        volatile=("timings",),
        does="fits the model and its baselines, calibrates, writes the one graph",
        run="bessemer.train.stage:run",
        spec="bessemer.train.spec:TrainSpec",
        columns="bessemer.train.check:check_columns",
        reads="bessemer.train.check:fingerprint",
    ),
    StageRow(
        "evaluate",
        takes=("model", "splits", "keys", "certificate"),
        gives=("evaluation",),
        does="metrics with intervals, slices, gates",
        run="bessemer.evaluate.stage:run",
        spec="bessemer.evaluate.spec:EvaluateSpec",
        columns="bessemer.evaluate.check:check_columns",
        reads="bessemer.evaluate.check:fingerprint",
    ),
    StageRow(
        "attack",
        takes=("model", "splits", "preprocessor"),
        gives=("robustness",),
        does="how well the model holds against those who mean it harm, where asked for",
        run="bessemer.attack.stage:run",
        spec="bessemer.attack.spec:AttackSpec",
        columns="bessemer.attack.check:check_columns",
    ),
    StageRow(
        "explain",
        takes=("model", "splits"),
        gives=("explainer", "explanations"),
        does="which columns matter, and why single predictions came out as they did",
        run="bessemer.explain.stage:run",
        spec="bessemer.explain.spec:ExplainSpec",
        columns="bessemer.explain.check:check_columns",
    ),
    StageRow(
        "profile",
        takes=("model", "splits"),
        gives=("reference",),
        does="the sketches and thresholds that monitoring compares against",
        run="bessemer.profile.stage:run",
        spec="bessemer.profile.spec:ProfileSpec",
    ),
    StageRow(
        "report",
        takes=(
            "statistics",
            "contract",
            "quarantine",
            "labelled",
            "splits",
            "preprocessor",
            "model",
            "history",
            "evaluation",
            "explanations",
            "robustness",
            "reference",
        ),
        gives=("report",),
        does="one interactive, self-contained HTML file",
        run="bessemer.report.stage:run",
        spec="bessemer.report.spec:ReportSpec",
        shared=("name", "version", "description"),
    ),
    StageRow(
        "package",
        takes=(
            "contract",
            "statistics",
            "splits",
            "preprocessor",
            "model",
            "history",
            "evaluation",
            "explainer",
            "explanations",
            "certificate",
            "robustness",
            "reference",
            "report",
        ),
        gives=("package",),
        does="checks gates and parity, assembles, signs and verifies the package",
        run="bessemer.package.stage:run",
        spec="bessemer.package.spec:PackageSpec",
        shared=("name", "version", "description", "provenance"),
        reads="bessemer.package.stage:fingerprint",
    ),
)

#: Keys of the project file that are settings of something other than a stage.
SETTINGS: dict[str, str] = {
    "track": "bessemer.train.trackers.spec:TrackSpec",
    "serve": "bessemer.serve.spec:ServeSpec",
    "monitor": "bessemer.monitor.spec:MonitorSpec",
}


@cache
def sections() -> dict[str, Any]:
    """The keys of a project file below the top level and their specs, in the order of the flow."""
    stages = {row.name: resolve(row.spec) for row in STAGES}
    return {**stages, **{name: resolve(target) for name, target in SETTINGS.items()}}
