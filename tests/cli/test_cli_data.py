"""`bessemer data`: what landed, listed, shown, compared and named."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from bessemer import Project
from bessemer.cli import main
from bessemer.cli._console import err, out
from bessemer.core.errors import UsageError


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
        (("log", "--limit", "-1"), "-1 is not in the range"),
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
