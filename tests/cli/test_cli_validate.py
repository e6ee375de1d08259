"""`bessemer validate`: what is broken and since when, as a table, JSON and a page; and accepting what the data is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest

import bessemer
from bessemer.cli.validate import command
from bessemer.core.errors import BessemerError, UsageError
from contract_room import CONTRACT, small_project, write


@pytest.fixture
def project(tmp_path: Path) -> bessemer.Project:
    return small_project(tmp_path)


def call(*words: Any) -> int:
    """The command's exit code."""
    try:
        command.main([str(word) for word in words], standalone_mode=False)
    except SystemExit as stop:
        return int(stop.code or 0)
    except click.exceptions.Exit as stop:
        return int(stop.exit_code)
    return 0


@pytest.mark.slow
def test_what_is_broken_and_since_when(project: bessemer.Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.contract.check().findings == ()
    write(project.folder, r7="7,150,a", r9="9,3,b")
    first = project.contract.check()
    assert first.passed
    assert [(f.name, f.severity, f.rows) for f in first.findings] == [
        ("age: max", "quarantine", 1),
        ("adults", "warn", 1),
    ]
    assert (first.rows, first.aside) == (400, 1)
    assert {name: found["run"] for name, found in first.since.items()} == {
        "age: max": first.run,
        "adults": first.run,
    }
    write(project.folder, r7="7,150,a")
    second = project.contract.check()
    assert second.since == {"age: max": {"run": first.run, "time": first.time, "runs": 2}}
    assert call(project.folder, "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert value["findings"][0]["since"] == {"run": first.run, "time": first.time, "runs": 3}
    assert value["findings"][0]["samples"] == ["150"]
    write(project.folder)
    assert dict(project.contract.check().since) == {}


def test_a_stop_is_the_exit_code_and_is_remembered(
    project: bessemer.Project, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project.folder, **{f"r{i}": f"{i},150,a" for i in range(20)})
    assert call(project.folder) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "quarantine max age 20 5.00%" in said
    assert "The run stops: 20 of 400 rows (5.0%) break the contract; 1.0% are allowed" in said
    assert "bessemer validate --accept" in said
    with pytest.raises(BessemerError):
        project.run(upto="validate", track=False)
    assert project.contract.check().since["age: max"]["runs"] == 3


def test_the_page_is_one_file(project: bessemer.Project, tmp_path: Path) -> None:
    write(project.folder, r7='7,150,"</script><b>x"', r8="8,20,<img src=x>")
    page = tmp_path / "pages" / "contract.html"
    assert call(project.folder, "--page", page) == 0
    text = page.read_text()
    data = re.search(r'id="bessemer-data">(.*?)</script>', text, re.DOTALL)
    assert data is not None
    assert {f["name"] for f in json.loads(data[1])["findings"]} == {"age: max", "y: values"}
    assert "</script><b>x" not in text
    assert "<img src=x>" not in text
    assert "http://" not in text.replace("http://www.w3.org/", "")


# accepting ---------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_accepting_shows_the_change_and_writes_when_told(
    project: bessemer.Project, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project.folder, r7="7,150,a", r8="8,,c", r9="9,20,d")
    assert call(project.folder, "--accept") == 0
    shown = capsys.readouterr().out
    assert "-  age: {type: integer, nullable: false, min: 0, max: 99}   # checked by hand" in shown
    assert "+  age: {type: integer, nullable: true, min: 0, max: 150}   # checked by hand" in shown
    assert "nothing is written yet" in shown
    assert (project.folder / "contract.yaml").read_text() == CONTRACT
    assert not (project.folder / "contract.accepted.json").exists()
    assert call(project.folder, "--accept", "--yes") == 0
    changed = CONTRACT.replace("nullable: false, min: 0, max: 99", "nullable: true, min: 0, max: 150")
    changed = changed.replace("values: [a, b]", "values: [a, b, c, d]")
    assert (project.folder / "contract.yaml").read_text() == changed
    found = project.contract.check()
    assert [f.name for f in found.findings] == []
    assert call(project.folder, "--accept") == 0
    assert "contract.yaml stays as it is" in capsys.readouterr().out


def test_the_first_contract_is_written_and_said(
    project: bessemer.Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.folder / "contract.yaml").unlink()
    assert call(project.folder) == 0
    assert "review contract.yaml and commit it" in capsys.readouterr().out
    assert call(project.folder, "--accept", "--yes", "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["diff"], value["written"], value["snapshot"]["rows"]) == ("", True, 400)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--yes"], "are for --accept"),
        (["--column", "age"], "are for --accept"),
        (["--accept", "--page", "x.html"], "leave one of them out"),
        (["--wait", "soon"], "--wait"),
    ],
)
def test_words_that_do_not_fit(project: bessemer.Project, words: list[str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        call(project.folder, *words)
    assert says in str(caught.value)


def test_no_contract_at_all(tmp_path: Path) -> None:
    (tmp_path / "bessemer.yaml").write_text("data: data.csv\ntarget: y\nvalidate: {contract: null}\n")
    write(tmp_path)
    made = bessemer.Project(tmp_path)
    checked = made.contract.check()
    assert (checked.passed, checked.rules, checked.inferred) == (True, (), False)
    with pytest.raises(UsageError, match="has no contract"):
        made.contract.propose()
