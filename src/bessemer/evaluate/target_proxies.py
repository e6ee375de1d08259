"""Columns that alone tell nearly as much of the target as the whole model: often the target in disguise.

For each column a table from its levels to the target, made on the validation rows and judged on the test rows.
`prepare` warns of columns that order the target perfectly; here a noisy, a coarse or a one-sided copy shows too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.core.stage import Context
from bessemer.evaluate.evidence import LOSSES, Evidence, usual_loss
from bessemer.evaluate.levels import coded, columns_of
from bessemer.stats.arrays import Floats, Ints
from bessemer.stats.metrics.outcome import Outcome, classified, estimated

#: Levels of a column; rows of either part that are looked at; what the parts' mean counts beside a level's rows.
BINS, VALUES, ROWS, PRIOR = 20, 50, 50_000, 5.0
#: From which share of the model's gain over a constant on a column is a proxy, and how much gain there must be.
NEARLY, LEAST_GAIN = 0.9, 0.05
_SHOWN = 10


def target_proxies(evidence: Evidence) -> dict[str, Any]:
    """`target_proxies` of `evaluation.json`: the strongest columns, and which of them are too strong.

    share: of what the model's loss is below a constant's, how much one column alone achieves.
    """
    loss = LOSSES[name := usual_loss(evidence.outcome)]
    truth = np.load(evidence.splits.path("valid.y.npy")).astype(np.float64)
    known = np.arange(len(truth))
    if len(known) > ROWS:
        known = np.sort(evidence.ctx.rng("proxies").choice(len(truth), ROWS, replace=False))
    rows = evidence.sample("proxies", ROWS)
    outcome = evidence.outcome.take(rows)
    model = float(loss(outcome).mean())
    constant = float(loss(_told(outcome, truth[known], np.zeros(len(known)), np.zeros(len(rows)))).mean())
    found: dict[str, Any] = {"loss": name, "model": model, "constant": constant, "columns": [], "proxies": []}
    if not len(known) or not constant - model > LEAST_GAIN * constant or len(evidence.inputs) < 2:
        return found
    for column, before, after in _codes(evidence, known, rows):
        value = float(loss(_told(outcome, truth[known], before, after)).mean())
        found["columns"].append(
            {"column": column, "loss": value, "share": (constant - value) / (constant - model)}
        )
    found["columns"] = sorted(found["columns"], key=lambda row: -row["share"])[:_SHOWN]
    found["proxies"] = [row["column"] for row in found["columns"] if row["share"] >= NEARLY]
    _tell(found, evidence.ctx)
    return found


def _codes(evidence: Evidence, known: Ints, rows: Ints) -> Iterator[tuple[str, Ints, Ints]]:
    """For each column the levels of validation and test rows, cut the same way."""
    places = (("valid", known), ("test", rows))
    parts = (columns_of(evidence.splits.path(f"{p}.parquet"), evidence.inputs, at) for p, at in places)
    for (column, before), (_, after) in zip(*parts, strict=True):
        codes = coded(column, pa.chunked_array([before, after]), BINS, VALUES).codes.astype(np.int64)
        yield column, codes[: len(known)], codes[len(known) :]


def _told(outcome: Outcome, truth: Floats, before: Any, after: Any) -> Outcome:
    """What a table from levels to the mean of the target says of the test rows; levels that are all 0: a constant."""
    before, after = np.asarray(before, dtype=np.int64), np.asarray(after, dtype=np.int64)
    levels = int(max(before.max(initial=0), after.max(initial=0))) + 1
    counts = np.bincount(before, minlength=levels)
    if outcome.task == "regression":
        middle = float(truth.mean()) if len(truth) else 0.0
        sums = np.bincount(before, weights=truth - middle, minlength=levels)
        return estimated(outcome.truth, (middle + sums / (counts + PRIOR))[after])
    k = outcome.classes
    prior = (np.bincount(truth.astype(np.int64), minlength=k) + 1.0) / (len(truth) + k)
    cells = np.bincount(before * k + truth.astype(np.int64), minlength=levels * k).reshape(levels, k)
    table = (cells + PRIOR * prior) / (counts[:, None] + PRIOR)
    return classified(outcome.task, outcome.truth, table[after])


def _tell(found: Mapping[str, Any], ctx: Context) -> None:
    if names := found["proxies"]:
        ctx.warn(
            f"{', '.join(names)} alone tells nearly as much of the target as the whole model: is it known before the "
            f"prediction is made? If not: prepare: {{exclude: [{', '.join(names)}]}}"
        )
