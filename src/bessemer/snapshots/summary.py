"""The statistics of a snapshot in short, each column read once, and which of them moved between two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bessemer.core.sql import literal, quote

Summary = dict[str, dict[str, Any]]

#: What counts as moved: a share (of missing values, of the values of a column of words) by one hundredth,
#: a mean by a tenth of the standard deviation.
SHARE, DEVIATIONS = 0.01, 0.1
#: Columns with more different texts than this are not compared text by text.
WORDS = 100
#: DuckDB plans a query over hundreds of columns longer than it runs several over some of them.
_AT_ONCE = 50
#: Beyond this a square does not fit a double: such values are left out of means and deviations.
_SQUARABLE = 1e150


def summary(connection: Any, parquet: Path, columns: Sequence[Mapping[str, str]]) -> Summary:
    """For each column: dtype, `missing` (share in 0..1), `distinct` (approximate), and by its type `low` and `high`
    (numbers, times as ISO 8601), `mean` and `deviation` (finite numbers; of booleans the share of true). None where
    there is no value.
    """
    found: Summary = {}
    for first in range(0, len(columns), _AT_ONCE):
        some = columns[first : first + _AT_ONCE]
        asked = [list(_asked(quote(c["name"]), c["dtype"])) for c in some]
        listed = ", ".join(sql for each in asked for _, sql in each)
        query = f"SELECT count(*), {listed} FROM read_parquet({literal(parquet)})"
        values = iter(connection.execute(query).fetchone()[1:])
        for column, each in zip(some, asked, strict=True):
            facts = {name: next(values) for name, _ in each}
            found[column["name"]] = {"dtype": column["dtype"], **facts}
    return found


def _asked(c: str, dtype: str) -> Iterator[tuple[str, str]]:
    """What is asked of a column: name and SQL."""
    yield "missing", f"(count(*) - count({c})) / greatest(count(*), 1)"
    yield "distinct", f"approx_count_distinct({c})"
    if dtype in ("BIGINT", "DOUBLE"):
        number = f"CAST({c} AS DOUBLE)"
        usable = f"FILTER (WHERE {number} BETWEEN -{_SQUARABLE} AND {_SQUARABLE})"
        yield from (("low", f"min({c})"), ("high", f"max({c})"))
        yield "mean", f"avg({number}) {usable}"
        yield "deviation", f"stddev_samp({number}) {usable}"
    elif dtype == "BOOLEAN":
        yield "mean", f"avg(CAST({c} AS INTEGER))"
    elif dtype == "TIMESTAMP":
        yield from (("low", f"strftime(min({c}), '%xT%X.%f')"), ("high", f"strftime(max({c}), '%xT%X.%f')"))


def moved(connection: Any, a: tuple[Path, Summary], b: tuple[Path, Summary]) -> list[dict[str, Any]]:
    """The statistics of columns of the same name and type that are not what they were.

    Returns:
        column, what (`missing`, `mean`, `deviation`, `low`, `high`, `values`), before, after; of `values` after is
        the share of rows that would have to change their value, and before 0.
    """
    found = []
    for name, after in b[1].items():
        before = a[1].get(name)
        if before is None or before["dtype"] != after["dtype"]:
            continue
        changes = {what: (before[what], after[what]) for what in _changed(before, after) if what in before}
        if before["dtype"] == "VARCHAR" and max(before["distinct"], after["distinct"]) <= WORDS:
            distance = _distance(connection, a[0], b[0], quote(name))
            if distance >= SHARE:
                changes["values"] = (0.0, distance)
        found += [
            {"column": name, "what": what, "before": old, "after": new}
            for what, (old, new) in changes.items()
        ]
    return found


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    if abs(before["missing"] - after["missing"]) >= SHARE:
        yield "missing"
    if "deviation" in before:
        spread = max(before["deviation"] or 0.0, 0.0)
        for what in ("mean", "deviation"):
            old, new = before[what], after[what]
            if (old is None) != (new is None) or (
                old is not None and old != new and abs(new - old) >= DEVIATIONS * spread
            ):
                yield what
    elif before["dtype"] == "BOOLEAN" and abs((before["mean"] or 0) - (after["mean"] or 0)) >= SHARE:
        yield "mean"
    for what in ("low", "high"):
        if before.get(what) != after.get(what):
            yield what


def _distance(connection: Any, a: Path, b: Path, c: str) -> float:
    """The total variation distance of a column's values, 0..1."""
    share = "SELECT {c} AS v, count(*) / sum(count(*)) OVER () AS p FROM read_parquet({file}) GROUP BY {c}"
    before, after = (share.format(c=c, file=literal(file)) for file in (a, b))
    query = (
        "SELECT coalesce(sum(abs(coalesce(x.p, 0) - coalesce(y.p, 0))), 0) / 2 "
        f"FROM ({before}) x FULL JOIN ({after}) y ON x.v IS NOT DISTINCT FROM y.v"
    )
    return float(connection.execute(query).fetchone()[0])
