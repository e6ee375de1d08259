"""A column in short: counts in a few bins, by which a later snapshot is compared with this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bessemer.core.sql import literal, quote
from bessemer.stats.arrays import Floats

#: Numbers are counted between this many quantiles, texts by value up to so many values, and else by their length.
BINS = 20
VALUES = 50
#: Quantiles come from about so many rows, spread evenly.
_SAMPLE = 200_000


def sketch(connection: Any, relation: str, name: str, kind: str, rows: int) -> dict[str, Any]:
    """The sketch of a column: how it is counted, and the counts.

    Args:
        kind: its type, one of a dataset's five. rows: of the relation.

    `by` is "values" (texts and booleans; one count a value, and one of all others), "length" (texts of many values) or
    "number" (numbers, and times as microseconds): counts between `edges`, the first below the first edge. `missing` is
    how many rows have no value.
    """
    c = quote(name)
    found: dict[str, Any] | None = None
    if kind in ("VARCHAR", "BOOLEAN"):
        distinct = f"SELECT DISTINCT CAST({c} AS VARCHAR) AS v FROM {relation} WHERE {c} IS NOT NULL"
        values = connection.execute(f"{distinct} LIMIT {VALUES + 1}").fetchall()
        if len(values) <= VALUES:
            found = {"by": "values", "values": sorted(value for (value,) in values)}
    if found is None:
        by = "length" if kind == "VARCHAR" else "number"
        found = {"by": by, "edges": _edges(connection, relation, _value(c, by, kind), rows)}
    counts, missing = count(connection, relation, name, kind, found)
    return {**found, "counts": [int(n) for n in counts], "missing": missing}


def count(
    connection: Any, relation: str, name: str, kind: str, like: Mapping[str, Any]
) -> tuple[Floats, int]:
    """The counts (bins,) of a column in the bins of a sketch, and how many values are missing."""
    c = quote(name)
    if like["by"] == "values":
        listed = ", ".join(literal(value) for value in like["values"])
        bin_of = f"list_position([{listed}], CAST({c} AS VARCHAR))" if listed else "0"
        bins = len(like["values"]) + 1
        number = f"CASE WHEN {c} IS NOT NULL THEN coalesce({bin_of}, 0) END"
    else:
        value = _value(c, like["by"], kind)
        edges = like["edges"]
        bins = len(edges) + 1
        # a chain of comparisons is what a bin is: NaN cannot be there, infinity is above all edges
        number = f"CASE WHEN {c} IS NOT NULL THEN {_bisect(value, edges, 0)} END"
    query = f"SELECT {number} AS bin, count(*) FROM {relation} GROUP BY 1"
    found = dict(connection.execute(query).fetchall())
    missing = int(found.pop(None, 0))
    counts = np.zeros(bins)
    for at, n in found.items():
        counts[at] = n
    return counts, missing


def _bisect(value: str, edges: list[float], first: int) -> str:
    """SQL of how many of the ascending edges are below a value."""
    if not edges:
        return str(first)
    half = len(edges) // 2
    low, high = _bisect(value, edges[:half], first), _bisect(value, edges[half + 1 :], first + half + 1)
    return f"CASE WHEN {value} <= CAST('{edges[half]!r}' AS DOUBLE) THEN {low} ELSE {high} END"


def _value(c: str, by: str, kind: str) -> str:
    if by == "length":
        return f"CAST(length({c}) AS DOUBLE)"
    return f"CAST(epoch_us({c}) AS DOUBLE)" if kind == "TIMESTAMP" else f"CAST({c} AS DOUBLE)"


def _edges(connection: Any, relation: str, value: str, rows: int) -> list[float]:
    """Quantiles of the finite values, each once: bins that hold about as many rows each."""
    levels = [i / BINS for i in range(1, BINS)]
    taken = int(2**32 * min(1.0, _SAMPLE / max(rows, 1)))
    some = f"SELECT {value} AS v, row_number() OVER () AS n FROM {relation}"
    spread = f"(n * 2654435761) % 4294967296 < {taken} AND isfinite(v)"
    query = f"SELECT quantile_disc(v, {levels}) FROM ({some}) WHERE {spread}"
    (found,) = connection.execute(query).fetchone()
    return sorted({float(edge) for edge in found or []})
