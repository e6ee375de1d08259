"""The evaluate stage: the very graph that ships, on the test rows.

Takes `model` and `splits`, and the `keys` and the `certificate` of a mark; gives `evaluation`. A failed gate is
recorded, not raised: the evaluation is kept and shown, and the package stage refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bessemer.core import canonical
from bessemer.core.artifact import Artifact, ArtifactRef
from bessemer.core.errors import Fault, ProjectError, did_you_mean
from bessemer.core.stage import Context
from bessemer.evaluate.champion import Wanted, champion_outcome
from bessemer.evaluate.check import unknown_slices
from bessemer.evaluate.compare import Comparison, about, as_json, compare, metric_names, primary_metric
from bessemer.evaluate.curves import curves
from bessemer.evaluate.evidence import Evidence, loss_faults
from bessemer.evaluate.fairness.judge import tell as tell_fairness
from bessemer.evaluate.findings import findings
from bessemer.evaluate.further import Said, further_faults, judge_further
from bessemer.evaluate.gates import judge
from bessemer.evaluate.ownership import add_ownership
from bessemer.evaluate.predictions import PredictionWriter
from bessemer.evaluate.scoring import Judged, open_judged
from bessemer.evaluate.sections import Sections, open_sections, section_faults
from bessemer.evaluate.slices import Slice, all_slices, columns_of
from bessemer.evaluate.spec import EvaluateSpec
from bessemer.evaluate.thresholds import suggest
from bessemer.stats.arrays import shown, tidy
from bessemer.stats.metrics.outcome import Outcome
from bessemer.stats.metrics.table import METRICS, PRIMARY


def run(spec: EvaluateSpec, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
    """Judge the model on the test rows.

    Raises:
        ProjectError: a slice that is no column, a metric or gate that is not of the task, no champion at its path.
        DataError: the model gives numbers that are not finite, or the champion cannot judge these rows.
    """
    model, splits = ctx.open(inputs["model"]), ctx.open(inputs["splits"])
    judged, test = open_judged(model), splits.path("test.parquet")
    faults = _faults(spec, judged, columns_of(test), ctx.project_dir)
    faults += [*section_faults(spec, judged, model.json("model.json")["target"])]
    if faults := [*faults, *further_faults(spec, judged.further)]:
        raise ProjectError(faults)
    truth = _truth(splits, "test")
    predictions = ctx.temporary("predictions.parquet")
    with PredictionWriter(predictions, judged.task, judged.classes, truth) as writer:
        said = Said(judged.further)
        outcome = judged.over(test, truth, writer.write, said)
    slices = all_slices(test, spec.slices)
    opponents = _opponents(spec, judged, splits, truth, ctx)
    primary, valid = primary_metric(judged.task, judged.metric), None
    if judged.task == "binary":
        valid = judged.over(splits.path("valid.parquet"), _truth(splits, "valid"))
    sections = open_sections(spec, judged, outcome, valid, primary, model, splits, ctx)
    compared = _compare(spec, judged, outcome, opponents, slices, sections, ctx)
    evaluation = _evaluation(spec, judged, outcome, compared, slices, sections)
    if valid is not None:
        evaluation["threshold"] = suggest(valid, outcome, spec.threshold, judged.decision)
    if judged.further:
        _add_further(evaluation, spec, said, splits, ctx)
    evaluation |= findings(Evidence(spec, judged, model, splits, outcome, opponents, primary, ctx))
    add_ownership(evaluation, judged, inputs, ctx)
    _tell(evaluation, ctx)
    files: dict[str, Path | bytes] = {
        "evaluation.json": canonical.dump_bytes(tidy(evaluation)),
        "predictions.parquet": predictions,
    }
    return {"evaluation": ctx.store.put("evaluation", files, {"passed": evaluation["passed"]})}


def _add_further(
    evaluation: dict[str, Any], spec: EvaluateSpec, said: Said, splits: Artifact, ctx: Context
) -> None:
    """Add the further targets, and their gates to those of the main one."""
    outcomes = said.outcomes(*(np.load(splits.path(f"{part}.further.npy")) for part in ("test", "train")))
    evaluation["further"], gates = judge_further(spec, outcomes, ctx)
    evaluation["gates"] += [asdict(gate) for gate in gates]
    evaluation["passed"] = evaluation["passed"] and all(gate.passed for gate in gates)


def _truth(splits: Artifact, part: str) -> NDArray[np.float64]:
    return np.asarray(np.load(splits.path(f"{part}.y.npy")), dtype=np.float64)


def _faults(spec: EvaluateSpec, judged: Judged, columns: list[str], project_dir: Path) -> list[Fault]:
    known = METRICS[judged.task]
    faults = unknown_slices(spec, columns) + loss_faults(spec, judged.task)
    faults += [
        Fault(
            f"evaluate.metrics.{k}",
            None,
            f"no metric '{name}' for a {judged.task} task",
            did_you_mean(name, known),
        )
        for k, name in enumerate(spec.metrics)
        if name not in known
    ]
    faults += [
        Fault(
            f"evaluate.gates.{name}",
            None,
            f"'{name}' is not of a {judged.task} task",
            did_you_mean(name, known),
        )
        for name in spec.gates.requirements()
        if name not in known
    ]
    if spec.champion is not None and not (project_dir / spec.champion).is_file():
        fix = "give the path of a .bsm package, or leave `champion` out until there is one"
        faults.append(Fault("evaluate.champion", None, f"no file {project_dir / spec.champion}", fix))
    return faults


def _opponents(
    spec: EvaluateSpec, judged: Judged, splits: Artifact, truth: NDArray[np.float64], ctx: Context
) -> dict[str, Outcome]:
    X = np.load(splits.path("test.X.npy"), mmap_mode="r")
    found = {name: judged.baseline(name, X, truth) for name in judged.baselines}
    if spec.champion is not None:
        package, test = ctx.project_dir / spec.champion, splits.path("test.parquet")
        wanted = Wanted(judged.target, judged.task, judged.classes)
        found["champion"] = champion_outcome(package, test, wanted, truth)
    return found


def _compare(
    spec: EvaluateSpec,
    judged: Judged,
    outcome: Outcome,
    opponents: Mapping[str, Outcome],
    slices: Mapping[str, list[Slice]],
    sections: Sections,
    ctx: Context,
) -> Comparison:
    primary = primary_metric(judged.task, judged.metric)
    gated = list(spec.gates.requirements())
    names = metric_names(judged.task, outcome.classes, primary, spec.metrics, gated)
    with ctx.progress("intervals", spec.replicates) as bar:
        return compare(
            outcome,
            names,
            opponents,
            list(chain.from_iterable(slices.values())),
            replicates=spec.replicates,
            confidence=spec.confidence,
            rng=ctx.rng("bootstrap"),
            advance=bar.advance,
            more=sections.statistics,
        )


def _evaluation(
    spec: EvaluateSpec,
    judged: Judged,
    outcome: Outcome,
    compared: Comparison,
    slices: Mapping[str, list[Slice]],
    sections: Sections,
) -> dict[str, Any]:
    primary = next(iter(compared.metrics))
    drawn = sections.content(compared.more, spec.confidence)
    criteria = (drawn["fairness"] or {}).get("criteria")
    gates = judge(spec.gates, judged.learner, compared.metrics, compared.versus, criteria)
    figures = iter(compared.slices)
    return {
        "task": judged.task,
        "metric": primary,
        "rows": outcome.rows,
        "confidence": spec.confidence,
        "replicates": spec.replicates,
        "metrics": {
            name: {**as_json(figure), **about(judged.task, name)} for name, figure in compared.metrics.items()
        },
        "baselines": {name: compared.opponents[name] for name in judged.baselines},
        "champion": compared.opponents.get("champion"),
        "versus": {name: as_json(versus) for name, versus in compared.versus.items()},
        "gates": [asdict(gate) for gate in gates],
        "passed": all(gate.passed for gate in gates),
        "slices": {
            column: [_slice_json(part, next(figures), primary, outcome.rows) for part in parts]
            for column, parts in slices.items()
        },
        "curves": curves(outcome, judged.classes, spec.confidence),
        "threshold": None,
        **drawn,
    }


def _slice_json(part: Slice, figure: Any, primary: str, rows: int) -> dict[str, Any]:
    return {
        "value": part.value,
        "kind": part.kind,
        "rows": len(part.rows),
        "share": len(part.rows) / rows,
        "too_small": part.too_small,
        "metrics": {primary: as_json(figure)} if figure is not None else {},
    }


def _tell(evaluation: Mapping[str, Any], ctx: Context) -> None:
    metrics = evaluation["metrics"]
    named = [
        name for name in dict.fromkeys([evaluation["metric"], PRIMARY[evaluation["task"]]]) if name in metrics
    ]
    figures = ", ".join(f"{name} {_figure_text(metrics[name])}" for name in named)
    ctx.note(f"{figures} on {evaluation['rows']:,} test rows")
    for name, own in evaluation.get("further", {}).items():
        if not own["rows"]:
            ctx.warn(f"no test row has {name}, so nothing says how well it is predicted")
            continue
        if own["too_small"]:
            ctx.warn(f"{own['rows']:,} test rows have {name}: too few to say how well it is predicted")
            continue
        ctx.note(
            f"{name}: {own['metric']} {_figure_text(own['metrics'][own['metric']])} on {own['rows']:,} test rows"
        )
        if own["versus"]["constant"]["verdict"] != "better":
            ctx.warn(f"{name} is not told better than by a constant, as far as these rows say")
    if evaluation["fairness"]:
        tell_fairness(evaluation["fairness"], ctx)
    for gate in evaluation["gates"]:
        if not gate["passed"]:
            ctx.warn(f"gate '{gate['gate']}' failed: {gate['why']} (required: {gate['required']})")


def _figure_text(figure: Mapping[str, Any]) -> str:
    return f"{shown(figure['value'])} [{shown(figure['low'])}, {shown(figure['high'])}]"
