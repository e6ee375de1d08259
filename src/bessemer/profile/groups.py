"""How good the model is on the test rows group by group, so that later a group is compared with itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from bessemer.core.grouping import Grouping, group
from bessemer.core.signature import Task
from bessemer.stats.arrays import Floats, Ints, tidy
from bessemer.stats.binning import quantile_edges
from bessemer.stats.metrics.outcome import Outcome
from bessemer.stats.reliability import brier_losses
from bessemer.stats.shift import Sums, shrunk
from bessemer.stats.unlabelled import corrected

#: Of a wider table the first columns are looked at by group, and of more classes no table of classes is kept.
MOST_COLUMNS, MOST_CLASSES = 100, 10
#: Longer texts are no group of their own: the sketches do not keep them either.
_LONGEST = 200
_CALIBRATION_BINS = 10


def losses(outcome: Outcome) -> Floats:
    """What each row is judged by, float64 (n,): the Brier loss of a classifier, the absolute error of a regression."""
    if outcome.task == "regression":
        return np.abs(np.asarray(outcome.predicted - outcome.truth, dtype=np.float64))
    return brier_losses(np.asarray(outcome.truth, dtype=np.int64), outcome.probability)


def expected_losses(probability: Any) -> Floats:
    """The Brier loss that a classifier's own probabilities (n, classes) promise, float64 (n,)."""
    p = np.asarray(probability, dtype=np.float64)
    found: Floats = p[:, 1] * (1 - p[:, 1]) if p.shape[1] == 2 else 1 - np.sum(p**2, axis=1)
    return found


def by_group(outcome: Outcome, part: Path, columns: Sequence[str]) -> dict[str, Any]:
    """For each column its groups, and what the model does in each.

    Args:
        part: Parquet with the rows of the outcome, in their order.

    Returns:
        by column `grouping` (`core.grouping.Grouping`), and by group `rows`, the sum `loss` and `loss_squares` of the
        losses; of a classifier also `expected` and `expected_squares` of what its probabilities promise, and
        `confusion`, (groups, classes, classes) counts by truth, then by prediction; of a regression `error` and
        `error_squares` of prediction less truth, `predicted` and `predicted_squares`.
    """
    loss = losses(outcome)
    found = {}
    for name in columns[:MOST_COLUMNS]:
        values = pq.read_table(part, columns=[name]).column(name)
        made = _short(group(name, values))
        found[name] = {
            "grouping": made.to_json(),
            **_figures(outcome, loss, made.codes(values), made.size + 2),
        }
    return found


def _short(made: Grouping) -> Grouping:
    return replace(made, levels=tuple(v for v in made.levels if not isinstance(v, str) or len(v) <= _LONGEST))


def _figures(outcome: Outcome, loss: Floats, codes: Ints, groups: int) -> dict[str, Any]:
    sums = {"loss": Sums.of(loss, codes, groups)}
    more: dict[str, Any] = {}
    if outcome.task == "regression":
        predicted = np.asarray(outcome.predicted, dtype=np.float64)
        sums["error"] = Sums.of(predicted - outcome.truth, codes, groups)
        sums["predicted"] = Sums.of(predicted, codes, groups)
    else:
        sums["expected"] = Sums.of(expected_losses(outcome.probability), codes, groups)
        if outcome.classes <= MOST_CLASSES:
            more["confusion"] = confusion(outcome, codes, groups).tolist()
    named = {name: tidy(each.total) for name, each in sums.items()}
    squares = {f"{name}_squares": tidy(each.squares) for name, each in sums.items()}
    return {"rows": sums["loss"].rows.astype(int).tolist(), **named, **squares, **more}


def confusion(outcome: Outcome, codes: Ints, groups: int) -> Ints:
    """Rows by group, truth and prediction, int64 (groups, classes, classes)."""
    k = outcome.classes
    truth, said = (np.asarray(part, dtype=np.int64) for part in (outcome.truth, outcome.predicted))
    cells = np.bincount((codes * k + truth) * k + said, minlength=groups * k * k)
    return cells.reshape(groups, k, k).astype(np.int64)


def calibration(outcome: Outcome) -> dict[str, Any]:
    """How far what was said is from what happened, by what was said.

    Returns:
        `edges` of bins with about as many rows each; for each bin `rows`, and `excess` and `excess_squares`: sums of
        what happened less what was said (`excesses`).
    """
    said, excess = excesses(outcome)
    edges = tidy(quantile_edges(said, _CALIBRATION_BINS))  # rows are counted by the edges that are kept
    sums = Sums.of(excess, places(said, edges), len(edges) - 1)
    return {
        "edges": edges,
        "rows": sums.rows.astype(int).tolist(),
        "excess": tidy(sums.total),
        "excess_squares": tidy(sums.squares),
    }


def put_right(task: Task, probability: Floats, predicted: Ints, calibration: Mapping[str, Any]) -> Floats:
    """Probabilities (n, classes) less what those of their size were off by (see `calibration`), as far as that is
    beyond chance."""
    known = Sums(
        *(np.asarray(calibration[k], dtype=np.float64) for k in ("rows", "excess", "excess_squares"))
    )
    return corrected(task, probability, predicted, calibration["edges"], shrunk(known))


def places(said: Floats, edges: Sequence[float]) -> Ints:
    """The bin of each value, int64 (n,); the outer bins are open."""
    return np.searchsorted(np.asarray(edges[1:-1], dtype=np.float64), said, side="left").astype(np.int64)


def excesses(outcome: Outcome) -> tuple[Floats, Floats]:
    """What was said of each row and how far the truth was above it, float64 (n,) each.

    Two classes: the probability of the positive one; more: that of the predicted one, and whether it was right; a
    regression: the prediction.
    """
    if outcome.task == "regression":
        said = np.asarray(outcome.predicted, dtype=np.float64)
        return said, np.asarray(outcome.truth, dtype=np.float64) - said
    if outcome.task == "binary":
        said = outcome.probability[:, 1].astype(np.float64)
        return said, (outcome.truth == 1) - said
    predicted = outcome.predicted.astype(np.int64)
    said = outcome.probability[np.arange(outcome.rows), predicted].astype(np.float64)
    return said, (outcome.truth == predicted) - said
