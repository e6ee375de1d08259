"""What the page shows, gathered from the artifacts that are there, cut down to what a reader can take in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bessemer._version import __version__

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact
    from bessemer.core.stage import Context
    from bessemer.report.spec import ReportSpec

#: The most columns and features with their own row in the page; the artifacts have all.
COLUMNS = 400
FEATURES = 1000
#: Points of the scatter of a regression.
POINTS = 600
#: Significant digits of the numbers in the page.
DIGITS = 6


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
        "model": {key: model.get(key) for key in ("learner", "params", "iterations", "calibration")},
        "features": features[:FEATURES],
        "features_left_out": max(0, len(features) - FEATURES),
        "columns_used": len(artifacts["model"].json("signature.json")["inputs"]),
        "splits": {key: artifacts["splits"].meta.get(key) for key in ("rows", "method")},
        "evaluation": evaluation,
        "threshold": suggested_threshold(evaluation),
        "scatter": scatter(artifacts["evaluation"], ctx) if model["task"] == "regression" else [],
        "explanations": json_of(artifacts, "explanations"),
        "history": json_of(artifacts, "history"),
        "data": data_facts(artifacts),
        "labelled": dict(artifacts["labelled"].meta) if "labelled" in artifacts else None,
        "provenance": provenance(artifacts, ctx),
    }
    shortened: dict[str, Any] = shorten(view)
    return shortened


def json_of(artifacts: Mapping[str, Artifact], kind: str) -> Any:
    """The JSON file of an artifact of that kind, None where there is none."""
    return artifacts[kind].json(f"{kind}.json") if kind in artifacts else None


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
    count = facts.get("counts", {}).get(str(classes[1]))
    return count / facts["rows"] if count is not None and facts.get("rows") else None


def scatter(evaluation: Artifact, ctx: Context) -> list[list[float]]:
    """[actual, predicted] of some test rows, drawn at random."""
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(evaluation.path("predictions.parquet"), columns=["target", "prediction"])
    chosen = np.arange(len(table))
    if len(table) > POINTS:
        chosen = np.sort(ctx.rng("scatter").choice(len(table), POINTS, replace=False))
    both = [np.asarray(table.column(name), dtype=np.float64)[chosen] for name in ("target", "prediction")]
    pairs: list[list[float]] = np.stack(both, axis=1).tolist()
    return pairs


def data_facts(artifacts: Mapping[str, Artifact]) -> dict[str, Any]:
    """The columns' statistics, and what became of the rows that broke the contract."""
    statistics = json_of(artifacts, "statistics") or {"rows": None, "columns": {}}
    columns = [{"name": name, **facts} for name, facts in statistics["columns"].items()]
    return {
        "rows": statistics["rows"],
        "columns": columns[:COLUMNS],
        "left_out": max(0, len(columns) - COLUMNS),
        "contract": dict(artifacts["contract"].meta) if "contract" in artifacts else None,
        "quarantine": dict(artifacts["quarantine"].meta) if "quarantine" in artifacts else None,
    }


def provenance(artifacts: Mapping[str, Artifact], ctx: Context) -> dict[str, Any]:
    """What the page was made from: every artifact's digest, the seed, the version of Bessemer."""
    digests = [[kind, artifact.ref.digest] for kind, artifact in sorted(artifacts.items())]
    return {"seed": ctx.seed, "bessemer": __version__, "artifacts": digests}


def shorten(value: Any, limit: int = 200) -> Any:
    """Numbers to six significant digits and texts to 200 characters, everywhere inside.

    >>> shorten({"a": [1 / 3, "x" * 300]})["a"][0]
    0.333333
    """
    if isinstance(value, dict):
        return {key: shorten(inner, 2000 if key == "description" else limit) for key, inner in value.items()}
    if isinstance(value, list):
        return [shorten(inner, limit) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, str) and len(value) > limit:
        return value[: limit - 1] + "…"
    return value
