"""Every source of the project file can be scored; what cannot be gone on with says why."""

from __future__ import annotations

import functools
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from bessemer.core.errors import DataError, UsageError
from bessemer.predict.job import Predicted, predict


@pytest.fixture
def table(make_rows: Any) -> pa.Table:
    return make_rows(500, seed=3)


def checked(model: Any, table: pa.Table, source: Any, folder: Path, **more: Any) -> Predicted:
    """Score a source, and hold the output against the table it was made from."""
    out = folder / "out.parquet"
    done = predict(model, source, out, keep=["id"], batch_rows=120, **more)
    found = pq.read_table(out)
    assert found["id"].to_pylist() == table["id"].to_pylist()
    expected = model.predict(table)
    assert found["prediction"].to_pylist() == expected["prediction"].to_pylist()
    assert found["probability"].to_pylist() == pytest.approx(expected["probability"].to_pylist(), abs=1e-6)
    out.unlink()
    return done


def sqlite_of(table: pa.Table, path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        names = ", ".join(f'"{name}"' for name in table.column_names)
        connection.execute(f"CREATE TABLE customers ({names})")
        rows = [[str(v) if hasattr(v, "year") else v for v in row.values()] for row in table.to_pylist()]
        connection.executemany(f"INSERT INTO customers VALUES ({', '.join('?' * table.num_columns)})", rows)
        connection.commit()
    return path


def stopped(model: Any, source: Any, out: Path, **more: Any) -> None:
    """Score two batches, and fail."""

    def told(rows: int, before: bool, seen: list[int] = []) -> None:  # noqa: B006 - the count of this one call
        seen.append(rows)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(model, source, out, keep=["id"], batch_rows=120, told=told, **more)


@pytest.mark.parametrize("shape", ["path", "url", "words", "yaml", "query"])
def test_sqlite(shape: str, model: Any, table: pa.Table, tmp_path: Path) -> None:
    file = sqlite_of(table, tmp_path / "app.db")
    source: Any = {
        "path": file,
        "url": f"sqlite:///{file}",
        "words": {"sql": f"sqlite:///{file}", "table": "customers"},
        "yaml": f"{{sql: 'sqlite:///{file}', table: customers}}",
        "query": {"sql": f"sqlite:///{file}", "query": "SELECT * FROM customers ORDER BY id"},
    }[shape]
    assert checked(model, table, source, tmp_path).unstable == ""
    stopped(model, source, tmp_path / "out.parquet")
    assert checked(model, table, source, tmp_path).taken_over == 240


def test_a_query_without_order_is_scored_whole(model: Any, table: pa.Table, tmp_path: Path) -> None:
    file = sqlite_of(table, tmp_path / "app.db")
    source = {"sql": f"sqlite:///{file}", "query": "SELECT * FROM customers"}
    stopped(model, source, tmp_path / "out.parquet")
    assert not (tmp_path / ".out.parquet.parts").exists()
    done = checked(model, table, source, tmp_path)
    assert done.taken_over == 0
    assert "no ORDER BY" in done.unstable
    assert predict(model, source, tmp_path / "to.db", table="scored", batch_rows=120).rows == 500
    rows = sqlite3.connect(tmp_path / "to.db").execute("SELECT count(*) FROM scored").fetchone()
    assert rows == (500,)


def test_a_table_that_changed_begins_anew(model: Any, table: pa.Table, tmp_path: Path) -> None:
    file = sqlite_of(table, tmp_path / "app.db")
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode = WAL")
    stopped(model, file, tmp_path / "out.parquet")
    connection.execute("INSERT INTO customers (id, tenure) VALUES ('new', 1)")
    connection.commit()  # in the journal, not yet in the file
    assert Path(f"{file}-wal").stat().st_size
    done = predict(model, file, tmp_path / "out.parquet", keep=["id"], batch_rows=120)
    assert (done.rows, done.taken_over) == (501, 0)
    connection.close()


@pytest.mark.slow
def test_duckdb(model: Any, table: pa.Table, tmp_path: Path) -> None:
    file = tmp_path / "app.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.register("given", table)
        connection.execute("CREATE TABLE customers AS SELECT * FROM given").fetchall()
    assert checked(model, table, file, tmp_path).unstable == ""
    stopped(model, file, tmp_path / "out.parquet")
    assert checked(model, table, file, tmp_path).taken_over == 240
    source = {"sql": f"duckdb:///{file}", "query": "SELECT * FROM customers ORDER BY id"}
    assert checked(model, table, source, tmp_path).unstable == ""


def test_python(model: Any, table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(table, tmp_path / "given.parquet")
    (tmp_path / "scoring_rows.py").write_text(
        "import pyarrow.parquet as pq\n\ndef rows():\n    print('called')\n"
        "    yield from pq.ParquetFile('given.parquet').iter_batches(batch_size=70)\n"
    )
    monkeypatch.chdir(tmp_path)
    stopped(model, "python:scoring_rows:rows", tmp_path / "out.parquet")
    done = checked(model, table, "python:scoring_rows:rows", tmp_path)
    assert done.taken_over == 0
    assert "other rows each time" in done.unstable


def test_a_snapshot_can_be_gone_on_with(
    model: Any, table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    test_python(model, table, tmp_path, monkeypatch)
    capsys.readouterr()
    more: dict[str, Any] = {"snapshot": True, "work": tmp_path / "work"}
    source = {"python": "scoring_rows:rows"}
    stopped(model, source, tmp_path / "out.parquet", **more)
    done = checked(model, table, source, tmp_path, **more)
    assert (done.taken_over, done.unstable) == (240, "")
    assert capsys.readouterr().out == "called\n", "the function was called once for both"
    assert list((tmp_path / "work").iterdir()) == []
    checked(model, table, source, tmp_path, **more)
    assert capsys.readouterr().out == "called\n", "a new job reads the source anew"


def test_a_csv_in_its_own_words(model: Any, table: pa.Table, tmp_path: Path) -> None:
    """Another delimiter and encoding, and an id that looks like a number."""
    pyarrow.csv.write_csv(table, tmp_path / "plain.csv", pyarrow.csv.WriteOptions(delimiter=";"))
    (tmp_path / "in.csv").write_bytes((tmp_path / "plain.csv").read_bytes().decode().encode("latin-1"))
    source = f"{{csv: '{tmp_path}/in.csv', delimiter: ';', encoding: latin-1}}"
    assert checked(model, table, source, tmp_path).unstable == ""
    stopped(model, source, tmp_path / "out.parquet")
    assert checked(model, table, source, tmp_path).taken_over == 240


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl.gz"])
def test_urls_of_fsspec(ending: str, model: Any, table: pa.Table, tmp_path: Path) -> None:
    fs = fsspec.filesystem("memory")
    for part in range(2):
        data = tmp_path / f"{part}.{ending}"
        predict_input(table.slice(part * 250, 250), data)
        fs.pipe_file(f"/lake-{ending}/day/{part}.{ending}", data.read_bytes())
    fs.pipe_file(f"/lake-{ending}/_SUCCESS", b"{}")
    for source in (f"memory://lake-{ending}/", f"memory://lake-{ending}/day/*.{ending}"):
        assert checked(model, table, source, tmp_path).unstable == ""
    stopped(model, source, tmp_path / "out.parquet")
    assert checked(model, table, source, tmp_path).taken_over == 240
    with pytest.raises(DataError, match="no file"):
        predict(model, "memory://nothing/*.csv", tmp_path / "out.csv")


def predict_input(table: pa.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        with duckdb.connect() as connection:
            connection.register("given", table)
            connection.execute(f"COPY given TO '{path}' (FORMAT json, COMPRESSION gzip)").fetchall()


@pytest.mark.slow
@pytest.mark.parametrize("stamped", [True, False])
def test_http(stamped: bool, model: Any, table: pa.Table, tmp_path: Path) -> None:
    pyarrow.csv.write_csv(table, tmp_path / "in.csv")
    with served(tmp_path, stamped) as url:
        done = checked(model, table, f"{url}/in.csv", tmp_path)
        assert bool(done.unstable) is not stamped
        if not stamped:
            assert "nothing tells whether 'in.csv' has changed" in done.unstable
        with pytest.raises(DataError, match="cannot be read"):
            predict(model, f"{url}/other.csv", tmp_path / "out.csv")


def test_a_missing_client_names_its_extra() -> None:
    script = "import sys; sys.modules['aiohttp'] = None; from bessemer.predict.datafiles import find; find('https://x/a.csv')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "pip install 'bessemer[http]'" in done.stderr


class served:
    """A folder over HTTP, with the time of change of each file or without."""

    def __init__(self, folder: Path, stamped: bool) -> None:
        class Handler(SimpleHTTPRequestHandler):
            def send_header(self, name: str, value: str) -> None:
                if stamped or name != "Last-Modified":
                    super().send_header(name, value)

            def log_message(self, *_: Any) -> None: ...

        handler = functools.partial(Handler, directory=str(folder))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("{sql: [}", "is not YAML"),
        ("{csv: a.csv, delimeter: x}", "has 1 fault"),
        ({"sequel": "a.db"}, "'sequel' is not a kind of source"),
        ({"sql": "sqlite:///a.db", "table": "a", "query": "b"}, "not both"),
    ],
)
def test_what_is_refused(source: Any, what: str, model: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        predict(model, source, tmp_path / "out.csv")
    assert what in str(caught.value)


def test_a_missing_column_to_keep_names_the_near_one(model: Any, table: pa.Table, tmp_path: Path) -> None:
    file = sqlite_of(table, tmp_path / "app.db")
    with pytest.raises(UsageError, match="no column 'idd' to keep") as caught:
        predict(model, file, tmp_path / "out.csv", keep=["idd"])
    assert caught.value.fix == "did you mean 'id'?"
    with pytest.raises(DataError, match="no table 'customer'"):
        predict(model, {"sql": f"sqlite:///{file}", "table": "customer"}, tmp_path / "out.csv")
