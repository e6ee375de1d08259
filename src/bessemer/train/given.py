"""A model that is given rather than trained: the package's own, judged beside the baselines on this data."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core import canonical
from bessemer.core.errors import DataError, Fault, PackageError, ProjectError
from bessemer.core.signature import class_text
from bessemer.package.decision import Decision
from bessemer.package.given import Given, open_given
from bessemer.package.natives import open_native
from bessemer.train.calibrate import Calibration, choose
from bessemer.train.candidates import BASELINES, outcome
from bessemer.train.learner import Native
from bessemer.train.metrics import output_of
from bessemer.train.native_model import restored
from bessemer.train.outcome import Candidate

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact
    from bessemer.core.stage import Context
    from bessemer.train.candidates import Trial
    from bessemer.train.outcome import Outcome

#: Native models that are whole without the learner that made them.
_KINDS = ("trees", "linear", "constant", "pairs", "head", "ensemble")

#: Rows whose middle contributions are told against, and the most numbers of these rows.
_ROWS, _VALUES = 10_000, 2**24


def judge_given(trial: Trial, splits: Artifact, preprocessor: Artifact, ctx: Context) -> Outcome:
    """The given model as the chosen one; the baselines learn from the train part, as always.

    Raises:
        PackageError: the package is refused.
        ProjectError: it is a model of another task or of other classes, it takes other features, or it is to be marked.
    """
    assert trial.spec.given is not None
    given = open_given(ctx.project_dir / trial.spec.given)
    _check(given, trial, splits, preprocessor)
    chosen = _candidate(given, trial, ctx)
    candidates = {name: trial.fit(name, ctx.rng("calibrate", name)) for name in BASELINES}
    ctx.note(f"takes the model of {given.file} as it is: {given.info.get('learner')}")
    return outcome(trial, {**candidates, "given": chosen}, chosen)


def _candidate(given: Given, trial: Trial, ctx: Context) -> Candidate:
    problem, rows = trial.problem, trial.judged
    native = _with_baseline(given, trial)
    params = dict(given.info.get("params", {}))
    fitted = restored(native, params, int(given.info.get("iterations") or 0), {})
    begin = time.perf_counter()
    margin = fitted.margin(np.asarray(rows.X))
    microseconds = 1e6 * (time.perf_counter() - begin) / max(1, len(rows))
    if unanswered := int((~np.isfinite(margin)).any(axis=1).sum()):
        raise DataError(
            f"{given.file} has no answer to {unanswered:,} of {len(rows):,} rows",
            why="it does not know missing values",
            fix='fill them in: `acquire: {sql: ...}` with coalesce("column", 0)',
        )
    calibration = Calibration(**given.info["calibration"])
    if trial.spec.calibrate == "sigmoid" and len(trial.valid):
        calibration = choose("sigmoid", problem.task, margin, rows.y, ctx.rng("calibrate", "given"))
    value = problem.metric(rows.y, output_of(problem.task, calibration.score(margin)))
    return Candidate("given", fitted, calibration, margin, value, 0.0, microseconds)


def _with_baseline(given: Given, trial: Trial) -> Native:
    """The native model; the contributions of an imported head are told against the middle of these rows."""
    kind, name = str(given.info["native"]["kind"]), str(given.info["native"]["file"]).rpartition("/")[2]
    open_native(kind, given.native, 1)
    if kind != "head" or "imported" not in given.info:
        return Native(kind, name, given.native)
    line, _, graph = given.native.partition(b"\n")
    some = _some(trial.train.X)
    known = np.isfinite(some)
    middle = [
        float(np.median(some[known[:, f], f])) if known[:, f].any() else 0.0 for f in range(some.shape[1])
    ]
    head = {**json.loads(line), "baseline": np.array(middle, dtype=np.float32).tolist()}
    return Native(kind, name, canonical.dump_bytes(head) + b"\n" + graph)


def _some(X: np.ndarray) -> np.ndarray:
    """(n, F) float64, the first rows: fewer of many features, as those of images are."""
    return np.asarray(X[: max(1, min(_ROWS, _VALUES // max(1, X.shape[1])))], dtype=np.float64)


def _check(given: Given, trial: Trial, splits: Artifact, preprocessor: Artifact) -> None:
    signature, problem = given.signature, trial.problem
    if trial.keys is not None:
        raise _fault(
            "a given model learns nothing, so it cannot be marked", "leave `protect` out", "protect.mark"
        )
    if signature.task != problem.task:
        what = f"{given.file} is a model of a {signature.task} task, and the target is one of {problem.task}"
        raise _fault(what, f"annotate: {{task: {signature.task}}}, or another target")
    if problem.classes and not _same_classes(signature.classes, splits.meta["classes"]):
        others = _shown(splits.meta["classes"])
        told = f"{_shown(signature.classes)}, and those of '{splits.meta['target']}' are {others}"
        raise _fault(
            f"the classes of {given.file} are {told}",
            "name them when it is imported (bessemer import --classes), or `annotate: {positive: ...}` for their order",
        )
    if given.info["features"] != preprocessor.json("features.json"):
        raise _fault(
            f"the features are not those of {given.file}",
            f"prepare: {{given: {trial.spec.given}}}",
            "prepare.given",
        )
    if trial.spec.threshold is None and Decision.from_json(given.info.get("decision")) != Decision():
        raise _fault(
            f"{given.file} decides from a threshold of its own", "say `train: {threshold: ...}` for this one"
        )
    if (kind := given.info["native"]["kind"]) not in _KINDS:
        raise _fault(
            f"{given.file} holds a model of kind '{kind}', which cannot be given",
            f"give one that is whole without its library ({', '.join(_KINDS)})",
        )
    if not isinstance(given.info.get("calibration"), dict):
        raise PackageError(f"'{given.file}' does not say how it is calibrated", fix="make the package again")


def _same_classes(model: Sequence[Any], data: Sequence[Any]) -> bool:
    return [class_text(one) for one in model] == [class_text(one) for one in data]


def _shown(classes: Sequence[Any]) -> str:
    return ", ".join(map(str, classes[:10])) + (" and more" if len(classes) > 10 else "")


def _fault(what: str, fix: str, path: str = "train.given") -> ProjectError:
    return ProjectError([Fault(path, None, what, fix)])
