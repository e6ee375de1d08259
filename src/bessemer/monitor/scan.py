"""One pass over a table: every column counted in the bins of the reference, in SQL. No row is kept."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from bessemer.core.blas import one_thread
from bessemer.core.sql import quote
from bessemer.monitor.joint import joined
from bessemer.monitor.reference import Pairs, Reference, Sketch
from bessemer.monitor.window import Column, Window
from bessemer.package.image_measures import with_measures
from bessemer.package.joint import associated, scored_numbers
from bessemer.profile.columns import FLOAT32_MAX
from bessemer.stats.arrays import Floats

#: How many new or wrong values are shown of a column.
EXAMPLES = 5

_TRUE, _FALSE = ("true", "t", "1", "1.0"), ("false", "f", "0", "0.0")


def scan(connection: Any, relation: str, reference: Reference, parts: Collection[str] = ()) -> Window:
    """Sketch the rows of a relation in the bins of the reference.

    Args:
        connection: a DuckDB connection. relation: what stands after FROM.
        parts: what detectors read of rows and of pairs of columns (see `joint.PARTS`); more passes are made for it.

    A value that is not of its column's type counts as wrong and as missing; a column of another type is cast.
    """
    there = _types(connection, relation)
    if images := [name for name in reference.facts.get("images", ()) if name in there]:
        relation = with_measures(connection, relation, images)
        there = _types(connection, relation)
    rows = int(connection.execute(f"SELECT count(*) FROM {relation}").fetchone()[0])
    # a query a column: the file is read by columns anyway, and DuckDB takes 3.5 times as long for twenty in one query
    columns = {
        name: _column(connection, relation, name, each, there[name], rows)
        for name, each in reference.columns.items()
        if name in there
    }
    absent = tuple(name for name in reference.columns if name not in there)
    with one_thread() if parts else nullcontext():
        scores = _scores(connection, relation, reference, columns, rows) if "pairs" in parts else {}
        joint = joined(connection, relation, reference, there, rows, parts, scores)
        return Window(rows, columns, absent, _pairs(scores), joint=joint)


def _types(connection: Any, relation: str) -> dict[str, str]:
    return {
        row[0]: str(row[1]) for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    }


def _scores(
    connection: Any, relation: str, reference: Reference, there: Collection[str], rows: int
) -> dict[str, Floats]:
    """Of the columns that go together in the reference, those that are there."""
    named = [name for name in reference.pairs.columns if name in there and rows]
    sketches = reference.facts["columns"]
    return {name: scored_numbers(connection, relation, name, sketches[name], rows) for name in named}


def _pairs(scores: Mapping[str, Floats]) -> Pairs | None:
    return Pairs(tuple(scores), *associated(list(scores.values()))) if len(scores) > 1 else None


def _column(connection: Any, relation: str, name: str, reference: Sketch, kind: str, rows: int) -> Column:
    if reference.is_numeric:
        return _Numbers(name, reference, kind).column(connection, relation, rows)
    counter = _Values(name, reference, kind)
    query = f"SELECT {', '.join(counter.expressions())} FROM {relation}"
    found = connection.execute(query, counter.parameters()).fetchone()
    return counter.column(found, rows, connection, relation)


class _Numbers:
    """Counts of a numeric column or of times, in the reference's bins."""

    def __init__(self, name: str, reference: Sketch, kind: str) -> None:
        self._reference = reference
        self._raw = raw = quote(name)
        assert reference.edges is not None
        times = reference.dtype == "timestamp"
        if times:
            moment = raw if kind.startswith("TIMESTAMP") else f"TRY_CAST({raw} AS TIMESTAMP)"
            self._value, self._known = f"epoch_us({moment})", f"isfinite({moment})"
        else:
            self._value = raw if kind == "DOUBLE" else f"TRY_CAST({raw} AS DOUBLE)"
            self._known = f"abs({self._value}) <= {FLOAT32_MAX}"  # false for NaN and infinity
        text = kind == "VARCHAR"
        self._wrong = f"{raw} IS NOT NULL AND {raw} <> '' AND {self._value} IS NULL" if text else ""
        self._edges: list[Any] = [int(e) if times else float(e) for e in reference.edges]
        #: The greatest value below the reference's range.
        self._under = None
        if self._edges:
            self._under = self._edges[0] - 1 if times else math.nextafter(self._edges[0], -math.inf)

    def column(self, connection: Any, relation: str, rows: int) -> Column:
        """One histogram counts the bins and both sides of the range: it is most of what the scan costs."""
        bounds = [self._under, *self._edges[1:]] if self._edges else []
        measures = "count(*), min(v), max(v), avg(v), stddev_pop(v)"
        counter = "histogram(v, ?)" if bounds else "NULL"
        source = f"SELECT {self._value} AS v FROM {relation} WHERE {self._known}"
        count, low, high, mean, std, counted = connection.execute(
            f"SELECT {measures}, {counter} FROM ({source})", [bounds] if bounds else []
        ).fetchone()
        below, *within = [int((counted or {}).get(bound, 0)) for bound in bounds] or [0]
        above = count - below - sum(within) if bounds else 0
        wrong = self._count_wrong(connection, relation)
        made = Sketch(
            self._reference.dtype,
            self._counts(within, below, above, count),
            rows - int(count),
            edges=self._reference.edges,
            mean=np.nan if mean is None else float(mean),
            std=np.nan if std is None else float(std),
        )
        examples = _frequent(connection, relation, self._raw, self._wrong) if wrong else ()
        return Column(made, wrong, below, above, low, high, examples)

    def _counts(self, within: list[int], below: int, above: int, count: int) -> Floats:
        """In the reference's bins, of which the outer ones are open."""
        if not self._edges:  # the reference has no value of its own to make bins of
            return np.array([count] if count else [], dtype=np.float64)
        counts = np.array(within, dtype=np.float64)
        counts[0] += below
        counts[-1] += above
        return counts

    def _count_wrong(self, connection: Any, relation: str) -> int:
        if not self._wrong:
            return 0
        return int(connection.execute(f"SELECT count(*) FROM {relation} WHERE {self._wrong}").fetchone()[0])


class _Values:
    """Counts of a text or boolean column, by the values that the reference knows."""

    def __init__(self, name: str, reference: Sketch, kind: str) -> None:
        self._reference = reference
        self._raw = raw = quote(name)
        if reference.dtype == "boolean":
            lowered = f"lower(CAST({raw} AS VARCHAR))"
            self._value = (
                f"CASE WHEN {lowered} IN {_TRUE} THEN 'true' WHEN {lowered} IN {_FALSE} THEN 'false' END"
            )
            empty = f" AND {raw} <> ''" if kind == "VARCHAR" else ""
            self._wrong = f"{raw} IS NOT NULL{empty} AND ({self._value}) IS NULL"
            self._known = f"({self._value}) IS NOT NULL"
            self._names = [str(value).lower() for value in reference.values]
        else:
            self._value = raw if kind == "VARCHAR" else f"CAST({raw} AS VARCHAR)"
            self._wrong = ""
            self._known = f"{self._value} <> ''"
            self._names = [str(value) for value in reference.values]

    def expressions(self) -> list[str]:
        return [
            f"count(*) FILTER ({self._known})",
            f"count(*) FILTER ({self._wrong})" if self._wrong else "0",
            f"histogram_exact({self._value}, ?) FILTER ({self._known})" if self._names else "NULL",
        ]

    def parameters(self) -> list[Any]:
        return [self._names] if self._names else []

    def column(self, answers: Sequence[Any], rows: int, connection: Any, relation: str) -> Column:
        count, wrong, counted = answers
        within = [int((counted or {}).get(name, 0)) for name in self._names]
        other = int(count) - sum(within)
        made = Sketch(
            self._reference.dtype,
            np.array([*within, other], dtype=np.float64),
            rows - int(count),
            values=self._reference.values,
        )
        examples: tuple[Any, ...] = ()
        if wrong:
            examples = _frequent(connection, relation, self._raw, self._wrong)
        elif other and not self._reference.counts[-1]:
            examples = self._new(connection, relation)
        return Column(made, int(wrong), examples=examples)

    def _new(self, connection: Any, relation: str) -> tuple[Any, ...]:
        known = f"{self._known} AND NOT list_contains(?, {self._value})"
        return _frequent(connection, relation, self._value, known, [self._names])


def _frequent(
    connection: Any, relation: str, value: str, where: str, parameters: Sequence[Any] = ()
) -> tuple[Any, ...]:
    """About the most frequent values under a condition, in bounded memory."""
    found = connection.execute(
        f"SELECT approx_top_k(CAST({value} AS VARCHAR), {EXAMPLES}) FROM {relation} WHERE {where}", parameters
    ).fetchone()[0]
    return tuple(found or ())
