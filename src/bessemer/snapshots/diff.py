"""What differs between two snapshots: columns, rows by key or as a multiset, statistics that moved.

DuckDB reads both files as streams, and what does not fit its memory goes to disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bessemer.core.artifact import Artifact
from bessemer.core.errors import DataError, UsageError, did_you_mean
from bessemer.core.sql import for_width, literal, quote
from bessemer.snapshots.summary import moved, summary

#: How many rows of each kind are shown.
SAMPLES = 5
#: By how many columns they are put into order: all of a wide table would have to be in memory for that.
_ORDER = 16


def diff(connection: Any, a: Artifact, b: Artifact, key: Sequence[str] = ()) -> dict[str, Any]:
    """What changed from `a` to `b`.

    Args:
        connection: a DuckDB connection that may spill to disk.
        key: columns that tell rows apart; without, whole rows are counted.

    Returns:
        `columns`: added, removed, retyped {name: [before, after]}; `rows`: before, after, added, removed, same, with a
        key also changed and `changed_columns` {name: rows}; `samples`: added, removed, changed, at most five rows
        each; `moved`: as `summary.moved` gives them. Rows are compared in the columns that both have.

    Raises:
        UsageError: no such key column.
        DataError: the key does not tell rows apart, or the two have no column in common.
    """
    sides = _Sides(a, b)
    if not sides.common:
        raise DataError("the two snapshots have no column in common", fix="choose others: bessemer data log")
    for_width(connection, 2 * len(sides.common))
    rows = _by_key(connection, sides, sides.known(key)) if key else _as_multiset(connection, sides)
    summaries = [summary(connection, each.path("data.parquet"), each.meta["columns"]) for each in (a, b)]
    files = [each.path("data.parquet") for each in (a, b)]
    return {
        "columns": columns_changed(a.meta["columns"], b.meta["columns"]),
        "key": list(key),
        **rows,
        "moved": moved(connection, (files[0], summaries[0]), (files[1], summaries[1])),
    }


def columns_changed(
    before: Sequence[Mapping[str, str]], after: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    """Columns that were added, removed, or have another type.

    >>> columns_changed([{"name": "a", "dtype": "BIGINT"}], [{"name": "a", "dtype": "DOUBLE"}])
    {'added': [], 'removed': [], 'retyped': {'a': ['BIGINT', 'DOUBLE']}}
    """
    old, new = ({c["name"]: c["dtype"] for c in side} for side in (before, after))
    return {
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
        "retyped": {n: [old[n], new[n]] for n in new if n in old and old[n] != new[n]},
    }


@dataclass(frozen=True)
class _Sides:
    a: Artifact
    b: Artifact

    @property
    def types(self) -> tuple[dict[str, str], dict[str, str]]:
        old, new = ({c["name"]: c["dtype"] for c in side.meta["columns"]} for side in (self.a, self.b))
        return old, new

    @property
    def common(self) -> list[str]:
        old, new = self.types
        return [name for name in new if name in old]

    def known(self, key: Sequence[str]) -> list[int]:
        """The places of the key's columns among those in common."""
        for name in key:
            if name not in self.common:
                raise UsageError(f"no column '{name}' in both snapshots", fix=did_you_mean(name, self.common))
        return [self.common.index(name) for name in key]

    def select(self, side: Artifact, extra: str) -> str:
        """The columns in common as c0, c1..., of types that compare, and one more expression."""
        old, new = self.types
        listed = ", ".join(
            f"{_comparable(quote(name), old[name], new[name])} AS c{i}" for i, name in enumerate(self.common)
        )
        return f"SELECT {listed}, {extra} FROM read_parquet({literal(side.path('data.parquet'))})"

    def named(self, values: Sequence[Any]) -> dict[str, Any]:
        return {name: _shown(value) for name, value in zip(self.common, values, strict=True)}


def _comparable(c: str, before: str, after: str) -> str:
    """
    >>> _comparable("c", "BIGINT", "DOUBLE"), _comparable("c", "BIGINT", "BIGINT")
    ('CAST(c AS DOUBLE)', 'c')
    """
    if before == after:
        return c
    return f"CAST({c} AS {'DOUBLE' if {before, after} == {'BIGINT', 'DOUBLE'} else 'VARCHAR'})"


def _shown(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _as_multiset(connection: Any, sides: _Sides) -> dict[str, Any]:
    columns = [f"c{i}" for i in range(len(sides.common))]
    listed = ", ".join(columns)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE changed AS SELECT {listed}, sum(side) AS n FROM ("
        f"{sides.select(sides.b, '1 AS side')} UNION ALL {sides.select(sides.a, '-1 AS side')}"
        f") GROUP BY {listed} HAVING sum(side) <> 0"
    )
    added, removed = connection.execute(
        "SELECT coalesce(sum(n) FILTER (WHERE n > 0), 0), coalesce(-sum(n) FILTER (WHERE n < 0), 0) FROM changed"
    ).fetchone()
    samples, by = {}, ", ".join(columns[:_ORDER])
    for kind, sign in (("added", ">"), ("removed", "<")):
        query = f"SELECT {listed} FROM changed WHERE n {sign} 0 ORDER BY {by} LIMIT {SAMPLES}"
        samples[kind] = [sides.named(row) for row in connection.execute(query).fetchall()]
    connection.execute("DROP TABLE changed")
    return {"rows": _counts(sides, int(added), int(removed)), "samples": samples}


def _counts(sides: _Sides, added: int, removed: int, changed: int | None = None) -> dict[str, int]:
    before, after = sides.a.meta["rows"], sides.b.meta["rows"]
    counts = {"before": before, "after": after, "added": added, "removed": removed}
    if changed is not None:
        counts["changed"] = changed
    return {**counts, "same": after - added - (changed or 0)}


def _by_key(connection: Any, sides: _Sides, key: Sequence[int]) -> dict[str, Any]:
    for side in (sides.a, sides.b):
        _check_key(connection, sides, side, key)
    rest = [i for i in range(len(sides.common)) if i not in key]
    differ = {i: f"x.c{i} IS DISTINCT FROM y.c{i}" for i in rest}
    both = "x.here AND y.here"
    changed = f"{both} AND ({' OR '.join(differ.values()) or 'false'})"
    conditions = {"added": "x.here IS NULL", "removed": "y.here IS NULL", "changed": changed}
    asked = [f"count(*) FILTER (WHERE {where})" for where in conditions.values()]
    asked += [f"count(*) FILTER (WHERE {both} AND {test})" for test in differ.values()]
    asked += list(_samples(sides, key, conditions))
    joined = " AND ".join(f"x.c{i} IS NOT DISTINCT FROM y.c{i}" for i in key)
    row = connection.execute(
        f"SELECT {', '.join(asked)} FROM ({sides.select(sides.a, 'true AS here')}) x "
        f"FULL JOIN ({sides.select(sides.b, 'true AS here')}) y ON {joined}"
    ).fetchone()
    added, removed, altered = row[:3]
    columns = {sides.common[i]: n for i, n in zip(rest, row[3:-3], strict=True) if n}
    samples: dict[str, Any] = {}
    for kind, found in zip(conditions, row[-3:], strict=True):
        rows = [[each[f"c{i}"] for i in range(len(sides.common))] for each in found or ()]
        samples[kind] = [sides.named(values) for values in rows]
    samples["changed"] = [
        {name: (pair[0] if pair[0] == pair[1] else pair) for name, pair in row.items()}
        for row in samples["changed"]
    ]
    return {
        "rows": _counts(sides, added, removed, altered),
        "changed_columns": columns,
        "samples": samples,
    }


def _samples(sides: _Sides, key: Sequence[int], conditions: Mapping[str, str]) -> Iterator[str]:
    """The rows of the least keys of each kind; of changed ones each value is [before, after]."""
    places = range(len(sides.common))
    least = {side: f"{{{', '.join(f'k{i}: {side}.c{i}' for i in key)}}}" for side in ("x", "y")}
    packed = {side: f"{{{', '.join(f'c{i}: {side}.c{i}' for i in places)}}}" for side in ("x", "y")}
    pairs = f"{{{', '.join(f'c{i}: [x.c{i}, y.c{i}]' for i in places)}}}"
    for kind, where in conditions.items():
        side = "y" if kind == "added" else "x"
        value = pairs if kind == "changed" else packed[side]
        yield f"arg_min({value}, {least[side]}, {SAMPLES}) FILTER (WHERE {where})"


def _check_key(connection: Any, sides: _Sides, side: Artifact, key: Sequence[int]) -> None:
    listed = ", ".join(f"c{i}" for i in key)
    repeated = connection.execute(
        f"SELECT {listed}, count(*) FROM ({sides.select(side, '1')}) GROUP BY {listed} HAVING count(*) > 1 "
        f"ORDER BY {listed} LIMIT 1"
    ).fetchone()
    if repeated:
        names = ", ".join(sides.common[i] for i in key)
        values = ", ".join(str(_shown(value)) for value in repeated[:-1])
        raise DataError(
            f"{names} does not tell rows apart: {values} stands {repeated[-1]} times",
            fix="add columns, as `--key id,day`, or leave the key out: then whole rows are counted",
        )
