"""Which part each row belongs to, as an SQL condition a part.

Every method gives a row a key and cuts the keys at two places: a hash of the row number (random), the same
within each class (stratified), the time, or a hash of the group. Rows keep their order within a part. The
conditions look at one row only, so the parts are written in one pass each, whatever their size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bessemer.core.errors import DataError
from bessemer.core.sql import literal, quote
from bessemer.prepare.labelled import ROW, Labelled
from bessemer.prepare.mixing import group_sql, mixed_sql
from bessemer.prepare.spec import SplitSpec

PARTS = ("train", "valid", "test")
#: The tables that `Split.elsewhere` is about.
OTHERS, JUDGED = "others", "judged"


@dataclass(frozen=True)
class Split:
    """The conditions of the parts over the labelled rows, and what the user should know about them.

    refold: how train and valid may be cut anew for cross-validation: by `rows`, by `group`, or `never`, where
        the valid part was chosen on purpose (later in time, or given).
    elsewhere: which rows that are in none of the parts, because they stay at an engine, may be learnt from: a
        condition over the columns of `others`, and over `judged`, which has the groups of valid and test.
    """

    method: str
    conditions: Mapping[str, str]
    notes: tuple[str, ...] = ()
    refold: Literal["rows", "group", "never"] = "rows"
    elsewhere: str = "true"


def decide(connection: Any, data: Labelled, spec: SplitSpec, seed: int) -> Split:
    """Find the cuts.

    Args:
        connection: DuckDB.
        seed: of the hash, for random, stratified and group splits.

    Raises:
        DataError: the data has too few rows, times or groups, or a given part is empty or unknown.
    """
    if data.rows < len(PARTS):
        raise DataError(
            f"the data has {data.rows} labelled rows",
            why="train, valid and test need at least one each",
            fix="read more data; a model that can be judged needs some hundred rows",
        )
    method = spec.resolve(data.task)
    source = f"read_parquet({literal(data.path)})"
    if method == "time":
        return _by_time(connection, data, source, spec)
    if method == "group":
        return _by_group(connection, source, spec, seed)
    if method == "given":
        return _given(connection, source, spec, seed)
    return _by_chance(connection, data, source, spec, seed, method)


def _cut(key: str, valid_from: str, test_from: str) -> dict[str, str]:
    """train < valid_from <= valid < test_from <= test"""
    return {
        "train": f"{key} < {valid_from}",
        "valid": f"{key} >= {valid_from} AND {key} < {test_from}",
        "test": f"{key} >= {test_from}",
    }


def sizes(rows: int, spec: SplitSpec) -> tuple[int, int]:
    """Rows of (valid, test) out of `rows`: the shares, but at least one row in each part where there are three.

    >>> sizes(100, SplitSpec()), sizes(4, SplitSpec()), sizes(2, SplitSpec()), sizes(1, SplitSpec())
    ((15, 20), (1, 1), (0, 1), (0, 0))
    """
    test = min(max(round(rows * spec.test), 1), rows - 1)
    valid = max(min(max(round(rows * spec.valid), 1), rows - test - 1), 0)
    if test > rows - 2 and rows > 2:
        test, valid = rows - 2, 1
    return valid, test


def _by_chance(
    connection: Any, data: Labelled, source: str, spec: SplitSpec, seed: int, method: str
) -> Split:
    cls = data.class_sql() if method == "stratified" else "CAST(0 AS BIGINT)"
    key = mixed_sql(ROW, seed)
    counts = dict(connection.execute(f"SELECT {cls} AS c, count(*) FROM {source} GROUP BY 1").fetchall())
    wanted = [(c, *sizes(n, spec)) for c, n in sorted(counts.items())]
    rows = ", ".join(
        f"({c}, {n - valid - test}, {n - test})"
        for (c, valid, test), n in zip(wanted, (counts[c] for c, _, _ in wanted), strict=True)
    )
    found = connection.execute(
        f"""
        SELECT s.c, max(key) FILTER (place <= train), max(key) FILTER (place <= known)
        FROM (SELECT {cls} AS c, {key} AS key, row_number() OVER (PARTITION BY {cls} ORDER BY {key}) AS place
              FROM {source}) t JOIN (VALUES {rows}) s(c, train, known) USING (c)
        GROUP BY s.c ORDER BY s.c
        """
    ).fetchall()
    cuts = {c: (train + 1, known + 1) for c, train, known in found}
    table = [cuts.get(c, (0, 0)) for c in range(max(cuts) + 1)]
    valid_from, test_from = (f"[{', '.join(str(row[i]) for row in table)}][{cls} + 1]" for i in (0, 1))
    few = [str(data.classes[c]) for c, valid, _ in wanted if valid == 0]
    notes = (f"too few rows to be in train, valid and test: class {', '.join(few)}",) if few else ()
    return Split(method, _cut(key, valid_from, test_from), notes)


def _by_time(connection: Any, data: Labelled, source: str, spec: SplitSpec) -> Split:
    name = str(spec.by)
    key = f"epoch_us({quote(name)})" if data.columns[name] == "timestamp" else quote(name)

    def first(sql: str) -> Any:
        found = connection.execute(sql).fetchone()
        return found[0] if found else None

    def text(value: Any) -> str:
        return f"CAST('{value!r}' AS {'DOUBLE' if isinstance(value, float) else 'BIGINT'})"

    distinct = f"(SELECT DISTINCT {key} AS k FROM {source} WHERE {key} IS NOT NULL)"
    smallest = [k for (k,) in connection.execute(f"SELECT k FROM {distinct} ORDER BY k LIMIT 3").fetchall()]
    if len(smallest) < len(PARTS):
        raise DataError(
            f"'{name}' has only {len(smallest)} distinct values, so it cannot be cut into train, valid and test",
            why="rows of the same time are never split between parts",
            fix="split by a finer column, or leave `prepare: {split: {by: ...}}` out for a random split",
        )
    missing = first(f"SELECT count(*) FROM {source} WHERE {key} IS NULL")
    rows = data.rows - missing
    valid, test = sizes(rows, spec)
    at = f"SELECT {key} AS k FROM {source} WHERE {key} IS NOT NULL ORDER BY 1 LIMIT 1 OFFSET "
    test_from = max(first(at + str(rows - test)), smallest[2])
    valid_from = max(first(at + str(rows - test - valid)), smallest[1])
    if valid_from >= test_from:
        valid_from = first(f"SELECT max(k) FROM {distinct} WHERE k < {text(test_from)}")
    conditions = _cut(key, text(valid_from), text(test_from))
    conditions["train"] = f"({conditions['train']} OR {key} IS NULL)"
    notes = (f"{missing} rows without '{name}' are in train",) if missing else ()
    return Split("time", conditions, notes, refold="never", elsewhere=conditions["train"])


def _by_group(connection: Any, source: str, spec: SplitSpec, seed: int) -> Split:
    name = str(spec.group)
    key = group_sql(name, seed)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE groups AS
        SELECT key, row_number() OVER (ORDER BY key) AS place, sum(n) OVER (ORDER BY key DESC) AS upto
        FROM (SELECT {key} AS key, count(*) AS n FROM {source} GROUP BY 1)
        """
    )
    groups, rows = connection.execute("SELECT count(*), max(upto) FROM groups").fetchone()
    if groups < len(PARTS):
        raise DataError(
            f"'{name}' has only {groups} groups, so it cannot be split into train, valid and test",
            why="a group is never split between parts",
            fix="group by a finer column, or leave `prepare: {split: {group: ...}}` out",
        )
    valid, test = sizes(int(rows), spec)

    def cut(share: int, lowest: int, highest: int) -> tuple[int, int]:
        """The place and key from which on the groups hold at least `share` rows, within the bounds."""
        sql = (
            "SELECT place, key FROM groups WHERE place BETWEEN ? AND ? "
            "ORDER BY upto < ?, CASE WHEN upto < ? THEN place ELSE -place END LIMIT 1"
        )
        place, found = connection.execute(sql, [lowest, highest, share, share]).fetchone()
        return int(place), int(found)

    test_place, test_from = cut(test, 3, groups)
    _, valid_from = cut(test + valid, 2, test_place - 1)
    unseen = f"NOT EXISTS (SELECT 1 FROM {JUDGED} WHERE {JUDGED}.x0 = {OTHERS}.{quote(name)})"
    return Split("group", _cut(key, str(valid_from), str(test_from)), refold="group", elsewhere=unseen)


def _given(connection: Any, source: str, spec: SplitSpec, seed: int) -> Split:
    """Parts as a column says; where it names no valid rows, they are drawn from those of train."""
    name = str(spec.given)
    key = f"lower(trim({quote(name)}))"
    counts = dict(connection.execute(f"SELECT {key} AS k, count(*) FROM {source} GROUP BY 1").fetchall())
    strange = sorted(repr(k) if k is not None else "missing" for k in counts if k not in PARTS)
    if strange:
        raise DataError(
            f"'{name}' has other values than train, valid and test: {', '.join(strange[:5])}",
            why=f"{sum(n for k, n in counts.items() if k not in PARTS)} rows belong to no part",
            fix="map them in `acquire: {sql: ...}`, or filter those rows out",
        )
    if empty := [part for part in ("train", "test") if part not in counts]:
        raise DataError(
            f"'{name}' puts no rows into {' and '.join(empty)}",
            why="train and test both need rows: train to fit, test to judge",
            fix=f"give some rows the value '{empty[0]}'",
        )
    conditions = {part: f"{key} = '{part}'" for part in PARTS}
    train = conditions["train"]
    if "valid" in counts:
        return Split("given", conditions, refold="never", elsewhere=train)
    chance, (drawn, _) = mixed_sql(ROW, seed), sizes(counts["train"], spec.model_copy(update={"test": 0.0}))
    (highest,) = connection.execute(
        f"SELECT {chance} AS k FROM {source} WHERE {conditions['train']} ORDER BY 1 LIMIT 1 OFFSET {max(drawn, 1) - 1}"
    ).fetchone()
    conditions |= {
        "train": f"{train} AND {chance} > {highest}",
        "valid": f"{train} AND {chance} <= {highest}",
    }
    notes = (f"'{name}' names no valid rows: {spec.valid:.0%} of train were drawn",)
    return Split("given", conditions, notes, elsewhere=train)
