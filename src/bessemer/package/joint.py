"""How the numeric columns of a table go together, by the normal scores of their bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bessemer.core.sql import quote
from bessemer.package.even import spread
from bessemer.stats.arrays import Floats
from bessemer.stats.association import correlations, excess_spread, normal_scores

#: The most columns that are compared in pairs: 60 have 1,770.
COLUMNS = 60

#: Correlations are of at most so many rows, spread evenly over the table.
ROWS = 50_000


def chosen(sketches: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The columns of numbers that vary, the first `COLUMNS` of them; sketches are as in `reference.json`."""
    numbers = [name for name, sketch in sketches.items() if sketch["dtype"] in ("number", "integer")]
    return [name for name in numbers if len(sketches[name]["counts"]) > 1][:COLUMNS]


def association(
    connection: Any, relation: str, names: Sequence[str], sketches: Mapping[str, Mapping[str, Any]], rows: int
) -> tuple[Floats, Floats, Floats]:
    """Correlations of the named columns in the bins of `sketches`, their counts, and `excess_spread`; (k, k) each.

    Args:
        relation: what stands after FROM; it has the columns. rows: how many rows it has.
    """
    scores = [scored_numbers(connection, relation, name, sketches[name], rows) for name in names]
    return associated(scores)


def associated(scores: Sequence[Floats]) -> tuple[Floats, Floats, Floats]:
    """The same of columns of scores, (n,) each."""
    if not scores:
        return np.zeros((0, 0)), np.zeros((0, 0)), np.zeros((0, 0))
    values = np.stack(scores, axis=1)
    r, counts = correlations(values)
    return r, counts, excess_spread(values, r)


def scored_numbers(connection: Any, relation: str, name: str, sketch: Mapping[str, Any], rows: int) -> Floats:
    """The normal scores (n,) of a column of numbers, of at most `ROWS` rows; NaN where there is none."""
    query = spread(relation, f"TRY_CAST({quote(name)} AS DOUBLE) AS v", rows, ROWS)
    found = connection.execute(query).fetchnumpy()["v"]
    return _scores(np.ma.filled(found.astype(np.float64), np.nan), sketch)


def _scores(values: Floats, sketch: Mapping[str, Any]) -> Floats:
    edges = np.asarray(sketch["edges"], dtype=np.float64)
    scores = normal_scores(sketch["counts"])[np.searchsorted(edges[1:-1], values)]
    return np.where(np.isfinite(values), scores, np.nan)
