"""`bessemer predict` as it is typed."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bessemer.core.errors import UsageError
from bessemer.predict.target import target_of

pytestmark = pytest.mark.slow


def typed(*words: object, code: int = 0) -> str:
    command = [sys.executable, "-m", "bessemer", "predict", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture
def source(make_rows: Any, tmp_path: Path) -> Path:
    pq.write_table(make_rows(5000), tmp_path / "in.parquet")
    return tmp_path / "in.parquet"


def test_a_file_and_what_is_said_of_it(package: Path, source: Path, tmp_path: Path) -> None:
    said = typed(package, source, "-o", tmp_path / "out.csv", "--keep", "id", "--explain")
    assert "scored 5,000 rows with tiny 1.0.0" in said
    assert "out.csv" in said
    said = json.loads(typed(package, source, "-o", tmp_path / "out.jsonl.gz", "--json"))
    assert {name: said[name] for name in ("rows", "taken_over", "resumable", "model", "version")} == {
        "rows": 5000,
        "taken_over": 0,
        "resumable": True,
        "model": "tiny",
        "version": "1.0.0",
    }


def test_a_folder_and_a_table(package: Path, source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    words = (
        package,
        source,
        "-o",
        f"{folder}/",
        "--format",
        "csv.gz",
        "--part-rows",
        "1000",
        "--batch-rows",
        "500",
    )
    typed(*words)
    assert len(list(folder.glob("part-*.csv.gz"))) == 5
    assert "nothing to do: all 5,000 rows were scored before" in typed(*words)
    assert "scored 5,000 rows" in typed(*words, "--restart")
    typed(package, source, "-o", f"sqlite:///{tmp_path}/app.db", "--table", "scored", "--keep", "id")
    rows = sqlite3.connect(tmp_path / "app.db").execute("SELECT count(*), count(DISTINCT id) FROM scored")
    assert rows.fetchone() == (5000, 5000)
    said = typed(
        package, f"{{sql: 'sqlite:///{tmp_path}/app.db', table: nowhere}}", "-o", tmp_path / "a.csv", code=3
    )
    assert "no table 'nowhere'" in said


#: The command, which stops and says so when its first batch is there.
STOPS = """
import time
from bessemer.cli import main, predict

def told(bar, rows, before):
    print("there", flush=True)
    time.sleep(3600)

predict._Bar.told = told
main()
"""


def test_interrupted_it_goes_on(package: Path, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    words = (package, source, "-o", out, "--batch-rows", "50", "--checkpoint", "0s", "--keep", "id")
    command = [sys.executable, "-c", STOPS, "predict", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        process.send_signal(signal.SIGINT)
        assert "run again to go on" in process.communicate(timeout=300)[1]
    assert process.returncode == 130
    assert not out.exists()
    said = json.loads(typed(*words, "--json"))
    assert (said["rows"], said["taken_over"]) == (5000, 50)
    assert len(out.read_bytes().splitlines()) == 5001


def test_a_wrong_word_is_told_with_the_right_one(package: Path, source: Path, tmp_path: Path) -> None:
    for words, what in (
        (("-o", tmp_path / "out.xls"), "cannot write 'out.xls'"),
        (("-o", f"{tmp_path}/out/", "--format", "csf"), "did you mean 'csv'?"),
        (("-o", f"sqlite:///{tmp_path}/app.db"), "give --table NAME"),
        (("-o", tmp_path / "out.csv", "--checkpoint", "soon"), "--checkpoint"),
    ):
        assert what in typed(package, source, *words, code=2)


@pytest.mark.parametrize(
    ("output", "kind", "folder"),
    [
        ("a.pq", "parquet", False),
        ("s3://b/a.ndjson.gz", "jsonl", False),
        ("s3://b/a/", "parquet", True),
        ("app.duckdb", "duckdb", False),
        ("postgres://me@host/db", "postgres", False),
        ("{csv: out/, part_rows: 10}", "csv", True),
        ({"sql": "duckdb:///a.db", "table": "t"}, "duckdb", False),
        ({"jsonl": "a.jsonl"}, "jsonl", False),
        ({"parquet": "out", "format": "parquet"}, "parquet", True),
    ],
)
def test_what_an_output_means(output: Any, kind: str, folder: bool) -> None:
    target = target_of(output)
    assert (target.kind, target.folder) == (kind, folder)


@pytest.mark.parametrize(
    "output", ["{cvs: out/}", "{csv: out/, rows: 3}", "{parquet: a, part_rows: 0}", "{", "[1]"]
)
def test_what_no_output_means(output: str) -> None:
    with pytest.raises(UsageError):
        target_of(output)
