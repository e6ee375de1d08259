"""Reading only what is new gives what reading everything gives, whatever came, changed and was interrupted."""

from __future__ import annotations

import datetime as dt
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bessemer.acquire.sources import sql as sql_source
from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import run
from bessemer.core.artifact import Artifact
from bessemer.core.errors import BessemerError, DataError, ProjectError
from bessemer.core.stage import Context
from bessemer.core.store import Store

Notes = list[str]


class Killed(BaseException):
    """What a signal does to a process, as far as a test in the same process can."""


class Reader:
    """A project's acquire, run again and again; `kept` is what it keeps between runs."""

    def __init__(self, folder: Path, source: dict[str, Any], **section: Any) -> None:
        self.folder, self.section = folder, {"sources": {"data": source}, **section}
        self.store = Store(folder / "store")
        self.notes = Notes()

    def read(self, kept: Path | None = None) -> Artifact:
        self.notes = []
        self.folder.mkdir(exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=self.folder, prefix="work-"))
        ctx = Context(
            self.store, "acquire", {}, 7, self.folder, work, kept=kept or self.folder / "kept",
            emit=lambda kind, data: self.notes.append(str(data["text"])) if "text" in data else None,
        )  # fmt: skip
        spec = AcquireSpec.model_validate_json(json.dumps(self.section))
        return self.store.get(run(spec, {}, ctx)["raw"])

    def whole(self) -> Artifact:
        """What a first reading gives now."""
        notes = self.notes
        found = self.read(Path(tempfile.mkdtemp(dir=self.folder, prefix="fresh-")))
        self.notes = notes
        return found


def rows(artifact: Artifact) -> list[dict[str, Any]]:
    return pq.read_table(artifact.path("data.parquet").open("rb")).to_pylist()


def sqlite(path: Path, *statements: str, values: list[tuple[Any, ...]] = []) -> None:  # noqa: B006 - read only
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.executemany(statement, values) if "?" in statement else database.execute(statement)


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    path = tmp_path / "orders.db"
    sqlite(path, "CREATE TABLE orders (id INTEGER, at INTEGER, state TEXT)")
    sqlite(
        path, "INSERT INTO orders VALUES (?, ?, ?)", values=[(1, 10, "new"), (2, 10, "new"), (3, 11, "new")]
    )
    return path


def reader(tmp_path: Path, **incremental: Any) -> Reader:
    return Reader(tmp_path, {"sql": "sqlite:///orders.db", "table": "orders", "incremental": incremental})


# what is read ---------------------------------------------------------------------------------------------
def test_only_what_is_new_is_asked_for(tmp_path: Path, orders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows that cross the wire are counted: of the second reading only those from the border on."""
    crossed: list[int] = []
    make = sql_source._batch

    def counted(names: list[str], found: list[tuple[Any, ...]]) -> pa.RecordBatch:
        crossed.append(len(found))
        return make(names, found)

    monkeypatch.setattr(sql_source, "_batch", counted)
    project = reader(tmp_path, cursor="at", key=["id"])
    first = project.read()
    assert crossed == [3]
    assert "was read from its beginning" in project.notes[0]
    assert first.meta["sources"]["data"]["position"] == {"cursor": "at", "at": "11"}
    sqlite(
        orders,
        "INSERT INTO orders VALUES (4, 12, 'new')",
        "UPDATE orders SET state = 'paid', at = 12 WHERE id = 1",
    )
    crossed.clear()
    second = project.read()
    assert crossed == [3]  # 3 again, because its cursor is the greatest, and the two that are new
    assert "2 new or changed rows since at 11" in project.notes[0]
    assert [row["id"] for row in rows(second)] == [2, 3, 1, 4]
    assert second.ref == project.whole().ref


def test_nothing_new_gives_the_same_snapshot(tmp_path: Path, orders: Path) -> None:
    project = reader(tmp_path, cursor="at")
    first = project.read()
    sqlite(orders, "CREATE TABLE other (x)")  # the file is another one, the rows are the same
    second = project.read()
    assert first.ref == second.ref
    assert "nothing new since at 11" in project.notes[0]


def test_without_a_key_equal_rows_stay_as_many_as_they_are(tmp_path: Path, orders: Path) -> None:
    sqlite(orders, "INSERT INTO orders VALUES (3, 11, 'new')")
    project = reader(tmp_path, cursor="at")
    assert len(rows(project.read())) == 4
    sqlite(orders, "INSERT INTO orders VALUES (3, 11, 'new')", "INSERT INTO orders VALUES (9, 11, 'new')")
    found = project.read()
    assert [row["id"] for row in rows(found)] == [1, 2, 3, 3, 3, 9]
    assert found.ref == project.whole().ref


def test_of_equal_cursors_the_later_reading_counts(tmp_path: Path, orders: Path) -> None:
    project = reader(tmp_path, cursor="at", key=["id"])
    project.read()
    sqlite(orders, "UPDATE orders SET state = 'cancelled' WHERE id = 3")
    assert {row["id"]: row["state"] for row in rows(project.read())}[3] == "cancelled"


@pytest.mark.slow
def test_rows_without_a_cursor_are_there_and_counted_once(tmp_path: Path, orders: Path) -> None:
    sqlite(orders, "INSERT INTO orders VALUES (7, NULL, 'lost')")
    project = reader(tmp_path, cursor="at", key=["id"])
    assert [row["id"] for row in rows(project.read())] == [7, 1, 2, 3]
    sqlite(orders, "UPDATE orders SET at = 13 WHERE id = 7")
    found = project.read()
    assert [row["id"] for row in rows(found)] == [1, 2, 3, 7]
    assert found.ref == project.whole().ref


def test_deleted_rows_stay_until_everything_is_read_again(tmp_path: Path, orders: Path) -> None:
    project = reader(tmp_path, cursor="at", key=["id"], full="7d")
    project.read()
    sqlite(orders, "DELETE FROM orders WHERE id = 1")
    assert len(rows(project.read())) == 3
    state = next((tmp_path / "kept").rglob("state.json"))
    value = json.loads(state.read_text())
    value["full"] = (dt.datetime.fromisoformat(value["full"]) - dt.timedelta(days=7)).isoformat()
    state.write_text(json.dumps(value))
    assert len(rows(project.read())) == 2
    assert "read from its beginning: everything was last read on 20" in project.notes[0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMPTZ", "DATE", "TIMESTAMP_NS", "TIMESTAMP_S"])
@pytest.mark.parametrize("key", [["id"], []])
def test_a_time_that_is_to_come_does_not_end_reading(tmp_path: Path, kind: str, key: list[str]) -> None:
    never = "2262-01-01" if kind == "TIMESTAMP_NS" else "9999-12-31"

    def put(*values: tuple[int, str]) -> None:
        with closing(duckdb.connect(str(tmp_path / "t.duckdb"))) as database:
            database.execute(f'CREATE TABLE IF NOT EXISTS t (id BIGINT, "at" {kind})')
            database.executemany("INSERT INTO t VALUES (?, ?)", values)

    put((1, "2024-01-01"), (2, never), (3, "2024-01-02"))
    asked = {"cursor": "at", "key": key}
    project = Reader(tmp_path, {"sql": "duckdb:///t.duckdb", "table": "t", "incremental": asked})
    first = project.read()
    assert first.meta["sources"]["data"]["position"]["at"].startswith("2024-01-0")
    assert any("1 row has a 'at' more than a day ahead" in note for note in project.notes)
    assert project.read().ref == first.ref
    assert any("nothing new" in note for note in project.notes)
    put((4, "2024-01-03"), (5, never))
    found = project.read()
    assert any("2 new or changed rows" in note for note in project.notes)
    assert any("2 rows have" in note for note in project.notes)
    assert sorted(row["id"] for row in rows(found)) == [1, 2, 3, 4, 5]
    assert found.ref == project.whole().ref


@pytest.mark.slow
def test_a_position_that_is_to_come_is_left(tmp_path: Path) -> None:
    with closing(duckdb.connect(str(tmp_path / "t.duckdb"))) as database:
        database.execute("""CREATE TABLE t AS SELECT 1 AS id, TIMESTAMP '2024-01-01' AS "at" """)
    project = Reader(tmp_path, {"sql": "duckdb:///t.duckdb", "table": "t", "incremental": {"cursor": "at"}})
    first = project.read()
    state = next((tmp_path / "kept").rglob("state.json"))
    value = json.loads(state.read_text())
    value["position"] = {"time": "9999-12-31T00:00:00+00:00"}
    state.write_text(json.dumps(value))
    assert project.read().ref == first.ref
    assert "it had been read to 9999-12-31 00:00:00, which is yet to come" in project.notes[0]


# where it begins again ------------------------------------------------------------------------------------
def test_what_is_kept_may_be_deleted(tmp_path: Path, orders: Path) -> None:
    project = reader(tmp_path, cursor="at")
    first = project.read()
    for path in (tmp_path / "kept").rglob("*.parquet"):
        path.unlink()
    assert project.read().ref == first.ref
    assert "lost or damaged" in project.notes[0]


@pytest.mark.parametrize("damage", ["rows", "state", "format"])
def test_what_is_kept_may_be_damaged(tmp_path: Path, orders: Path, damage: str) -> None:
    project = reader(tmp_path, cursor="at")
    first = project.read()
    state = next((tmp_path / "kept").rglob("state.json"))
    if damage == "rows":
        path = next(state.parent.glob("*.parquet"))
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    else:
        state.write_text("{" if damage == "state" else '{"format": 0}')
    assert project.read().ref == first.ref
    assert "was read from its beginning" in project.notes[0]


@pytest.mark.slow
def test_other_settings_begin_again_and_when_to_read_does_not(
    tmp_path: Path, orders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def notes(**section: Any) -> str:
        source = {"sql": "sqlite:///${PLACE}.db", "table": "orders", "incremental": {"cursor": "at"}}
        source.update(section.pop("source", {}))
        project = Reader(tmp_path, source, **section)
        project.read()
        return project.notes[0]

    monkeypatch.setenv("PLACE", "orders")
    assert "nothing is kept" in notes()
    assert "nothing new" in notes()
    assert "nothing new" in notes(source={"incremental": {"cursor": "at", "full": "30d"}})
    assert "settings have changed" in notes(source={"incremental": {"cursor": "id"}})
    assert "settings have changed" in notes()
    assert "settings have changed" in notes(version="2")
    sqlite(tmp_path / "elsewhere.db", "CREATE TABLE orders AS SELECT 1 AS id, 99 AS at, 'x' AS state")
    monkeypatch.setenv("PLACE", "elsewhere")
    assert "settings have changed" in notes(version="2")


# columns that change --------------------------------------------------------------------------------------
def test_a_new_column_is_empty_in_earlier_rows_and_is_told(tmp_path: Path, orders: Path) -> None:
    project = reader(tmp_path, cursor="at", key=["id"])
    project.read()
    sqlite(
        orders, "ALTER TABLE orders ADD COLUMN price REAL", "INSERT INTO orders VALUES (4, 12, 'new', 1.5)"
    )
    found = project.read()
    assert [row["price"] for row in rows(found)] == [None, None, None, 1.5]
    assert any("new columns price" in note for note in project.notes)
    assert found.ref == project.whole().ref


@pytest.mark.slow
def test_types_widen_and_columns_without_a_value_take_the_type_they_get(tmp_path: Path, orders: Path) -> None:
    sqlite(orders, "ALTER TABLE orders ADD COLUMN n", "ALTER TABLE orders ADD COLUMN late")
    project = reader(tmp_path, cursor="at")
    sqlite(orders, "UPDATE orders SET n = 1")
    project.read()
    for value, late in ((2.5, None), (3, 7), (None, None), ("many", 8)):
        sqlite(orders, "INSERT INTO orders VALUES (?, ?, ?, ?, ?)", values=[(8, 20, "x", value, late)])
        found = project.read()
    assert [row["late"] for row in rows(found)] == [None, None, None, None, None, 7, 8]
    assert [row["n"] for row in rows(found)][-1] == "many"
    assert next(c["dtype"] for c in found.meta["columns"] if c["name"] == "late") == "BIGINT"


def test_a_cursor_of_another_kind_begins_again(tmp_path: Path, orders: Path) -> None:
    project = reader(tmp_path, cursor="at")
    project.read()
    sqlite(
        orders, "DROP TABLE orders", "CREATE TABLE orders AS SELECT 5 AS id, '2024-01-01' AS at, 'x' AS state"
    )
    assert [row["id"] for row in rows(project.read())] == [5]
    assert "another kind" in project.notes[0]


# faults ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("incremental", "said"),
    [
        ({"cursor": "att"}, "no column 'att', which `incremental` names\n  fix: did you mean 'at'?"),
        ({"cursor": "at", "key": ["idd"]}, "no column 'idd'"),
        ({"cursor": "at", "key": ["state"]}, "1 rows of source 'data' have no value of the key state"),
        ({"cursor": "blob"}, "'blob' of source 'data' cannot be a cursor"),
    ],
)
def test_what_cannot_be_asked_is_told(
    tmp_path: Path, orders: Path, incremental: dict[str, Any], said: str
) -> None:
    sqlite(orders, "ALTER TABLE orders ADD COLUMN blob", "UPDATE orders SET blob = x'00'")
    sqlite(orders, "INSERT INTO orders VALUES (5, 13, NULL, NULL)")
    with pytest.raises(DataError) as error:
        reader(tmp_path, **incremental).read()
    assert said in str(error.value)


def test_an_overlap_needs_times(tmp_path: Path, orders: Path) -> None:
    project = reader(tmp_path, cursor="at", overlap="1h")
    project.read()
    with pytest.raises(DataError, match="'at' has no times"):
        project.read()


def test_a_cursor_that_went_is_told(tmp_path: Path, orders: Path) -> None:
    project = reader(tmp_path, cursor="at")
    project.read()
    sqlite(orders, "ALTER TABLE orders RENAME COLUMN at TO ad")
    with pytest.raises(DataError, match="no column 'at'"):
        project.read()


@pytest.mark.slow
def test_personal_columns_are_changed_before_they_are_kept(
    tmp_path: Path, orders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BESSEMER_TEST_KEY", "k" * 32)
    sqlite(orders, "UPDATE orders SET state = 'jane@example.org' WHERE id = 1")
    source = {"sql": "sqlite:///orders.db", "incremental": {"cursor": "at", "key": ["id"]}}
    section = {"personal": {"state": "hash"}, "personal_key_env": "BESSEMER_TEST_KEY"}
    project = Reader(tmp_path, source, **section)
    project.read()
    sqlite(orders, "INSERT INTO orders VALUES (4, 12, 'joe@example.org')")
    found = project.read()
    assert "1 new or changed row" in project.notes[0]
    assert found.ref == project.whole().ref
    assert len({row["state"] for row in rows(found)}) == 3
    kept = [
        table for path in (tmp_path / "kept").rglob("*.parquet") for table in pq.read_table(path).to_pylist()
    ]
    assert len(kept) == 4
    assert "example.org" not in str(kept)
    with pytest.raises(ProjectError, match="is personal"):
        Reader(tmp_path / "b", source, personal={"at": "drop"}).read()


# any history ----------------------------------------------------------------------------------------------
Step = tuple[str, list[int]]

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["insert", "update", "late", "tick", "read", "killed"]),
        st.lists(st.integers(0, 7), max_size=4),
    ),
    max_size=14,
)


class History:
    """A table in which rows come and change, with a cursor that grows; `late` ones come up to 5 behind it.

    Times are seconds after a moment, at several rows each, so that borders are crowded.
    """

    def __init__(self, path: Path, keyed: bool) -> None:
        self.path, self.keyed, self.now, self.next = path, keyed, 0, 0
        with closing(duckdb.connect(str(path))) as database:
            database.execute('CREATE TABLE t (id BIGINT, "at" TIMESTAMPTZ, v DOUBLE, w VARCHAR)')
            self._put(database, [0], 0)

    def _put(self, database: Any, ids: list[int], behind: int) -> None:
        at = dt.datetime(2024, 3, 31, 0, 59, 50, tzinfo=dt.UTC) + dt.timedelta(seconds=self.now - behind)
        for i in ids:
            database.execute("INSERT INTO t VALUES (?, ?, ?, ?)", [i, at, i / 3, None if i % 3 else "x" * i])

    def step(self, what: str, numbers: list[int]) -> None:
        with closing(duckdb.connect(str(self.path))) as database:
            if what == "tick":
                self.now += 1 + sum(numbers)
            elif what in ("insert", "late"):
                behind = min(numbers, default=0) % 6 if what == "late" else 0
                ids = [self.next + i for i in range(len(numbers))] if self.keyed else numbers
                self.next += len(ids)
                self._put(database, ids, behind)
            elif what == "update" and self.keyed:
                for i in numbers:
                    at = dt.datetime(2024, 3, 31, 0, 59, 50, tzinfo=dt.UTC) + dt.timedelta(seconds=self.now)
                    database.execute('UPDATE t SET v = v - 1, "at" = greatest("at", ?) WHERE id = ?', [at, i])


@pytest.mark.slow
@given(steps=STEPS, keyed=st.booleans(), batch=st.sampled_from([1, 2, 1000]), point=st.integers(1, 12))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_history_reads_as_reading_everything_now(
    steps: list[Step], keyed: bool, batch: int, point: int
) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sql_source, "_ROWS", batch)
        folder = Path(name)
        history = History(folder / "t.duckdb", keyed)
        asked = {"cursor": "at", "overlap": "5s", **({"key": ["id"]} if keyed else {})}
        project = Reader(folder, {"sql": "duckdb:///t.duckdb", "table": "t", "incremental": asked})
        for what, numbers in [*steps, ("read", [])]:
            if what == "killed":
                with killed_at(point):
                    project.read()
            elif what == "read":
                assert project.read().ref == project.whole().ref
            else:
                history.step(what, numbers)


class killed_at:
    """The work within ends at its n-th step onto the disk, as if nothing of it went on."""

    def __init__(self, n: int) -> None:
        self.n, self.patch = n, pytest.MonkeyPatch()

    def __enter__(self) -> None:
        left = self.n

        def counted(call: Callable[..., Any]) -> Callable[..., Any]:
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                nonlocal left
                left -= 1
                if left <= 0:
                    raise Killed
                return call(*args, **kwargs)

            return wrapper

        for owner, call in ((os, "replace"), (os, "fsync"), (os, "unlink"), (os, "open")):
            self.patch.setattr(owner, call, counted(getattr(owner, call)))

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> bool:
        self.patch.undo()
        return kind is Killed


# kills ----------------------------------------------------------------------------------------------------
WORKER = """
import os, signal, sys
from pathlib import Path

left = int(sys.argv[2])

def counted(call):
    def wrapper(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **kwargs)
    return wrapper

sys.path.insert(0, sys.argv[3])
from test_acquire_incremental import reader
for name in ("replace", "fsync", "unlink", "open"):
    setattr(os, name, counted(getattr(os, name)))
project = reader(Path(sys.argv[1]), cursor="at", key=["id"])
project.read()
"""


@pytest.mark.slow
def test_a_kill_at_any_step_onto_the_disk_loses_nothing_and_doubles_nothing(
    tmp_path: Path, orders: Path
) -> None:
    project = reader(tmp_path, cursor="at", key=["id"])
    project.read()
    for step in range(1, 60):
        values = [(100 + step, 20 + step, "new"), (1 + step % 3, 20 + step, f"step {step}")]
        sqlite(orders, "DELETE FROM orders WHERE id = ?", values=[(values[1][0],)])
        sqlite(orders, "INSERT INTO orders VALUES (?, ?, ?)", values=values)
        done = subprocess.run(
            [sys.executable, "-c", WORKER, str(tmp_path), str(step), str(Path(__file__).parent)],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode in (0, -9), done.stderr
        if done.returncode == 0:
            break
        assert project.read().ref == project.whole().ref
    assert 5 < step < 59, "the steps were not counted"
    assert len(list((tmp_path / "kept").rglob("*.*"))) == 2, "something was left behind"


@pytest.mark.slow
def test_a_source_that_breaks_off_changes_nothing(
    tmp_path: Path, orders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = reader(tmp_path, cursor="at", key=["id"])
    project.read()
    sqlite(orders, "INSERT INTO orders VALUES (?, ?, ?)", values=[(i, i, "new") for i in range(20, 30)])
    monkeypatch.setattr(sql_source, "_ROWS", 2)
    make, calls = sql_source._batch, iter(range(100))

    def broken(names: list[str], found: list[tuple[Any, ...]]) -> pa.RecordBatch:
        if next(calls) == 3:
            raise sqlite3.OperationalError("disk I/O error")
        return make(names, found)

    with monkeypatch.context() as patch:
        patch.setattr(sql_source, "_batch", broken)
        with pytest.raises(BessemerError, match="cannot be read"):
            project.read()
    found = project.read()
    assert "10 new or changed rows" in project.notes[0]
    assert found.ref == project.whole().ref
