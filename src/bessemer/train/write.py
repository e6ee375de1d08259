"""The artifacts of training: the model with its baselines, and the history of the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bessemer.core import canonical
from bessemer.core.further import further_of
from bessemer.core.signature import Signature
from bessemer.package.outliers import FIELD
from bessemer.stats.metrics.table import METRICS
from bessemer.train.assemble import assemble, class_labels, further_fields, output_fields, with_outputs
from bessemer.train.decide import decide
from bessemer.train.group_threshold import fields_of
from bessemer.train.metrics import all_metrics, output_of
from bessemer.train.native_model import HeadModel
from bessemer.train.outliers.fit import fit_outliers
from bessemer.train.parity import check_parity

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact, ArtifactRef
    from bessemer.core.signature import Field
    from bessemer.core.stage import Context
    from bessemer.package.decision import Decision
    from bessemer.train.learner import Native
    from bessemer.train.outcome import Outcome
    from bessemer.train.spec import TrainSpec


def write_model(
    outcome: Outcome, spec: TrainSpec, splits: Artifact, preprocessor: Artifact, ctx: Context
) -> ArtifactRef:
    """Choose the threshold, assemble the graph, check it against the trained model, and store everything.

    Raises:
        PackageError: the graph and the trained model disagree.
        DataError: the columns of `threshold` have too many groups, or a column has a name that the graph uses.
    """
    import onnx

    from bessemer.package.graph import serialize

    chosen, task = outcome.chosen, outcome.problem.task
    classes, features = splits.meta["classes"], outcome.rows.shape[1]
    head = chosen.fitted.to_onnx()
    check_parity(with_outputs(head, chosen.calibration, task, classes, features), outcome.rows, outcome.score)
    graph = onnx.load_model_from_string(preprocessor.bytes("preprocessor.onnx"))
    decision = decide(spec.threshold, outcome, splits, ctx) if task == "binary" else None
    inputs = Signature.from_json(preprocessor.json("signature.json")).inputs
    more = fields_of(decision, [field.name for field in inputs], outcome.problem.further)
    fields = [*inputs, *more]
    outliers = fit_outliers(spec.outliers, splits, preprocessor, fields, ctx) if spec.outliers else None
    judge = outliers.graph if outliers is not None else None
    further = list(zip(outcome.problem.further, outcome.problem.scores[1:], strict=True))
    heads = chosen.fitted.all_onnx() if isinstance(chosen.fitted, HeadModel) else head
    whole = assemble(graph, heads, chosen.calibration, task, classes, decision, more, judge, further)
    onnx.checker.check_model(whole)
    native = chosen.fitted.native()
    files: dict[str, Any] = {
        "model.onnx": serialize(whole),
        "signature.json": canonical.dump_bytes(
            _signature(splits, (*inputs, *more), outliers is not None).to_json()
        ),
        "model.json": canonical.dump_bytes(
            _model_json(outcome, native, splits, preprocessor, spec, decision)
            | ({"outliers": dict(outliers.facts)} if outliers is not None else {})
        ),
        f"native/{native.name}": native.content,
    }
    for name, baseline in outcome.baselines.items():
        made = with_outputs(baseline.fitted.to_onnx(), baseline.calibration, task, classes, features)
        files[f"baselines/{name}.onnx"] = serialize(made)
    meta = {"learner": chosen.learner, "task": task, "metric": outcome.problem.metric.name}
    return ctx.store.put("model", files, meta)


def _signature(splits: Artifact, inputs: tuple[Field, ...], outliers: bool) -> Signature:
    meta = splits.meta
    classes = _labels(meta["classes"])
    outputs, asked = output_fields(meta["task"], classes), (FIELD,) if outliers else ()
    further = tuple(replace(one, classes=_labels(one.classes)) for one in further_of(meta))
    outputs = (*outputs, *(field for one in further for field in further_fields(one)))
    return Signature(inputs, outputs, meta["task"], meta["target"], classes, asked, further)


def _labels(classes: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(class_labels(classes).tolist()) if classes else ()


def _model_json(
    outcome: Outcome,
    native: Native,
    splits: Artifact,
    preprocessor: Artifact,
    spec: TrainSpec,
    decision: Decision | None,
) -> dict[str, Any]:
    meta, features = splits.meta, preprocessor.json("features.json")
    chosen, task = outcome.chosen, outcome.problem.task
    output = output_of(task, chosen.calibration.score(chosen.margin))
    private = getattr(chosen.fitted, "private", None)
    return ({"private": dict(private)} if private else {}) | {
        "learner": chosen.learner,
        "params": dict(chosen.fitted.params),
        "task": task,
        "classes": meta["classes"],
        "target": meta["target"],
        "metric": outcome.problem.metric.name,
        "iterations": chosen.fitted.iterations,
        "calibration": vars(chosen.calibration),
        "decision": decision.to_json() if decision is not None else None,
        "reweigh": spec.reweigh,
        "features": features,
        "groups": list(dict.fromkeys(feature["group"] for feature in features)),
        "native": {"kind": native.kind, "file": f"native/{native.name}"},
        **({"blocks": preprocessor.meta["blocks"]} if preprocessor.meta.get("blocks") else {}),
        **({"further": _further_json(outcome)} if outcome.problem.further else {}),
        "valid": all_metrics(task, outcome.y, output, list(METRICS[task])),
    }


def _further_json(outcome: Outcome) -> list[dict[str, Any]]:
    """The further targets, and what the loss of each counted in training."""
    problem = outcome.problem
    both = zip(problem.further, problem.shares[1:], strict=True)
    return [{**one.to_json(), "loss_weight": share} for one, share in both]


def write_history(outcome: Outcome, ctx: Context) -> ArtifactRef:
    """Curves named LEARNER.CURVE, the leaderboard, and every parameter that was used."""
    history = {
        "curves": outcome.curves,
        "leaderboard": outcome.leaderboard,
        "params": outcome.params,
        **outcome.facts,
    }
    return ctx.store.put("history", {"history.json": canonical.dump_bytes(history)}, {})


def write_timings(outcome: Outcome, ctx: Context) -> ArtifactRef:
    """What differs from run to run, and so is no input of any stage."""
    return ctx.store.put("timings", {"timings.json": canonical.dump_bytes(outcome.timings)}, {})
