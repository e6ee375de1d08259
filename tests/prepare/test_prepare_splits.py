"""The parts: exact shares, order, nothing lost, nothing leaking from one part to another."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.core.errors import DataError
from bessemer.core.sql import literal
from bessemer.prepare.labelled import Labelled
from bessemer.prepare.spec import SplitSpec
from bessemer.prepare.splits import PARTS, Split, decide, sizes


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect(":memory:", config={"threads": 1}) as con:
        yield con


def label(con, path: Path, query: str, task: str = "binary", columns: dict | None = None) -> Labelled:
    con.execute(f"COPY ({query}) TO {literal(path)} (FORMAT parquet)")
    rows = con.execute(f"SELECT count(*) FROM read_parquet({literal(path)})").fetchone()[0]
    classes: tuple = ()
    if task != "regression":
        classes = tuple(
            c
            for (c,) in con.execute(
                f"SELECT DISTINCT y FROM read_parquet({literal(path)}) ORDER BY y"
            ).fetchall()
        )
    return Labelled(path, rows, columns or {"i": "integer", "y": "integer"}, "y", task, classes)


def parts_of(con, data: Labelled, split: Split, column: str = "i") -> dict[str, list]:
    return {
        part: [
            v
            for (v,) in con.execute(
                f'SELECT "{column}" FROM read_parquet({literal(data.path)}) WHERE {where}'
            ).fetchall()
        ]
        for part, where in split.conditions.items()
    }


def whole(parts: dict[str, list]) -> list:
    return sorted(v for part in parts.values() for v in part)


def test_random_has_exact_sizes_keeps_the_order_and_depends_on_the_seed(connection, tmp_path) -> None:
    data = label(connection, tmp_path / "a", "SELECT i, i * 0.5 AS y FROM range(1000) t(i)", "regression")
    found = parts_of(connection, data, decide(connection, data, SplitSpec(), 1))
    assert {part: len(rows) for part, rows in found.items()} == {"train": 650, "valid": 150, "test": 200}
    assert whole(found) == list(range(1000))
    assert all(rows == sorted(rows) for rows in found.values())
    assert abs(np.mean(found["test"]) - 500) < 60
    assert found == parts_of(connection, data, decide(connection, data, SplitSpec(), 1))
    assert found != parts_of(connection, data, decide(connection, data, SplitSpec(), 2))


def test_stratified_keeps_every_class_in_every_part_at_its_share(connection, tmp_path) -> None:
    y = "CASE WHEN i % 100 = 0 THEN 'rare' WHEN i % 3 = 0 THEN 'some' ELSE 'most' END"
    query = f"SELECT i, {y} AS y FROM range(1000) t(i)"
    data = label(connection, tmp_path / "b", query, "multiclass")
    split = decide(connection, data, SplitSpec(test=0.3, valid=0.1), 5)
    assert split.method == "stratified"
    found = parts_of(connection, data, split, "y")
    assert {part: rows.count("rare") for part, rows in found.items()} == {"train": 6, "valid": 1, "test": 3}
    assert found["test"].count("some") == round(0.3 * sum(rows.count("some") for rows in found.values()))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=4),
    test=st.floats(0.01, 0.6),
    valid=st.floats(0.01, 0.39),
    seed=st.integers(0, 2**32 - 1),
)
def test_chance_loses_no_row_and_starves_no_part(
    connection, tmp_path_factory, counts, test, valid, seed
) -> None:
    counts[0] = max(counts[0], 3)
    query = " UNION ALL ".join(f"SELECT i, {c} AS y FROM range({n}) t(i)" for c, n in enumerate(counts))
    path = tmp_path_factory.mktemp("chance") / "d"
    data = label(connection, path, query, "multiclass" if len(counts) > 2 else "binary")
    split = decide(connection, data, SplitSpec(test=test, valid=valid), seed)
    found = parts_of(connection, data, split, "y")
    assert whole(found) == sorted(c for c, n in enumerate(counts) for _ in range(n))
    for c, n in enumerate(counts):
        spread = [rows.count(c) for rows in found.values()]
        assert spread[0] >= 1
        assert all(spread) or n < 3
    few = [c for c, n in enumerate(counts) if n < 3]
    assert bool(split.notes) == bool(few)


def test_time_cuts_in_order_and_never_within_a_tie(connection, tmp_path) -> None:
    at = "TIMESTAMP '2024-01-01' + INTERVAL 1 HOUR * ((i * 37) % 100 // 3)"
    query = f"SELECT i, {at} AS at, i % 2 AS y FROM range(400) t(i)"
    data = label(
        connection, tmp_path / "c", query, columns={"i": "integer", "at": "timestamp", "y": "integer"}
    )
    split = decide(connection, data, SplitSpec(by="at"), 1)
    found = parts_of(connection, data, split, "at")
    assert split.method == "time"
    assert max(found["train"]) < min(found["valid"])
    assert max(found["valid"]) < min(found["test"])
    assert len(whole(found)) == 400
    assert 60 <= len(found["test"]) <= 100


@pytest.mark.parametrize(
    "values", [[1, 2, 3] + [3] * 97, [1] * 98 + [2, 3], [1, 2] + [2] * 97 + [3], list(range(100))]
)
@pytest.mark.parametrize("kind", ["BIGINT", "DOUBLE"])
def test_time_gives_every_part_rows_however_lopsided(connection, tmp_path, values: list, kind: str) -> None:
    rows = ", ".join(f"({v}, {i % 2})" for i, v in enumerate(values))
    query = f"SELECT CAST(i AS {kind}) AS i, y FROM (VALUES {rows}) v(i, y)"
    columns = {"i": "integer" if kind == "BIGINT" else "number", "y": "integer"}
    data = label(connection, tmp_path / "d", query, columns=columns)
    found = parts_of(connection, data, decide(connection, data, SplitSpec(by="i"), 1))
    assert whole(found) == sorted(values)
    assert max(found["train"]) < min(found["valid"]) <= max(found["valid"]) < min(found["test"])


def test_rows_without_a_time_train_and_are_told(connection, tmp_path) -> None:
    query = "SELECT CASE WHEN i % 10 > 0 THEN i END AS i, i % 2 AS y FROM range(100) t(i)"
    data = label(connection, tmp_path / "e", query)
    split = decide(connection, data, SplitSpec(by="i"), 1)
    found = parts_of(connection, data, split)
    assert found["train"].count(None) == 10
    assert split.notes == ("10 rows without 'i' are in train",)


def test_a_time_with_two_values_cannot_be_cut(connection, tmp_path) -> None:
    data = label(connection, tmp_path / "f", "SELECT i % 2 AS i, i % 2 AS y FROM range(9) t(i)")
    with pytest.raises(DataError, match="only 2 distinct values"):
        decide(connection, data, SplitSpec(by="i"), 1)


@settings(max_examples=25, deadline=None)
@given(
    groups=st.lists(st.integers(0, 12) | st.none(), min_size=5, max_size=60), seed=st.integers(0, 2**32 - 1)
)
def test_a_group_is_in_one_part_only(connection, tmp_path_factory, groups: list, seed: int) -> None:
    rows = ", ".join(f"({'NULL' if g is None else g}, {i % 2})" for i, g in enumerate(groups))
    path = tmp_path_factory.mktemp("groups") / "d"
    data = label(connection, path, f"SELECT CAST(i AS BIGINT) AS i, y FROM (VALUES {rows}) v(i, y)")
    if len(set(groups)) < 3:
        with pytest.raises(DataError, match="groups"):
            decide(connection, data, SplitSpec(group="i"), seed)
        return
    found = parts_of(connection, data, decide(connection, data, SplitSpec(group="i"), seed))
    assert all(found[part] for part in PARTS)
    assert sum(map(len, found.values())) == len(groups)
    sets = [set(found[part]) for part in PARTS]
    assert sum(map(len, sets)) == len(set(groups))


def test_groups_come_near_the_shares(connection, tmp_path) -> None:
    data = label(connection, tmp_path / "g", "SELECT i % 500 AS i, i % 2 AS y FROM range(5000) t(i)")
    found = parts_of(connection, data, decide(connection, data, SplitSpec(group="i"), 3))
    assert {part: len(rows) for part, rows in found.items()} == {"train": 3250, "valid": 750, "test": 1000}


def test_given_parts_are_taken_as_they_are(connection, tmp_path) -> None:
    query = "SELECT i, ['train', ' Valid', 'TEST'][1 + i % 3] AS part, i % 2 AS y FROM range(30) t(i)"
    data = label(
        connection, tmp_path / "h", query, columns={"i": "integer", "part": "string", "y": "integer"}
    )
    found = parts_of(connection, data, decide(connection, data, SplitSpec(given="part"), 3))
    assert found == {part: [i for i in range(30) if i % 3 == k] for k, part in enumerate(PARTS)}


def test_given_without_valid_rows_draws_them_from_train(connection, tmp_path) -> None:
    query = (
        "SELECT i, CASE WHEN i < 150 THEN 'train' ELSE 'test' END AS part, i % 2 AS y FROM range(200) t(i)"
    )
    columns = {"i": "integer", "part": "string", "y": "integer"}
    data = label(connection, tmp_path / "v", query, columns=columns)
    split = decide(connection, data, SplitSpec(given="part", valid=0.2), 3)
    found = parts_of(connection, data, split)
    assert found["test"] == list(range(150, 200))
    assert len(found["valid"]) == 30
    assert sorted(found["train"] + found["valid"]) == list(range(150))
    assert split.refold == "rows"
    assert "no valid rows" in split.notes[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("['train', 'test', 'hold']", "'hold'"),
        ("['train', 'test', NULL]", "missing"),
        ("['train', 'train', 'valid']", "test"),
    ],
)
def test_given_refuses_other_words_and_empty_parts(connection, tmp_path, values: str, message: str) -> None:
    query = f"SELECT i, {values}[1 + i % 3] AS part, i % 2 AS y FROM range(30) t(i)"
    data = label(
        connection, tmp_path / "i", query, columns={"i": "integer", "part": "string", "y": "integer"}
    )
    with pytest.raises(DataError, match=message):
        decide(connection, data, SplitSpec(given="part"), 3)


@pytest.mark.parametrize("name", ["c", "k", "key", "place", "train", "known", "n", "s"])
@pytest.mark.parametrize("method", ["stratified", "given"])
def test_columns_may_have_any_name(connection, tmp_path, name: str, method: str) -> None:
    query = f"SELECT i, i % 2 AS y, i * 3 AS {name}, if(i < 20, 'test', 'train') AS part FROM range(100) t(i)"
    columns = {"i": "integer", "y": "integer", name: "integer", "part": "string"}
    data = label(connection, tmp_path / "a", query, columns=columns)
    spec = SplitSpec(given="part") if method == "given" else SplitSpec(method="stratified")
    assert whole(parts_of(connection, data, decide(connection, data, spec, 1))) == list(range(100))


def test_two_rows_cannot_be_split(connection, tmp_path) -> None:
    data = label(connection, tmp_path / "j", "SELECT i, i AS y FROM range(2) t(i)")
    with pytest.raises(DataError, match="2 labelled rows"):
        decide(connection, data, SplitSpec(), 1)


@given(rows=st.integers(1, 10_000), test=st.floats(0.001, 0.7), valid=st.floats(0.001, 0.29))
def test_sizes_leave_rows_for_everyone(rows: int, test: float, valid: float) -> None:
    valid_rows, test_rows = sizes(rows, SplitSpec(test=test, valid=valid))
    assert rows - valid_rows - test_rows >= 1
    assert rows < 3 or (valid_rows >= 1 and test_rows >= 1)
