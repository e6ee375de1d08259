"""`bessemer data`: what landed, listed, shown, compared and named."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bessemer import Project
from bessemer.cli import main
from bessemer.cli._console import err, out
from bessemer.core.errors import DataError, UsageError
from bessemer.core.store import Store
from bessemer.snapshots.catalogue import Catalogue
from bessemer.snapshots.diff import diff
from bessemer.snapshots.door import Snapshots


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def call(*args: str, cwd: Path) -> Done:
    """The command line in this process: what it prints on a terminal of 160 columns, and its exit code."""
    said, told, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(told):
        patch.chdir(cwd)
        for console in (out, err):
            patch.setattr(console, "_width", 160)
        try:
            main(["data", *args])
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Done(code, said.getvalue(), told.getvalue())


CONTENTS = (
    "id,x,town\n1,0.5,Köln\n2,1.5,Bonn\n3,2.5,Bonn\n",
    "id,x,town\n1,0.5,Köln\n2,9.5,Bonn\n4,3.5,[red]\n",
    "id,x,town,zip\n1,1,Köln,50667\n2,9,Bonn,53111\n4,3,[red],\n5,4,Bonn,53111\n",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which three contents have landed. Tests that name snapshots take names of their own."""
    place = tmp_path_factory.mktemp("data")
    (place / "bessemer.yaml").write_text(
        "name: towns\ndata: towns.csv\ntarget: x\nvalidate: {contract: null}\n"
    )
    for text in CONTENTS:
        (place / "towns.csv").write_text(text)
        Project(place).run(upto="validate", track=False)
    return place


def test_log_says_what_changed_each_time(folder: Path) -> None:
    done = call("log", cwd=folder)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].startswith("v3 ")
    assert "+1 rows, +zip, x DOUBLE -> BIGINT; data" in lines[1]
    assert "data" in lines[2]
    assert "3 columns" in lines[3]
    assert "next: bessemer data diff previous latest" in done.stdout
    found = json.loads(call("log", "--json", "--limit", "2", cwd=folder).stdout)
    assert [each["snapshot"] for each in found] == ["v3", "v2"]
    assert found[0]["changed"] == {
        "rows": 1,
        "columns": {"added": ["zip"], "removed": [], "retyped": {"x": ["DOUBLE", "BIGINT"]}},
        "sources": ["data"],
    }
    assert found[0]["contract"] == {"status": "inferred", "quarantined": 0}
    assert found[0]["sources"]["data"]["kind"] == "csv"
    assert found[0]["kept"] is True


def test_show_has_sources_columns_statistics_and_rows(folder: Path) -> None:
    done = call("show", "v2", cwd=folder)
    assert done.returncode == 0, done.stderr
    for text in ("v2", "3 rows", "towns.csv", "VARCHAR", "[red]", "bessemer run --data v2"):
        assert text in done.stdout
    found = json.loads(call("show", "--json", "--rows", "1", cwd=folder).stdout)
    assert found["snapshot"] == "v3"
    assert found["first"] == [{"id": 1, "x": 1, "town": "Köln", "zip": 50667}]
    assert found["statistics"]["zip"] == {
        "dtype": "BIGINT", "missing": 0.25, "distinct": 2, "low": 50667, "high": 53111,
        "mean": pytest.approx(52296.3333), "deviation": pytest.approx(1411.044),
    }  # fmt: skip


def test_diff_follows_rows_by_key_and_counts_them_without(folder: Path) -> None:
    done = call("diff", "v1", "v2", "--key", "id", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "rows: 1 added, 1 removed, 1 changed, 1 same" in done.stdout
    assert "1.5 -> 9.5" in done.stdout
    assert "[red]" in done.stdout
    found = json.loads(call("diff", "v1", "v2", "--json", cwd=folder).stdout)
    assert found["rows"] == {"before": 3, "after": 3, "added": 2, "removed": 2, "same": 1}
    assert found["samples"]["removed"][0] == {"id": 2, "x": 1.5, "town": "Bonn"}
    moved = {(each["column"], each["what"]): each for each in found["moved"]}
    assert moved["town", "values"]["after"] == pytest.approx(1 / 3)
    assert moved["x", "high"]["before"] == 2.5


def test_diff_compares_the_columns_that_both_have(folder: Path) -> None:
    found = json.loads(call("diff", "--key", "id", "--json", cwd=folder).stdout)
    assert found["columns"] == {"added": ["zip"], "removed": [], "retyped": {"x": ["DOUBLE", "BIGINT"]}}
    assert found["rows"] == {"before": 3, "after": 4, "added": 1, "removed": 0, "changed": 3, "same": 0}
    assert found["samples"]["changed"][0] == {"id": 1, "x": [0.5, 1.0], "town": "Köln"}
    assert found["changed_columns"] == {"x": 3}


def test_names_are_given_moved_and_taken(folder: Path) -> None:
    assert "v1 is now called base" in call("tag", "v1", "base", cwd=folder).stdout
    taken = call("tag", "v2", "base", cwd=folder)
    assert taken.returncode == 2
    assert "bessemer data tag v2 base --move" in taken.stderr
    assert json.loads(call("tag", "v2", "base", "--move", "--json", cwd=folder).stdout)["names"] == ["base"]
    assert json.loads(call("show", "base", "--json", cwd=folder).stdout)["snapshot"] == "v2"
    assert call("tag", "v1", "base", "--remove", cwd=folder).returncode == 2
    assert call("tag", "base", "base", "--remove", cwd=folder).returncode == 0
    assert "base" not in call("log", cwd=folder).stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("show", "v4"), "known: v3, v2, v1, latest, previous"),
        (("show", "lastest"), "did you mean 'latest'?"),
        (("diff", "v1", "v2", "--key", "ids"), "did you mean 'id'?"),
        (("diff", "v1", "v2", "--key", "town"), "town does not tell rows apart: Bonn stands 2 times"),
        (("tag", "v1", "v7"), "means a version or a digest already"),
        (("tag", "v1", "../x"), "begin with a letter"),
        (("tag", "v1", "nothing", "--remove"), "has no names"),
        (("show", "2"), "no snapshot '2'"),
    ],
)
def test_what_cannot_be_meant_is_told(folder: Path, args: tuple[str, ...], said: str) -> None:
    done = call(*args, cwd=folder)
    assert done.returncode in (2, 3)
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_before_anything_landed(tmp_path: Path) -> None:
    (tmp_path / "bessemer.yaml").write_text("name: none\ndata: none.csv\ntarget: x\n")
    assert "bessemer run" in call("log", cwd=tmp_path).stdout
    assert call("show", cwd=tmp_path).returncode == 2


def test_every_way_to_name_a_snapshot(folder: Path) -> None:
    project = Project(folder)
    snapshots = project.snapshots
    runs = project.runs()
    assert str(snapshots.find()) == "v3"
    assert str(snapshots.find("previous")) == "v2"
    assert str(snapshots.find("latest~2")) == "v1"
    assert str(snapshots.find("V1")) == "v1"
    assert str(snapshots.find(runs[-1].id)) == "v1"
    assert str(snapshots.find(snapshots.find("v2").digest[:8])) == "v2"
    with pytest.raises(UsageError, match="could be any of v1, v2, v3"):
        snapshots.find(runs[0].id[:4])
    with pytest.raises(UsageError, match="no snapshot 'latest~3'\n  why: 3 snapshots landed so far"):
        snapshots.find("latest~3")


# any two tables -------------------------------------------------------------------------------------------
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(-3, 3)),
        st.one_of(st.none(), st.floats(-2, 2, allow_nan=False, width=16)),
        st.one_of(st.none(), st.sampled_from(["", "a", "ä'\""])),
    ),
    min_size=1,
    max_size=12,
)


@given(before=ROWS, after=ROWS, keyed=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_diff_is_what_python_counts(
    tmp_path_factory: pytest.TempPathFactory, before: list[Any], after: list[Any], keyed: bool
) -> None:
    """Against dicts and multisets in Python; 0.0 and -0.0 are one value, as they are in both."""
    from collections import Counter

    store = Store(tmp_path_factory.mktemp("diff"))
    with duckdb.connect() as connection:
        if keyed:
            before, after = ([*{row[0]: row for row in side}.values()] for side in (before, after))
        sides = [_stored(store, connection, side) for side in (before, after)]
        found = diff(connection, *sides, key=["k"] if keyed else ())
    if keyed:
        old, new = ({row[0]: row for row in side} for side in (before, after))
        both = old.keys() & new.keys()
        expected = {
            "added": len(new.keys() - old.keys()),
            "removed": len(old.keys() - new.keys()),
            "changed": sum(old[k] != new[k] for k in both),
            "same": sum(old[k] == new[k] for k in both),
        }
    else:
        plus, minus = Counter(after) - Counter(before), Counter(before) - Counter(after)
        expected = {"added": plus.total(), "removed": minus.total(), "same": len(after) - plus.total()}
    assert {name: found["rows"][name] for name in expected} == expected
    assert len(found["samples"]["added"]) == min(5, expected["added"] if keyed else len(plus))


def _stored(store: Store, connection: Any, rows: list[Any]) -> Any:
    connection.execute("CREATE OR REPLACE TABLE t (k BIGINT, x DOUBLE, w VARCHAR)")
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    path = store.root / "t.parquet"
    connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
    columns = [{"name": n, "dtype": t} for n, t in (("k", "BIGINT"), ("x", "DOUBLE"), ("w", "VARCHAR"))]
    return store.get(store.put("raw", {"data.parquet": path}, {"rows": len(rows), "columns": columns}))


def test_extreme_numbers_do_not_break_statistics(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    path = tmp_path / "t.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT unnest([1.7e308, -1.7e308, 'inf'::DOUBLE, 1.0, NULL]) AS x, "
            f"unnest([9223372036854775807, -9223372036854775808, 0, 1, 2]) AS n) TO '{path}' (FORMAT parquet)"
        )
    columns = [{"name": "x", "dtype": "DOUBLE"}, {"name": "n", "dtype": "BIGINT"}]
    raw = store.get(store.put("raw", {"data.parquet": path}, {"rows": 5, "columns": columns, "sources": {}}))
    Catalogue(store).landed(raw, run="r", key="k", time="2026-01-01T00:00:00+00:00")
    shown = Snapshots(store, scratch=tmp_path / "work", threads=2, memory=2**28).show()
    assert shown["statistics"]["x"]["mean"] == 1.0
    assert shown["statistics"]["x"]["high"] == float("inf")
    assert shown["statistics"]["n"]["mean"] == pytest.approx(0.4, abs=1e4)
    meta = {"rows": 0, "columns": [{"name": "z", "dtype": "BIGINT"}]}
    other = store.get(store.put("raw", {"data.parquet": b""}, meta))
    with pytest.raises(DataError, match="no column in common"):
        diff(duckdb.connect(), raw, other)
