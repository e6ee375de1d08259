"""Accepting a snapshot: what changes in the contract's file, and what does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import bessemer
from bessemer.core.errors import UsageError
from contract_room import CONTRACT, small_project, write


@pytest.fixture
def project(tmp_path: Path) -> bessemer.Project:
    return small_project(tmp_path)


@pytest.mark.slow
def test_one_column_alone(project: bessemer.Project) -> None:
    write(project.folder, r7="7,150,c")
    proposed = project.contract.propose(columns=["y"])
    assert proposed.text == CONTRACT.replace("values: [a, b]", "values: [a, b, c]")
    with pytest.raises(UsageError, match="no column 'yy'"):
        project.contract.propose(columns=["yy"])


@pytest.mark.slow
def test_columns_that_came_went_and_changed(project: bessemer.Project) -> None:
    rows = "".join(f"k{i},{i * 0.5},{'ab'[i % 2]},{i % 3}\n" for i in range(400))
    (project.folder / "data.csv").write_text("id,age,y,level\n" + rows)
    contract = CONTRACT.replace("  y: {", "  gone: {type: string}\n  y: {")
    (project.folder / "contract.yaml").write_text(contract)
    assert not project.contract.check().passed
    project.contract.accept(project.contract.propose())
    text = (project.folder / "contract.yaml").read_text()
    assert "gone" not in text
    assert "  id: {type: string, unique: true, nullable: false}" in text or "  id: {type: string" in text
    assert "  level: {type: integer, nullable: false, min: 0, max: 3}\n" in text
    assert "# in years" in text
    after = project.contract.check()
    assert after.passed
    assert {f.name for f in after.findings} == {"adults"}


@pytest.mark.slow
def test_what_was_accepted_is_what_later_data_is_compared_with(project: bessemer.Project) -> None:
    project.contract.accept(project.contract.propose())
    record = json.loads((project.folder / "contract.accepted.json").read_text())
    assert (record["rows"], record["raw"]) == (400, project.artifact("raw").ref.digest)
    assert record["columns"]["y"]["counts"] == [0, 200, 200]
    write(project.folder, rows=300)
    stopped = project.contract.check()
    assert stopped.why.startswith("the data is not what the contract says: 1 difference")
    assert stopped.findings[0].says == "300 rows, -25.0% against the 400 accepted; 20% may be"
    project.contract.accept(project.contract.propose())
    assert project.contract.check().passed
    rows = "".join(f"{i},{18 + i % 5},{'ab'[i % 2]}\n" for i in range(300))
    (project.folder / "data.csv").write_text("id,age,y\n" + rows)
    (found,) = project.contract.check().findings
    assert (found.name, found.severity) == ("distribution (age)", "warn")


def test_the_ends_of_lines_stay(project: bessemer.Project) -> None:
    file = project.folder / "contract.yaml"
    block = CONTRACT.replace(
        "  y: {type: string, values: [a, b]}", "  y:\n    type: string\n    values: [a, b]"
    )
    file.write_bytes(block.replace("\n", "\r\n").encode())
    (project.folder / "data.csv").write_text(
        "id,age,y,new\n" + "".join(f"{i},{18 + i % 50},{'abc'[i % 3]},{i % 3}\n" for i in range(400))
    )
    proposed = project.contract.propose()
    assert [line for line in proposed.diff.splitlines() if line[:2] in ("- ", "+ ")] == [
        "-    values: [a, b]",
        "+    values: [a, b, c]",
        "+  new: {type: integer, nullable: false, min: 0, max: 3}",
    ]
    project.contract.accept(proposed)
    assert b"\n" not in file.read_bytes().replace(b"\r\n", b"")
    assert b"\r\r" not in file.read_bytes()


def test_an_edit_after_the_proposal_is_not_lost(project: bessemer.Project) -> None:
    write(project.folder, r7="7,150,a")
    proposed = project.contract.propose()
    file = project.folder / "contract.yaml"
    file.write_text(CONTRACT.replace("# ours", "# ours and theirs"))
    with pytest.raises(UsageError, match=r"contract\.yaml was changed after"):
        project.contract.accept(proposed)
    assert file.read_text() == CONTRACT.replace("# ours", "# ours and theirs")
    assert not (project.folder / "contract.accepted.json").exists()


@pytest.mark.slow
def test_times_that_are_allowed_already_are_not_added(project: bessemer.Project) -> None:
    (project.folder / "contract.yaml").write_text(
        'columns:\n  day: {type: timestamp, values: ["20240101", "2024-01-02T01:00:00+01:00"]}\n'
        "  y: {type: string}\n"
    )
    days = ("2024-01-01", "2024-01-02", "2024-01-03")
    rows = "".join(f"{day} 00:00:00,{y}\n" for day in days for y in "ab")
    (project.folder / "data.csv").write_text("day,y\n" + rows)
    (change,) = project.contract.propose().changes
    assert change.value == ["20240101", "2024-01-02T01:00:00+01:00", "2024-01-03T00:00:00"]
    project.contract.accept(project.contract.propose())
    assert project.contract.check().findings == ()
