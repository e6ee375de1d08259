"""Personal data at the door: what is stored, shown and logged has none of the marked values."""

from __future__ import annotations

import hmac
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bessemer
from bessemer.acquire.incremental.state import folder_name
from bessemer.core.errors import BessemerError, DataError, ProjectError, UsageError

KEY = "a-key-of-enough-bytes-for-a-test"
MARKED = [f"marked{i}person@example.org" for i in range(300)]
PHONES = [f"+4915112{i:05d}77" for i in range(300)]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BESSEMER_PERSONAL_KEY", KEY)


def hashed(value: str) -> str:
    return hmac.digest(KEY.encode(), value.encode(), "sha256").hex()[:32]


def table() -> pa.Table:
    return pa.table(
        {
            "Email": [None, *MARKED[1:]],
            "phone": PHONES,
            "ssn": [100_000_000 + i for i in range(300)],
            "age": [20 + i % 50 for i in range(300)],
            "y": ["yes" if i % 50 > 25 else "no" for i in range(300)],
        }
    )


def project(folder: Path, source: str, more: str = "") -> bessemer.Project:
    (folder / "bessemer.yaml").write_text(
        "target: y\nacquire:\n  personal: {email: hash, phone: mask, ssn: drop}\n"
        f"  sources: {{people: {source}}}\n{more}"
    )
    return bessemer.Project(folder)


def write(folder: Path, kind: str) -> str:
    if kind == "parquet":
        pq.write_table(table(), folder / "p.parquet")
        return "{parquet: p.parquet}"
    if kind == "python":
        pq.write_table(table(), folder.parent / "outside.parquet")
        (folder / "reader.py").write_text(
            "import pyarrow.parquet as pq\n"
            f"def read():\n    yield from pq.read_table({str(folder.parent / 'outside.parquet')!r}).to_batches(70)\n"
        )
        return "{python: reader:read}"
    import pandas as pd

    frame: pd.DataFrame = table().to_pandas()
    if kind == "csv":
        frame.to_csv(folder / "p.csv", index=False)
        return "{csv: p.csv}"
    frame.to_json(folder / "p.jsonl", orient="records", lines=True)
    return "{jsonl: p.jsonl}"


def everything(folder: Path, source: str) -> Iterator[tuple[str, bytes]]:
    """All files of the project but the source, Parquet as the values that it holds."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name in source:
            continue
        data = path.read_bytes()
        yield str(path), data
        if data[:4] == b"PAR1":
            yield str(path), str(pq.read_table(path).to_pydict()).encode()


def leaks(folder: Path, source: str) -> list[str]:
    words = [b"person@example", b"+4915112", b"100000123", KEY.encode()]
    return [
        f"{name}: {word!r}" for name, data in everything(folder, source) for word in words if word in data
    ]


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl", "python"])
@pytest.mark.parametrize("sql", ["", "  sql: select * from people\n"])
def test_what_lands_has_no_value_in_clear(tmp_path: Path, kind: str, sql: str) -> None:
    source = write(tmp_path, kind)
    made = project(tmp_path, source, sql)
    made.run(upto="validate")
    landed = pq.read_table(made.artifact("raw").path("data.parquet").open("rb")).to_pydict()
    assert list(landed) == ["Email", "phone", "age", "y"]
    assert landed["Email"] == [None, *map(hashed, MARKED[1:])]
    assert set(landed["phone"]) == {"+99999999999999"}
    assert leaks(tmp_path, source) == []


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """The test above could not fail if it did not see what lies in compressed files."""
    source = write(tmp_path, "parquet")
    (tmp_path / "bessemer.yaml").write_text(f"target: y\nacquire: {{sources: {{people: {source}}}}}\n")
    bessemer.Project(tmp_path).run(upto="validate")
    assert len(leaks(tmp_path, source)) >= 3


def test_hashed_columns_can_be_joined(tmp_path: Path) -> None:
    source = write(tmp_path, "csv")
    pq.write_table(pa.table({"email": MARKED[:100], "paid": list(range(100))}), tmp_path / "paid.parquet")
    (tmp_path / "bessemer.yaml").write_text(
        "target: y\nacquire:\n  personal: {email: hash, people.phone: drop, ssn: drop}\n"
        f"  sources: {{people: {source}, payments: {{parquet: paid.parquet}}}}\n"
        "  sql: select p.*, q.paid from people p join payments q on p.email = q.email\n"
    )
    made = bessemer.Project(tmp_path)
    made.run(upto="acquire")
    assert made.artifact("raw").meta["rows"] == 99
    assert leaks(tmp_path, source + "paid.parquet") == []


def test_another_key_reads_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = project(tmp_path, write(tmp_path, "parquet"))
    made.run(upto="acquire")
    first = made.artifact("raw").ref
    assert made.run(upto="acquire").stages[0].status == "cached"
    monkeypatch.setenv("BESSEMER_PERSONAL_KEY", KEY + "another")
    made.run(upto="acquire")
    assert made.artifact("raw").ref != first


@pytest.mark.parametrize("kind", ["python", "parquet", "incremental"])
def test_a_slip_in_a_name_lets_nothing_in(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    source = database(tmp_path) if kind == "incremental" else write(folder, kind)
    (folder / "bessemer.yaml").write_text(
        f"target: y\nacquire:\n  personal: {{emial: hash}}\n  sources: {{people: {source}}}\n"
    )
    with pytest.raises(ProjectError) as caught:
        bessemer.Project(folder).run(upto="acquire")
    assert "no source has a column 'emial'" in str(caught.value)
    assert re.search(r"did you mean '[Ee]mail'", str(caught.value))
    assert leaks(folder, source) == []


def database(folder: Path) -> str:
    """A source that is read incrementally, outside the project."""
    path = folder / "outside.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("create table people (id integer, email text, phone text, ssn integer, y text)")
        rows = [(i, MARKED[i], PHONES[i], 100_000_000 + i, "ab"[i % 2]) for i in range(200)]
        connection.executemany("insert into people values (?, ?, ?, ?, ?)", rows)
    return f"{{sql: 'sqlite:///{path}', table: people, incremental: {{cursor: id, key: [id]}}}}"


def clear_copies(folder: Path) -> list[str]:
    return [leak for leak in leaks(folder, "bessemer.yaml") if "/cache/" in leak]


@pytest.mark.slow
def test_copies_that_were_kept_before_go(tmp_path: Path) -> None:
    """Also where the first run with the setting fails, and of sources that are gone from the project."""
    folder = tmp_path / "project"
    folder.mkdir()
    source = database(tmp_path)
    plain = (
        f"target: y\nacquire:\n  sources: {{gone: {source}, people: {source}}}\n  sql: select * from people\n"
    )
    (folder / "bessemer.yaml").write_text(plain)
    bessemer.Project(folder).run(upto="acquire")
    downloaded = folder / ".bessemer" / "cache" / "acquire" / "files" / "a" / "people.csv"
    downloaded.parent.mkdir(parents=True)
    downloaded.write_text(MARKED[1])
    assert {Path(leak.partition(": ")[0]).name for leak in clear_copies(folder)} > {"people.csv"}
    of_people = folder_name("people")
    with pytest.raises(BessemerError):
        project(folder, source, "  sql: select * from nowhere\n").run(upto="acquire")
    assert not any(of_people in leak or "people.csv" in leak for leak in clear_copies(folder))
    project(folder, source).run(upto="acquire")
    assert clear_copies(folder) == []


@pytest.mark.parametrize(("value", "says"), [("", "is not set"), ("short", "has 5 bytes, 16 are the least")])
def test_the_key_has_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, says: str
) -> None:
    monkeypatch.setenv("BESSEMER_PERSONAL_KEY", value)
    with pytest.raises(UsageError, match=says):
        project(tmp_path, write(tmp_path, "parquet")).run(upto="acquire")


@pytest.mark.parametrize("names", [["email", "y", "email"], ["email", "Email", "y"], ["email", "y", "y"]])
@pytest.mark.parametrize("treatment", ["hash", "drop"])
def test_a_column_that_stands_twice_in_batches_is_refused(
    tmp_path: Path, names: list[str], treatment: str
) -> None:
    (tmp_path / "reader.py").write_text(
        "import pyarrow as pa\n"
        f"def read():\n    yield pa.record_batch([pa.array(['a']), pa.array(['b']), pa.array(['c'])], names={names})\n"
    )
    (tmp_path / "bessemer.yaml").write_text(
        f"target: y\nacquire:\n  personal: {{email: {treatment}}}\n  sources: {{people: {{python: reader:read}}}}\n"
    )
    with pytest.raises((DataError, ProjectError), match=r"twice|duplicate|personal"):
        bessemer.Project(tmp_path).run(upto="acquire")


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("email,phone,ssn,email,y\na@b.de,1,2,c@d.de,no\n")
    with pytest.raises(ProjectError) as caught:
        project(tmp_path, "{csv: p.csv}", "  sql: select * exclude (email_1) from people\n").run(
            upto="acquire"
        )
    assert "'email' stands twice" in str(caught.value)


BROKEN = {
    "csv": (
        "{csv: p.csv, types: {age: integer}}",
        "import pathlib; p = pathlib.Path('p.csv'); p.write_text(p.read_text()"
        ".replace(',40,', ',marked8person@example.org,'))",
    ),
    "python": (
        "{python: reader:read}",
        "import pathlib; p = pathlib.Path('reader.py'); p.write_text(p.read_text() + "
        "'    raise ValueError(\"marked9person@example.org\")\\n')",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "more"), [("csv", []), ("python", ["--json"])])
def test_errors_do_not_quote_the_data(tmp_path: Path, kind: str, more: list[str]) -> None:
    """The command as it is typed, with all that it prints."""
    folder = tmp_path / "project"
    folder.mkdir()
    write(folder, kind)
    source, damage = BROKEN[kind]
    subprocess.run([sys.executable, "-c", damage], cwd=folder, check=True)
    project(folder, source)
    ran = subprocess.run(
        [sys.executable, "-m", "bessemer", "run", "--upto", "validate", *more],
        cwd=folder, capture_output=True, env={**os.environ, "BESSEMER_PERSONAL_KEY": KEY}, check=False,
    )  # fmt: skip
    said = ran.stdout + ran.stderr
    assert ran.returncode == 3, said.decode()
    assert b"cannot be read" in said
    assert b"person@example" not in said
    assert leaks(folder, "p.csv reader.py") == []


@pytest.mark.slow
def test_a_whole_run_keeps_it_out_of_reports_and_packages(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    source = write(folder, "csv")
    project(folder, source, "train: {learner: linear}\n")
    ran = subprocess.run(
        [sys.executable, "-m", "bessemer", "run", "--json"],
        cwd=folder, capture_output=True, check=True,
        env={**os.environ, "BESSEMER_PERSONAL_KEY": KEY, "BESSEMER_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert b"person@example" not in ran.stdout + ran.stderr
    assert leaks(folder, source) == []
    assert list((folder / "build").glob("*.bsm"))


@pytest.mark.slow
def test_what_is_kept_between_runs_is_changed_too(tmp_path: Path) -> None:
    """Incremental reading keeps rows; they went through the door before."""
    folder = tmp_path / "project"
    folder.mkdir()
    made = project(folder, database(tmp_path))
    made.run(upto="acquire")
    with sqlite3.connect(tmp_path / "outside.sqlite") as connection:
        rows = [(i, MARKED[i], PHONES[i], 100_000_000 + i, "ab"[i % 2]) for i in range(200, 300)]
        connection.executemany("insert into people values (?, ?, ?, ?, ?)", rows)
    made.run(upto="acquire")
    landed = pq.read_table(made.artifact("raw").path("data.parquet").open("rb")).to_pydict()
    assert dict(zip(landed["id"], landed["email"], strict=True)) == {i: hashed(MARKED[i]) for i in range(300)}
    assert leaks(folder, "") == []
