"""Runs on earlier snapshots: what they take, what the cache has, what is recorded, and what is kept for them."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests_support import write_project

from bessemer import Project, StoreError, UsageError, load

pytestmark = pytest.mark.slow


def write_rows(folder: Path, seed: int, count: int = 240) -> None:
    draw = random.Random(seed)
    lines = ["id,x,kind,y"]
    for i in range(count):
        x = draw.random()
        lines.append(f"{i},{x:.6f},{draw.choice('abc')},{int(x + draw.gauss(0, 0.2) > 0.5)}")
    (folder / "data.csv").write_text("\n".join(lines) + "\n")


KEYS: dict[str, Any] = {
    "data": "data.csv",
    "target": "y",
    "train": {"learner": "linear"},
    "validate": {"contract": None},
}


@pytest.fixture(scope="module")
def travelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of two whole runs, on two contents of its source. Do not change it."""
    folder = tmp_path_factory.mktemp("travel")
    write_project(folder, **KEYS)
    for seed in (1, 2):
        write_rows(folder, seed)
        Project(folder).run()
    return folder


@pytest.fixture
def project(travelled: Path, tmp_path: Path) -> Project:
    folder = tmp_path / "copy"
    shutil.copytree(travelled, folder)
    return Project(folder)


def outputs(run: Any) -> dict[str, str]:
    return {
        name: digest for stage in run.stages for name, digest in stage.outputs.items() if name != "timings"
    }


def test_a_run_on_an_earlier_snapshot_is_the_earlier_run(project: Project) -> None:
    """All of it comes from the cache, the signed package byte for byte."""
    second, first = project.runs()
    run = project.run(data="v1")
    assert outputs(run) == outputs(first)
    assert {stage.status for stage in run.stages} == {"cached"}
    assert "snapshot v1, landed" in run.stages[0].why
    assert run.data == {"snapshot": "v1", "digest": outputs(first)["raw"], "from": "an earlier run"}
    assert project.show(run.id).data == run.data
    assert second.data == {"snapshot": "v2", "digest": outputs(second)["raw"], "from": "acquire"}


def test_package_and_lineage_name_the_data_that_was_taken(project: Project) -> None:
    first = project.runs()[-1]
    run = project.run(data="v1", version="7")
    assert run.package is not None
    stages = load(run.package).provenance["stages"]
    assert stages["acquire"]["outputs"]["raw"] == project.snapshots.find("v1").digest
    assert stages["acquire"]["key"] == first.stages[0].key
    steps = project.lineage("package", run.id)
    assert (steps[0].stage, steps[0].snapshot) == ("acquire", "v1")
    assert sum(step.stage == "acquire" for step in steps) == 1
    assert steps[0].outputs["raw"] == project.snapshots.find("v1").digest
    assert project.snapshots.find(stages["acquire"]["outputs"]["raw"][:12]).version == 1


def test_the_source_is_not_needed(project: Project) -> None:
    (project.folder / "data.csv").unlink()
    assert project.run(upto="validate", data="previous").data["snapshot"] == "v1"


def test_it_makes_no_snapshot_and_acquiring_again_goes_on(project: Project) -> None:
    project.run(upto="acquire", data="v1")
    assert [entry["snapshot"] for entry in project.snapshots.log()] == ["v2", "v1"]
    run = project.run(upto="acquire")
    assert (run.stages[0].status, run.data["snapshot"]) == ("cached", "v2")


def test_a_run_that_was_killed_before_its_entry_is_entered_by_the_next(project: Project) -> None:
    """The acquire is in the cache, the entry is not: what a kill between the two leaves."""
    project.store.delete_record("snapshots", "000002")
    run = project.run(upto="acquire")
    assert (run.stages[0].status, run.data["snapshot"]) == ("cached", "v2")
    assert project.snapshots.find("v2").digest == run.data["digest"]


def test_other_settings_go_with_earlier_data(project: Project) -> None:
    write_project(project.folder, **{**KEYS, "evaluate": {"slices": ["kind"]}})
    run = Project(project.folder).run(upto="evaluate", data="v1")
    ran = {stage.stage for stage in run.stages if stage.status == "ran"}
    assert ran == {"evaluate"}


def test_columns_are_checked_against_the_snapshot(project: Project) -> None:
    write_project(project.folder, **{**KEYS, "evaluate": {"slices": ["kindd"]}})
    with pytest.raises(Exception, match="kindd"):
        Project(project.folder).run(data="v1")


def test_what_cannot_be_taken_is_told(project: Project) -> None:
    with pytest.raises(UsageError, match="no snapshot 'v9'"):
        project.run(data="v9")
    with pytest.raises(UsageError, match="exclude each other"):
        project.run(data="v1", force=["acquire"])
    assert len(project.runs()) == 2
    raw = project.snapshots.rows("v1").path("data.parquet")
    raw.write_bytes(raw.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match="gone from the store or damaged"):
        Project(project.folder).run(data="v1", force=["validate"])


def test_the_command_line_says_what_it_runs_on(project: Project, bessemer: Any) -> None:
    done = bessemer("run", "--data", "previous", "--upto", "validate", cwd=project.folder)
    assert done.returncode == 0, done.stderr
    assert "data     snapshot v1, from an earlier run" in done.stdout
    assert "snapshot v1, landed" in bessemer("show", "--json", cwd=project.folder).stdout
    wrong = bessemer("run", "--data", "privious", cwd=project.folder)
    assert wrong.returncode == 2
    assert "did you mean 'previous'?" in wrong.stderr
    cleaned = bessemer("clean", "--dry-run", cwd=project.folder)
    assert "keep   snapshot v2, 240 rows: run " in cleaned.stdout


# policy ---------------------------------------------------------------------------------------------------
def land(folder: Path, *seeds: int, **keep: Any) -> Project:
    """A project in which so many contents have landed, one after the other."""
    folder.mkdir(exist_ok=True)
    write_project(folder, **KEYS, acquire={"keep": keep})
    for seed in seeds:
        write_rows(folder, seed, 50)
        Project(folder).run(upto="acquire", track=False)
    return Project(folder)


def kept(project: Project) -> list[str]:
    return [entry["snapshot"] for entry in project.snapshots.log() if entry["kept"]]


def test_the_policy_keeps_the_last_and_the_named(tmp_path: Path) -> None:
    project = land(tmp_path, 1, 2, 3, 4, 5, last=2)
    project.snapshots.tag("v1", "first")
    would = project.clean(keep=1, dry_run=True)
    assert kept(project) == ["v5", "v4", "v3", "v2", "v1"]
    done = project.clean(keep=1)
    assert done == would
    whys = {each["snapshot"]: (each["kept"], each["why"]) for each in done["snapshots"]}
    assert whys["v1"] == (True, "it is called first")
    assert whys["v2"] == (False, "not one of the last 2, without a name")
    assert whys["v4"] == (True, "one of the last 2")
    assert whys["v5"][1].startswith("run ")
    assert kept(project) == ["v5", "v4", "v1"]
    with pytest.raises(StoreError, match="the rows of snapshot v2 are gone\n  why: removed on 20"):
        project.run(data="v2")
    assert project.snapshots.find("v2").removed is not None
    assert [each["snapshot"] for each in project.clean(keep=1)["snapshots"]] == ["v5", "v4", "v1"]
    project.snapshots.untag("first")
    project.clean(keep=1)
    assert kept(project) == ["v5", "v4"]


def test_the_policy_keeps_the_young(tmp_path: Path) -> None:
    project = land(tmp_path, 1, 2, 3, last=1, days=30)
    assert len(project.clean(keep=1)["snapshots"]) == 3
    assert kept(project) == ["v3", "v2", "v1"]
    for name in project.store.records("snapshots"):
        record = project.store.record("snapshots", name)
        assert record is not None
        project.store.write_record("snapshots", name, {**record, "time": "2020-01-01T00:00:00+00:00"})
    project.clean(keep=1)
    assert kept(project) == ["v3"]


def test_content_that_comes_back_is_one_artifact_with_two_versions(tmp_path: Path) -> None:
    project = land(tmp_path, 1, 2, 1, last=1)
    assert [entry["snapshot"] for entry in project.snapshots.log()] == ["v3", "v2", "v1"]
    project.clean(keep=1)
    assert kept(project) == ["v3", "v1"]
    assert project.snapshots.find(project.snapshots.find("v1").digest[:10]).version == 3


def test_rows_that_were_removed_and_read_again_are_there_again(tmp_path: Path) -> None:
    project = land(tmp_path, 1, last=1)
    shutil.rmtree(project.store.root / "blobs")
    assert kept(project) == []
    assert project.run(upto="acquire", track=False).data["snapshot"] == "v1"
    assert kept(project) == ["v1"]


def test_nothing_that_kept_runs_or_packages_need_is_removed(project: Project) -> None:
    """v1 is behind a package that stands in the build folder; its run is not among those kept."""
    write_project(project.folder, **KEYS, acquire={"keep": {"last": 1, "named": False}}, version="2")
    project = Project(project.folder)
    project.run(data="v1")
    write_project(project.folder, **KEYS, acquire={"keep": {"last": 1, "named": False}})
    project = Project(project.folder)
    project.run()
    verdicts = {each["snapshot"]: each["why"] for each in project.clean(keep=1)["snapshots"]}
    assert verdicts["v1"] == "test-2.bsm was made from it"
    assert verdicts["v2"].startswith("run ")
    run = project.run(data="v1", upto="validate")
    assert run.status == "done"
    for stage in project.runs()[1].stages:
        for name in stage.outputs:
            project.artifact(name, project.runs()[1].id)
    assert project.lineage("package", project.runs()[1].id)[0].stage == "acquire"


def test_the_policy_is_no_part_of_the_cache(tmp_path: Path) -> None:
    land(tmp_path, 1, last=2)
    project = land(tmp_path, last=3)
    assert project.run(upto="acquire", track=False).stages[0].status == "cached"
    assert json.loads((tmp_path / "bessemer.yaml").read_text())["acquire"]["keep"] == {"last": 3}
