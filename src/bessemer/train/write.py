"""The artifacts of training: the model with its baselines, and the history of the fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bessemer.core import canonical
from bessemer.core.signature import Signature
from bessemer.stats.metrics.table import METRICS
from bessemer.train.assemble import assemble, class_labels, output_fields, with_outputs
from bessemer.train.candidates import Candidate, Trial, leaderboard
from bessemer.train.metrics import all_metrics, output_of
from bessemer.train.parity import check_parity

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact, ArtifactRef
    from bessemer.core.stage import Context

_PARITY_ROWS = 10_000
_BASELINES = ("constant", "linear")


def write_model(
    trial: Trial,
    candidates: dict[str, Candidate],
    chosen: Candidate,
    splits: Artifact,
    preprocessor: Artifact,
    ctx: Context,
) -> ArtifactRef:
    """Assemble the graph, check it against the trained model, and store everything.

    Raises:
        PackageError: the graph and the trained model disagree.
    """
    import onnx

    from bessemer.package.graph import serialize

    problem = trial.problem
    task, classes, features = problem.task, splits.meta["classes"], trial.train.X.shape[1]
    head = chosen.fitted.to_onnx()
    rows = trial.judged.X[:_PARITY_ROWS]
    expected = chosen.calibration.score(chosen.margin[:_PARITY_ROWS])
    check_parity(with_outputs(head, chosen.calibration, task, classes, features), rows, expected)
    graph = onnx.load_model_from_string(preprocessor.bytes("preprocessor.onnx"))
    whole = assemble(graph, head, chosen.calibration, task, classes)
    onnx.checker.check_model(whole)
    name, native = chosen.fitted.native()
    files: dict[str, Any] = {
        "model.onnx": serialize(whole),
        "signature.json": canonical.dump_bytes(_signature(splits, preprocessor).to_json()),
        "model.json": canonical.dump_bytes(_model_json(trial, chosen, splits, preprocessor)),
        f"native/{name}": native,
    }
    for baseline in _BASELINES:
        fitted, calibration = candidates[baseline].fitted, candidates[baseline].calibration
        made = with_outputs(fitted.to_onnx(), calibration, task, classes, features)
        files[f"baselines/{baseline}.onnx"] = serialize(made)
    meta = {"learner": chosen.learner, "task": task, "metric": problem.metric.name}
    return ctx.store.put("model", files, meta)


def _signature(splits: Artifact, preprocessor: Artifact) -> Signature:
    meta = splits.meta
    inputs = Signature.from_json(preprocessor.json("signature.json")).inputs
    classes = tuple(class_labels(meta["classes"]).tolist()) if meta["classes"] else ()
    return Signature(inputs, output_fields(meta["task"], classes), meta["task"], meta["target"], classes)


def _model_json(trial: Trial, chosen: Candidate, splits: Artifact, preprocessor: Artifact) -> dict[str, Any]:
    meta, features = splits.meta, preprocessor.json("features.json")
    task, judged = trial.problem.task, trial.judged
    output = output_of(task, chosen.calibration.score(chosen.margin))
    return {
        "learner": chosen.learner,
        "params": dict(chosen.fitted.params),
        "task": task,
        "classes": meta["classes"],
        "target": meta["target"],
        "metric": trial.problem.metric.name,
        "iterations": chosen.fitted.iterations,
        "calibration": vars(chosen.calibration),
        "features": features,
        "groups": list(dict.fromkeys(feature["group"] for feature in features)),
        "native": {"kind": chosen.learner, "file": f"native/{chosen.fitted.native()[0]}"},
        "valid": all_metrics(task, judged.y, output, list(METRICS[task])),
    }


def write_history(
    trial: Trial, candidates: dict[str, Candidate], chosen: Candidate, ctx: Context
) -> ArtifactRef:
    """Curves named LEARNER.CURVE, the leaderboard, and every parameter that was used."""
    curves = {
        f"{name}.{curve}": points
        for name, candidate in candidates.items()
        for curve, points in candidate.fitted.curves.items()
    }
    history = {
        "curves": curves,
        "leaderboard": leaderboard(candidates, chosen, trial.problem.metric),
        "params": {name: dict(c.fitted.params) for name, c in candidates.items()},
    }
    return ctx.store.put("history", {"history.json": canonical.dump_bytes(history)}, {})
