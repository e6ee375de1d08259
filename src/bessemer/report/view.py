"""What the page shows, gathered from the artifacts that are there, cut down to what a reader can take in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bessemer._version import __version__
from bessemer.core.parquet import rows_at
from bessemer.report.card import card_of
from bessemer.report.data.digits import DIGITS, EXACT, rounded
from bessemer.report.data.facts import data_facts
from bessemer.report.data.rare import without_rare
from bessemer.report.doubtful import doubtful_rows
from bessemer.report.limits import bounded
from bessemer.report.residuals import drawn, residuals_of
from bessemer.report.whatif import whatif

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact
    from bessemer.core.stage import Context
    from bessemer.report.spec import ReportSpec

#: The most features with their own row in the page; the artifacts have all.
FEATURES = 1000
#: Points of the scatter of a regression.
POINTS = 600
#: What holds raw values and a column's own figures: single numbers there keep more digits.
EXACTLY = {"values", "doubtful", "given", "likely", "mean", "std", "min", "max", "quantiles"}


def build(spec: ReportSpec, artifacts: Mapping[str, Artifact], ctx: Context) -> dict[str, Any]:
    """The page's data. `model`, `splits` and `evaluation` must be there; what else is there is shown."""
    model = artifacts["model"].json("model.json")
    evaluation = artifacts["evaluation"].json("evaluation.json")
    name = str(ctx.shared.get("name") or "model")
    classes = list(model["classes"])
    features = list(model["features"])
    view = {
        "title": spec.title or name,
        "name": name,
        "version": str(ctx.shared.get("version") or ""),
        "description": str(ctx.shared.get("description") or ""),
        "summary": summary(evaluation),
        "task": model["task"],
        "target": model["target"],
        "classes": classes,
        "positive": classes[1] if model["task"] == "binary" else None,
        "positive_share": positive_share(artifacts, classes) if model["task"] == "binary" else None,
        "model": {
            key: model.get(key) for key in ("learner", "params", "iterations", "calibration", "private")
        },
        "features": features[:FEATURES],
        "features_left_out": max(0, len(features) - FEATURES),
        "columns_used": len(column_names(artifacts)),
        "splits": {key: artifacts["splits"].meta.get(key) for key in ("rows", "method")},
        "evaluation": bounded(evaluation, spec.samples),
        "doubtful": doubtful_rows(
            evaluation, artifacts["splits"], strongest_first(artifacts), min(spec.samples, 20)
        ),
        "threshold": suggested_threshold(evaluation),
        "scatter": scatter(artifacts["evaluation"], ctx) if model["task"] == "regression" else [],
        "residuals": residuals_of(
            artifacts["evaluation"], artifacts["splits"], classes, strongest_first(artifacts), ctx
        ),
        "explanations": json_of(artifacts, "explanations"),
        "history": json_of(artifacts, "history"),
        "robustness": robustness_of(artifacts, spec.samples),
        "certificate": json_of(artifacts, "certificate"),
        "data": data_facts(artifacts, spec.samples, ctx),
        "labelled": dict(artifacts["labelled"].meta) if "labelled" in artifacts else None,
        "provenance": provenance(artifacts, ctx),
    }
    shortened: dict[str, Any] = shorten(view)
    examples = (view["explanations"] or {}).get("examples") or []
    shown = {**shortened, "whatif": whatif(spec, artifacts, examples)}  # it computes: its numbers stay whole
    if spec.samples:
        return {**shown, "card": card_of(artifacts, ctx)}
    shown = without_rare(shown, artifacts["splits"])
    kept = {field["name"]: field["domain"].get("categories", ()) for field in shown["whatif"]["fields"]}
    return {**shown, "card": card_of(artifacts, ctx, kept)}


def column_names(artifacts: Mapping[str, Artifact]) -> list[str]:
    """The raw columns that the model reads, in their order."""
    return [field["name"] for field in artifacts["model"].json("signature.json")["inputs"]]


def strongest_first(artifacts: Mapping[str, Artifact]) -> list[str]:
    """The raw columns that the model reads, the most important ones first where the model was explained."""
    columns = column_names(artifacts)
    found = (json_of(artifacts, "explanations") or {}).get("found") or {}
    rows = (found.get("permutation") or found.get("contributions") or {}).get("content", {}).get("rows") or []
    ranked = [row["group"] for row in rows if row["group"] in set(columns)]
    return list(dict.fromkeys([*ranked, *columns]))


def json_of(artifacts: Mapping[str, Artifact], kind: str) -> Any:
    """The JSON file of an artifact of that kind, None where there is none."""
    there = kind in artifacts and f"{kind}.json" in artifacts[kind].files
    return artifacts[kind].json(f"{kind}.json") if there else None


def robustness_of(artifacts: Mapping[str, Artifact], samples: int) -> Any:
    """What attacks have found, with at most so many attacked rows each; None where none was asked for."""
    found = json_of(artifacts, "robustness")
    if found is None:
        return None
    attacks = {
        name: {**one, "samples": one["samples"][:samples]} if "samples" in one else one
        for name, one in found["attacks"].items()
    }
    return {**found, "attacks": attacks}


def summary(evaluation: Mapping[str, Any]) -> str:
    """The verdict in a sentence, for readers without JavaScript.

    >>> summary({"metric": "rmse", "metrics": {"rmse": {"value": 2.0, "low": 1.5, "high": 2.5}}, "rows": 1000})
    'rmse 2 [1.5, 2.5] on 1,000 test rows.'
    """
    metric = evaluation["metric"]
    found = evaluation["metrics"][metric]
    gates = evaluation.get("gates") or []
    text = f"{metric} {found['value']:.4g}"
    if found.get("low") is not None and found.get("high") is not None:
        text += f" [{found['low']:.4g}, {found['high']:.4g}]"
    text += f" on {evaluation['rows']:,} test rows."
    if gates:
        text += f" {sum(bool(gate['passed']) for gate in gates)} of {len(gates)} gates passed."
    return text


def suggested_threshold(evaluation: Mapping[str, Any]) -> float | None:
    """The threshold the evaluate stage found on the validation rows, in binary tasks."""
    found = evaluation.get("threshold")
    return float(found["suggested"]["threshold"]) if found else None


def positive_share(artifacts: Mapping[str, Artifact], classes: Sequence[Any]) -> float | None:
    """The share of the labelled rows that are of the positive class."""
    facts = artifacts["labelled"].meta if "labelled" in artifacts else {}
    counts = facts.get("counts", {})
    name = str(classes[1])
    count = counts.get(name.lower() if isinstance(classes[1], bool) else name, counts.get(name))
    return count / facts["rows"] if count is not None and facts.get("rows") else None


def scatter(evaluation: Artifact, ctx: Context) -> list[list[float]]:
    """[actual, predicted] of some test rows, drawn at random."""
    import numpy as np

    path = evaluation.path("predictions.parquet")
    table = rows_at(path, drawn(path, POINTS, ctx.rng("scatter")), ["target", "prediction"])
    both = [np.asarray(table.column(name), dtype=np.float64) for name in ("target", "prediction")]
    pairs: list[list[float]] = np.stack(both, axis=1).tolist()
    return pairs


def provenance(artifacts: Mapping[str, Artifact], ctx: Context) -> dict[str, Any]:
    """What the page was made from: every artifact's digest, the seed, the version of Bessemer."""
    digests = [[kind, artifact.ref.digest] for kind, artifact in sorted(artifacts.items())]
    return {"seed": ctx.seed, "bessemer": __version__, "artifacts": digests}


def shorten(value: Any, limit: int = 200, digits: int = DIGITS) -> Any:
    """Numbers to the digits that `data.digits` says and texts to 200 characters, everywhere inside.

    >>> shorten({"a": [1 / 3, "x" * 300]})["a"][0]
    0.333333
    """
    if isinstance(value, dict):
        return {
            key: shorten(inner, 2000 if key == "description" else limit, EXACT if key in EXACTLY else digits)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return _inside(rounded(value), limit, digits)
    if isinstance(value, str) and len(value) > limit:
        return value[: limit - 1] + "…"
    return rounded(value, digits)


def _inside(values: list[Any], limit: int, digits: int) -> list[Any]:
    """A list whose numbers are already rounded: with each other, and so not one by one."""
    return [
        _inside(inner, limit, digits)
        if isinstance(inner, list)
        else inner
        if isinstance(inner, float)
        else shorten(inner, limit, digits)
        for inner in values
    ]
