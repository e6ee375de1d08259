"""Since when a rule is broken: what runs remember of it."""

from __future__ import annotations

from pathlib import Path

import pytest

import bessemer
from bessemer.core.errors import BessemerError
from contract_room import CONTRACT, small_project, write


@pytest.fixture
def project(tmp_path: Path) -> bessemer.Project:
    return small_project(tmp_path)


@pytest.mark.slow
def test_a_whole_run_remembers_it_too(project: bessemer.Project) -> None:
    write(project.folder, r7="7,150,a")
    run = project.run(upto="validate", track=False)
    assert project.contract.check().since["age: max"] == {"run": run.id, "time": run.started, "runs": 2}


@pytest.mark.slow
def test_a_stop_forgets_no_rule_that_it_did_not_come_to(project: bessemer.Project) -> None:
    write(project.folder, r7="7,150,a", r9="9,3,b")
    first = project.contract.check()
    rows = (project.folder / "data.csv").read_text()
    (project.folder / "data.csv").write_text(rows.replace("id,age,y", "id,old,y"))
    stopped = project.contract.check()
    assert not stopped.passed
    assert {name: found["runs"] for name, found in stopped.since.items()} == {
        "age: max": 1,
        "adults": 1,
        "age: removed": 1,
        "old: added": 1,
        "adults (age)": 1,
    }
    write(project.folder, r7="7,150,a")
    assert project.contract.check().since == {"age: max": {"run": first.run, "time": first.time, "runs": 2}}


@pytest.mark.slow
def test_too_many_rows_say_nothing_of_the_data_as_a_whole(project: bessemer.Project) -> None:
    """Shares, ages and the number of rows are looked at once the rows are."""
    (project.folder / "contract.yaml").write_text(CONTRACT.replace("columns:", "rows: {min: 500}\ncolumns:"))
    first = project.contract.check()
    assert set(first.since) == {"rows: min"}
    write(project.folder, **{f"r{i}": f"{i},150,a" for i in range(20)})
    assert set(project.contract.check().since) == {"rows: min", "age: max"}
    write(project.folder)
    assert project.contract.check().since == {"rows: min": {"run": first.run, "time": first.time, "runs": 2}}


@pytest.mark.slow
def test_a_look_at_earlier_data_changes_nothing(project: bessemer.Project) -> None:
    project.run(upto="validate", track=False)
    write(project.folder, r7="7,150,a")
    first = project.run(upto="validate", track=False)
    project.run(upto="validate", track=False, data="v1")
    write(project.folder, **{f"r{i}": f"{i},150,a" for i in range(20)})
    with pytest.raises(BessemerError):
        project.run(upto="validate", track=False)
    with pytest.raises(BessemerError):
        project.run(upto="validate", track=False, data="v3")
    assert project.contract.check().since["age: max"] == {"run": first.id, "time": first.started, "runs": 3}
