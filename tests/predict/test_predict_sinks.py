"""Every sink keeps the promises of all sinks, in every place it can write to."""

from __future__ import annotations

import glob
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bessemer.core.errors import EnvironmentFault, UsageError
from bessemer.predict.plugins import SINKS
from bessemer.predict.protocol import Progress, Target
from bessemer.testing.sinks import CHECKS, batch, job

READERS = {"parquet": "read_parquet", "csv": "read_csv", "jsonl": "read_json"}


def rows_of_files(pattern: str, kind: str) -> list[dict[str, Any]]:
    """The rows of files by DuckDB, which did not write them."""
    files = sorted(glob.glob(pattern))  # noqa: PTH207 - any root
    assert files, pattern
    types = "{'id': 'BIGINT', 'prediction': 'VARCHAR', 'probability': 'DOUBLE'}"
    more = "" if kind == "parquet" else f", columns = {types}" + (", header = true" if kind == "csv" else "")
    query = f"SELECT * FROM {READERS[kind]}({files}{more})"
    connection = duckdb.connect()
    connection.execute("SET threads = 1").fetchall()
    return connection.sql(query).to_arrow_table().to_pylist()


def read_files(target: Target) -> list[dict[str, Any]]:
    return rows_of_files(f"{target.where}/part-*" if target.folder else target.where, target.kind)


def read_sqlite(target: Target) -> list[dict[str, Any]]:
    connection = sqlite3.connect(target.where)
    connection.row_factory = sqlite3.Row
    return [dict(row) for row in connection.execute("SELECT * FROM scored ORDER BY id")]


def read_duckdb(target: Target) -> list[dict[str, Any]]:
    with duckdb.connect(target.where, read_only=True) as connection:
        return connection.sql("SELECT * FROM scored ORDER BY id").to_arrow_table().to_pylist()


def targets(folder: Path) -> dict[str, tuple[Target, Any]]:
    endings = {"parquet": "parquet", "csv": "csv", "csv.gz": "csv", "jsonl": "jsonl", "jsonl.gz": "jsonl"}
    made: dict[str, tuple[Target, Any]] = {}
    for ending, kind in endings.items():
        made[ending] = Target(kind, str(folder / f"out.{ending}")), read_files
        options = {"ending": f".{ending}", "part_rows": 8}
        made[f"folder of {ending}"] = Target(kind, str(folder / "out"), True, options), read_files
    made["sqlite"] = Target("sqlite", str(folder / "out.db"), options={"table": "scored"}), read_sqlite
    made["duckdb"] = Target("duckdb", str(folder / "out.duckdb"), options={"table": "scored"}), read_duckdb
    return made


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", targets(Path()))
def test_each_sink_keeps_each_promise(name: str, check: Any, tmp_path: Path) -> None:
    target, read = targets(tmp_path)[name]
    check(SINKS.ref(target.kind).target, target, read)
    left = {path.name for path in tmp_path.iterdir()} | {p.name for p in (tmp_path / "out").glob("*")}
    assert not [name for name in left if name.startswith(".")], "something unfinished was left behind"


def test_another_job_begins_anew_and_takes_the_place_of_the_old(tmp_path: Path) -> None:
    for folder, name in ((False, "out.csv"), (True, "out")):
        target = Target("csv", str(tmp_path / name), folder, {"ending": ".csv", "part_rows": 4})
        for key, count in (("a", 3), ("b", 1)):
            sink = SINKS.load("csv")(target, job(key))
            assert sink.open() == Progress()
            for number in range(count):
                sink.write(batch(number), Progress(number + 1, 4 * (number + 1), 0, 0))
            if key == "b":
                sink.finish()
            sink.close()
        assert len(read_files(target)) == 4


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    target = Target("parquet", str(tmp_path / "out.parquet"))
    first, second = (SINKS.load("parquet")(target, job()) for _ in range(2))
    first.open()
    with pytest.raises(EnvironmentFault, match="another `bessemer predict` writes"):
        second.open()
    second.close()
    first.write(batch(0), Progress(1, 4, 0, 4))
    first.finish()
    first.close()
    assert len(read_files(target)) == 4


def test_a_folder_with_other_files_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    for name in ("notes.txt", "part-00000.parquet"):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / name).write_text("mine")
        sink = SINKS.load("parquet")(Target("parquet", str(folder), True, {"ending": ".parquet"}), job())
        with pytest.raises(UsageError, match=f"has other files: {name}"):
            sink.open()
        sink.close()
        assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_table_that_is_there_is_appended_to(kind: str, tmp_path: Path) -> None:
    connect = sqlite3.connect if kind == "sqlite" else duckdb.connect
    file = str(tmp_path / "out.db")
    with connect(file) as connection:
        connection.execute(
            "CREATE TABLE scored (prediction VARCHAR, more INTEGER, id BIGINT, probability DOUBLE)"
        )
        connection.execute("INSERT INTO scored VALUES ('old', 1, -1, 0.5)")
    connection.close()
    target = Target(kind, f"{kind}:///{file}", options={"table": "scored"})
    for key in ("a", "b"):  # another job's rows come after them
        sink = SINKS.load(kind)(target, job(key))
        assert not sink.open().complete
        sink.write(batch(0), Progress(1, 4, 0, 4))
        sink.finish()
        sink.close()
    rows = (read_sqlite if kind == "sqlite" else read_duckdb)(Target(kind, file))
    assert [row["id"] for row in rows] == [-1, 0, 0, 1, 1, 2, 2, 3, 3]
    with pytest.raises(UsageError, match="has rows of this job"):
        _open_and_close(kind, target, job(restart=True))
    with connect(file) as connection:
        connection.execute("ALTER TABLE scored DROP COLUMN probability")
    connection.close()
    with pytest.raises(UsageError, match="has no column 'probability'"):
        _open_and_close(kind, target, job("c"))
    with pytest.raises(UsageError, match="no table is named"):
        SINKS.load(kind)(Target(kind, file), job())


def _open_and_close(kind: str, target: Target, of: Any) -> None:
    sink = SINKS.load(kind)(target, of)
    try:
        sink.open()
    finally:
        sink.close()


def test_a_job_of_a_table_in_the_hands_of_another_process_is_refused(tmp_path: Path) -> None:
    target = Target("sqlite", str(tmp_path / "out.db"), options={"table": "scored"})
    first, second = (SINKS.load("sqlite")(target, job()) for _ in range(2))
    first.open()
    second.open()
    first.write(batch(0), Progress(1, 4, 0, 4))
    with pytest.raises(EnvironmentFault, match="writes this job into 'scored'"):
        second.write(batch(0), Progress(1, 4, 0, 4))
    first.finish()
    first.close()
    second.close()
    assert len(read_sqlite(target)) == 4
