"""Metrics of several runs with intervals, and the differences from the first: paired where the test rows are the same.

A paired difference is resampled with the same rows on both sides (Efron 1979), so that what is hard for both models
cancels. Runs with other test rows are compared by the width of their own intervals, which is wider.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.stats.bootstrap import bootstrap, interval
from bessemer.stats.metrics.outcome import Outcome, class_indices, classified, estimated
from bessemer.stats.metrics.table import METRICS, Scorer

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact

#: Resamples; fewer where there are so many rows that this would take a while.
REPLICATES, _FEWEST, _WORK = 400, 50, 40_000_000
_SEED = 7
#: Columns and slices that are listed.
_LISTED = 40


def differences(sides: Sequence[Mapping[str, Artifact]]) -> dict[str, Any]:
    """confidence, paired: one a run (True for the first), and rows: one a metric, the main one first.

    A row is {metric, greater_is_better, runs: [figure], differences: [None, figure...]}, a figure {value, low, high}.
    A difference is the run's figure minus the first run's, `better` where its whole interval says so, `worse` likewise.
    """
    evaluations = [artifacts["evaluation"].json("evaluation.json") for artifacts in sides]
    confidence = float(evaluations[0].get("confidence") or 0.95)
    paired = [same_test_rows(sides[0], artifacts) for artifacts in sides]
    names = _names(evaluations)
    draws = [
        _paired(sides[0], artifacts, names, confidence) if pair and i else None
        for i, (artifacts, pair) in enumerate(zip(sides, paired, strict=True))
    ]
    rows = [_row(name, evaluations, draws, names.index(name)) for name in names]
    return {"confidence": confidence, "paired": paired, "rows": rows}


def same_test_rows(one: Mapping[str, Artifact], other: Mapping[str, Artifact]) -> bool:
    """Whether two runs were judged on the same rows in the same order: the same raw rows and targets."""
    names = ("test.parquet", "test.y.npy")
    return all(one["splits"].files[n].digest == other["splits"].files[n].digest for n in names)


def _names(evaluations: Sequence[Mapping[str, Any]]) -> list[str]:
    known = METRICS[evaluations[0]["task"]]
    first = [evaluation["metric"] for evaluation in evaluations]
    every = [name for evaluation in evaluations for name in evaluation["metrics"]]
    return [
        name
        for name in dict.fromkeys(
            [*first, *sorted(every, key=list(known).index if set(every) <= set(known) else None)]
        )
        if name in known
    ]


def _row(
    name: str, evaluations: Sequence[Mapping[str, Any]], draws: Sequence[Any], at: int
) -> dict[str, Any]:
    figures = [_figure(evaluation["metrics"].get(name)) for evaluation in evaluations]
    greater = METRICS[evaluations[0]["task"]][name].greater_is_better
    found: list[Any] = [None]
    for figure, drawn in zip(figures[1:], draws[1:], strict=True):
        if figure is None or figures[0] is None:
            found.append(None)
            continue
        value = figure["value"] - figures[0]["value"]
        low, high = drawn[at] if drawn is not None else _unpaired(value, figures[0], figure)
        found.append(
            {
                "value": value,
                "low": _number(low),
                "high": _number(high),
                "verdict": _verdict(low, high, greater),
            }
        )
    return {"metric": name, "greater_is_better": greater, "runs": figures, "differences": found}


def _figure(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if found is None or found.get("value") is None:
        return None
    return {key: found.get(key) for key in ("value", "low", "high")}


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _verdict(low: float, high: float, greater_is_better: bool) -> str:
    if low > 0:
        return "better" if greater_is_better else "worse"
    if high < 0:
        return "worse" if greater_is_better else "better"
    return "not told apart"


def _unpaired(value: float, one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[float, float]:
    """The interval of a difference of independent figures, from the distances to their own limits (Newcombe 1998)."""
    if any(figure[end] is None for figure in (one, other) for end in ("low", "high")):
        return float("nan"), float("nan")
    below = math.hypot(other["value"] - other["low"], one["high"] - one["value"])
    above = math.hypot(other["high"] - other["value"], one["value"] - one["low"])
    return value - below, value + above


def _paired(
    first: Mapping[str, Artifact], other: Mapping[str, Artifact], names: Sequence[str], confidence: float
) -> list[tuple[float, float]]:
    """The interval of the difference of each metric, from the same resamples of the rows."""
    scorers = [Scorer(_outcome(artifacts), names) for artifacts in (first, other)]
    rows = int(first["splits"].meta["rows"]["test"])
    replicates = int(min(REPLICATES, max(_FEWEST, _WORK // max(1, rows))))
    one, two = bootstrap(scorers, rows, replicates, np.random.default_rng(_SEED))
    return [interval(column, confidence) for column in (two - one).T]


def _outcome(artifacts: Mapping[str, Artifact]) -> Outcome:
    """What a model said about its test rows, from the evaluation's predictions."""
    import pyarrow.parquet as pq

    table = pq.read_table(artifacts["evaluation"].path("predictions.parquet"))
    task, classes = artifacts["splits"].meta["task"], artifacts["splits"].meta["classes"]
    named = {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names}
    if task == "regression":
        return estimated(named["target"], named["prediction"])
    chances = [named[name] for name in table.column_names[2:]]
    if task == "binary":
        chances = [1 - chances[0], chances[0]]
    labels = [str(c) for c in classes] if named["target"].dtype == object else classes
    truth, said = (class_indices(named[name], labels) for name in ("target", "prediction"))
    return classified(task, truth, np.stack(chances, axis=1), said)


def importances(explanations: Sequence[Mapping[str, Any] | None]) -> list[dict[str, Any]]:
    """By explainer that all runs have and that ranks columns: {by, rows: [{group, runs: [figure or None]}]}."""
    each = [
        {n: f for n, f in ((x or {}).get("found") or {}).items() if f["kind"] == "importance"}
        for x in explanations
    ]
    found = []
    for name in each[0]:
        if not all(name in own for own in each):
            continue
        tables = [{row["group"]: row for row in own[name]["content"]["rows"]} for own in each]
        groups = sorted(
            {g for t in tables for g in t}, key=lambda g: (-max(t[g]["value"] for t in tables if g in t), g)
        )
        rows = [{"group": g, "runs": [_figure(t.get(g)) for t in tables]} for g in groups[:_LISTED]]
        found.append({"by": name, "rows": rows})
    return found


def slices(evaluations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Slices that two runs have: {column, value, metric, runs: [figure and rows, or None]}, by the first's metric."""
    metric = evaluations[0]["metric"]
    each = [_slices_of(evaluation, metric) for evaluation in evaluations]
    keys = dict.fromkeys(key for own in each for key in own)
    shared = [key for key in keys if sum(key in own for own in each) > 1]
    rows = [
        {"column": c, "value": v, "metric": metric, "runs": [own.get((c, v)) for own in each]}
        for c, v in shared
    ]
    return rows[: 4 * _LISTED]


def _slices_of(evaluation: Mapping[str, Any], metric: str) -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {}
    for column, rows in (evaluation.get("slices") or {}).items():
        for row in rows:
            figure = _figure((row.get("metrics") or {}).get(metric))
            if figure:
                found[column, str(row["value"])] = {**figure, "rows": row["rows"]}
    return found


def two_names(runs: Sequence[str]) -> str:
    """Runs in a line of words.

    >>> two_names(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(runs[:-1]), runs[-1]])
