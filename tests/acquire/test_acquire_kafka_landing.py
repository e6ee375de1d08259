"""The lander against a real Delta table, without a broker: fences, poison, new columns, windows over any batches."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.acquire.streams.bodies import packed
from bessemer.acquire.streams.copy import copy_ordered
from bessemer.acquire.streams.decoders.json import JsonDecoder
from bessemer.acquire.streams.lander import Lander
from bessemer.acquire.streams.records import Records
from bessemer.acquire.streams.table import LandingTable, Overtaken, base_schema
from bessemer.acquire.streams.windows import snapshot
from bessemer.acquire.streams.windows_spec import WindowsSpec
from bessemer.core.errors import DataError

SCHEMA = {"t": "timestamp_ms", "user": "string", "n": "integer"}
WINDOWS = WindowsSpec(
    time="t", every="10s", size="20s", by=["user"], late="5s", columns={"n": "sum(n)", "all": "count(*)"}
)


def records(partition: int, start: int, values: Sequence[dict[str, Any] | bytes | None]) -> Records:
    """Messages of one partition from an offset on."""
    raw = [json.dumps(value).encode() if isinstance(value, dict) else value for value in values]
    count = len(raw)
    return Records(
        np.full(count, partition),
        np.arange(start, start + count),
        np.full(count, 1_700_000_000_000),
        packed(raw),
    )


def lander(lake: Path, schema: dict[str, str] | None = None, **more: Any) -> Lander:
    return Lander(LandingTable(str(lake), "clicks"), JsonDecoder(schema), **more)


def rows(lake: Path) -> list[dict[str, Any]]:
    table = (
        DeltaTable(lake).to_pyarrow_table().sort_by([("_partition", "ascending"), ("_offset", "ascending")])
    )
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def test_of_two_writers_of_a_partition_the_second_changes_nothing(tmp_path: Path) -> None:
    first, second = lander(tmp_path / "l"), lander(tmp_path / "l")
    assert first.begin([0, 1]) == second.begin([0, 1]) == {0: None, 1: None}
    assert first.land(records(0, 0, [{"a": 1}, {"a": 2}]), {0: 2}) == {}
    assert second.land(records(0, 0, [{"a": 1}]), {0: 1, 1: 5}) == {0: 2}, "it is told where the partition is"
    assert second.land(records(0, 2, [{"a": 3}]), {0: 3}) == {}
    assert [row["a"] for row in rows(tmp_path / "l")] == [1, 2, 3]
    assert second.table.nexts([0, 1]) == {0: 3, 1: 5}
    assert (second.counts.lost, second.counts.rows) == (1, 1)


def test_a_commit_between_the_look_and_the_commit_is_seen(tmp_path: Path) -> None:
    """What fences is Delta's own check: the table that is held is not the newest, and the commit fails."""
    held, other = LandingTable(str(tmp_path / "l"), "clicks"), LandingTable(str(tmp_path / "l"), "clicks")
    held.create(base_schema())
    other.create(base_schema())
    held.refresh()
    other.refresh()
    row = lander(tmp_path / "l")._made(records(0, 0, [{"a": 1}]), {}).table
    other.append(row, {0: 1})
    with pytest.raises(Overtaken):
        held.append(row, {0: 1})
    assert len(rows(tmp_path / "l")) == 1
    held.refresh()
    held.append(lander(tmp_path / "l")._made(records(1, 0, [{"a": 1}]), {}).table, {1: 1})
    assert held.nexts([0, 1]) == {0: 1, 1: 1}


def test_writers_that_add_different_columns_at_once_both_land(tmp_path: Path) -> None:
    first, second = lander(tmp_path / "l"), lander(tmp_path / "l")
    first.begin([0])
    second.begin([1])
    first.land(records(0, 0, [{"a": 1, "b": "x"}]), {0: 1})
    second.land(records(1, 0, [{"a": 2, "c": 1.5}]), {1: 1})
    assert [(row["a"], row["b"], row["c"]) for row in rows(tmp_path / "l")] == [
        (1, "x", None),
        (2, None, 1.5),
    ]


def test_a_type_that_another_writer_has_made_is_kept(tmp_path: Path) -> None:
    first, second = lander(tmp_path / "l", quarantine=1.0), lander(tmp_path / "l", quarantine=1.0)
    first.begin([0])
    second.begin([1])
    first.land(records(0, 0, [{"a": 1}]), {0: 1})
    second.land(records(1, 0, [{"a": "x"}, {"a": 2}]), {1: 2})
    assert [(row["a"], row["_error"]) for row in rows(tmp_path / "l")] == [
        (1, None), (None, "a: 'x' is not an integer"), (2, None),
    ]  # fmt: skip


@pytest.mark.slow
def test_the_progress_outlives_checkpoints_and_the_cleaning_of_the_log(tmp_path: Path) -> None:
    one = lander(tmp_path / "l")
    one.begin([0, 1])
    one.land(records(1, 0, [{"a": 0}]), {1: 1})
    for number in range(120):
        one.land(records(0, number, [{"a": number}]), {0: number + 1})
    table = DeltaTable(tmp_path / "l")
    table.create_checkpoint()
    table.cleanup_metadata()
    table.optimize.compact()
    again = lander(tmp_path / "l")
    assert again.begin([0, 1]) == {0: 120, 1: 1}
    assert [row["a"] for row in rows(tmp_path / "l")] == [*range(120), 0]


def test_poison_over_the_limit_stops_and_changes_nothing(tmp_path: Path) -> None:
    one = lander(tmp_path / "l", quarantine=0.0)
    one.begin([0])
    with pytest.raises(DataError, match="1 of 2 messages"):
        one.land(records(0, 0, [{"a": 1}, b"{"]), {0: 2})
    assert one.table.nexts([0]) == {}
    assert rows(tmp_path / "l") == []


def test_what_was_good_long_ago_does_not_let_poison_in(tmp_path: Path) -> None:
    one = lander(tmp_path / "l")
    one.begin([0])
    at = 0
    for good in (90_000, 90_000):
        one.land(records(0, at, [b'{"a":1}'] * good), {0: at + good})
        at += good
    one.land(records(0, at, [b"{"] * 900), {0: at + 900})
    with pytest.raises(DataError, match="1,900 of 181,900 messages"):
        one.land(records(0, at + 900, [b"{"] * 1000), {0: at + 1900})
    assert one.table.nexts([0]) == {0: at + 900}
    few = lander(tmp_path / "few")
    few.begin([0])
    few.land(records(0, 0, [b"{"] * 10), {0: 10})
    with pytest.raises(DataError, match="11 of 11 messages"):
        few.land(records(0, 10, [b"{"]), {0: 11})


def test_how_many_cannot_be_read_stands_in_the_table(tmp_path: Path) -> None:
    one = lander(tmp_path / "l")
    one.begin([0, 1])
    assert one.table.unreadable() == (0, "")
    one.land(records(1, 0, [b"{", {"a": 1}]), {1: 2})
    one.land(records(0, 5, [{"a": 1}, b"[]"]), {0: 7})
    assert lander(tmp_path / "l").begin([0]) == {0: 7}
    assert one.table.unreadable() == (2, "partition 0, offset 6: list instead of an object")


def test_a_schema_with_a_field_that_differs_by_case_from_a_column_is_refused(tmp_path: Path) -> None:
    one, two = lander(tmp_path / "l", {"user": "string"}), lander(tmp_path / "l", {"User": "string"})
    one.begin([0])
    one.land(records(0, 0, [{"user": "x"}]), {0: 1})
    two.begin([0])
    with pytest.raises(DataError, match="differs only by case from 'user'"):
        two.land(records(0, 1, [{"User": "x"}]), {0: 2})


def test_a_schema_that_changes_a_columns_type_is_refused(tmp_path: Path) -> None:
    one = lander(tmp_path / "l", {"a": "integer"})
    one.begin([0])
    one.land(records(0, 0, [{"a": 1}]), {0: 1})
    two = lander(tmp_path / "l", {"a": "string", "b": "date"})
    two.begin([0])
    with pytest.raises(DataError, match="'a' is string by `schema`, and the table has it as int64"):
        two.land(records(0, 1, [{"a": "x"}]), {0: 2})
    three = lander(tmp_path / "l", {"a": "integer", "b": "date"})
    three.begin([0])
    three.land(records(0, 1, [{"a": 2, "b": "2024-02-29"}]), {0: 2})
    assert [(row["a"], row["b"]) for row in rows(tmp_path / "l")] == [(1, None), (2, dt.date(2024, 2, 29))]


def events() -> st.SearchStrategy[list[tuple[int, int, str, int]]]:
    """Messages of two partitions: which, when in seconds (in no order), whose, how much."""
    event = st.tuples(st.integers(0, 1), st.integers(0, 90), st.sampled_from("ab"), st.integers(-5, 5))
    return st.lists(event, min_size=8, max_size=40)


def cut(
    found: list[tuple[int, int, str, int]], cuts: Sequence[int], again: Sequence[bool], lake: Path
) -> Any:
    """Land events in batches; where `again` is true, the writer dies before the commit, and another begins anew.

    Gives the windows that are closed, or the error's words where none is.
    """
    parts: dict[int, list[dict[str, Any]]] = {0: [], 1: []}
    order: list[int] = []
    for partition, second, user, n in found:
        parts[partition].append({"t": second * 1000, "user": user, "n": n})
        order.append(partition)
    one = lander(lake, SCHEMA)
    at = {p: there or 0 for p, there in one.begin([0, 1]).items()}
    edges = sorted({*cuts, len(order)})
    start = 0
    for number, edge in enumerate(edges):
        if again[number % len(again)]:  # the batch is read, and the process dies
            one = lander(lake, SCHEMA)
            at = {p: there or 0 for p, there in one.begin([0, 1]).items()}
        for partition in (0, 1):
            count = order[start:edge].count(partition)
            if count:
                batch = records(
                    partition, at[partition], parts[partition][at[partition] : at[partition] + count]
                )
                assert one.land(batch, {partition: at[partition] + count}) == {}
                at[partition] += count
        start = edge
    return closed(one, lake)


def closed(one: Lander, lake: Path) -> Any:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    folder = Path(tempfile.mkdtemp(dir=lake.parent))
    ordered = copy_ordered(connection, one.table, list(SCHEMA), folder)
    try:
        found = snapshot(connection, ordered, WINDOWS, folder)
    except DataError as error:
        return error.what
    return found.told, found.path.read_bytes()


@pytest.mark.slow
@settings(deadline=None, max_examples=12)
@given(events(), st.lists(st.integers(1, 39), max_size=6), st.lists(st.booleans(), min_size=1, max_size=5))
def test_windows_are_the_same_for_any_batches_and_kills(
    found: list[tuple[int, int, str, int]], cuts: list[int], again: list[bool]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        once = cut(found, [], [False], Path(name) / "once")
        assert cut(found, [c for c in cuts if c < len(found)], again, Path(name) / "often") == once


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(events())
def test_windows_are_what_the_definition_says(found: list[tuple[int, int, str, int]]) -> None:
    """The same by Python, message by message."""
    latest: dict[int, int] = {}
    kept, late = [], 0
    for partition, second, user, n in found:
        if partition in latest and second < latest[partition] - 5:
            late += 1
        else:
            kept.append((second, user, n))
        latest[partition] = max(second, latest.get(partition, second))
    sums: dict[tuple[int, str], list[int]] = {}
    for second, user, n in kept:
        for start in (second // 10 * 10, second // 10 * 10 - 10):
            if start + 20 <= min(latest.values()) - 5:
                sums.setdefault((start, user), []).append(n)
    with tempfile.TemporaryDirectory() as name:
        result = cut(found, [], [False], Path(name) / "lake")
        if not sums:
            assert result == "no window is closed yet"
            return
        told, raw = result
        (Path(name) / "w.parquet").write_bytes(raw)
        rows = pq.read_table(Path(name) / "w.parquet").to_pylist()
    epoch = dt.datetime(1970, 1, 1)
    got = [((row["window_start"] - epoch).total_seconds(), row["user"], row["n"], row["all"]) for row in rows]
    assert got == [(start, user, sum(ns), len(ns)) for (start, user), ns in sorted(sums.items())]
    assert (f"{late} late messages are in no window" in told) == (late > 0)
