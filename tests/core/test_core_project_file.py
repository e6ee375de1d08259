"""The project file: every fault at once, each with its path, line, nearest name and fix."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from bessemer.core import project_file
from bessemer.core.errors import ProjectError
from bessemer.core.spec import Duration, Share, Spec


class Split(Spec):
    by: str | None = Field(None, description="A time column.")
    test: Share = Field(0.2, description="The share of the test rows.")


class Prepare(Spec):
    """How to prepare."""

    split: Split = Field(Split(), description="How to split.")
    exclude: tuple[str, ...] = Field((), description="Columns left out.")
    derive: dict[str, str] = Field({}, description="Derived features.")


class Train(Spec):
    learner: Literal["lightgbm", "linear"] = Field("lightgbm", description="Which.")
    rounds: int = Field(100, ge=1, description="How many.")
    budget: Duration | None = Field(None, description="How long.")


SECTIONS: dict[str, Any] = {"prepare": Prepare, "train": Train}


def read(tmp_path: Path, text: str) -> project_file.ProjectFile:
    path = tmp_path / "bessemer.yaml"
    path.write_text(textwrap.dedent(text), "utf-8")
    return project_file.load(path, SECTIONS)


def faults(tmp_path: Path, text: str) -> dict[str, Any]:
    with pytest.raises(ProjectError) as caught:
        read(tmp_path, text)
    return {fault.path: fault for fault in caught.value.faults}


def test_a_task_is_said_by_itself_or_by_target(tmp_path: Path) -> None:
    start = "data: a.csv\ntarget: [y, z]\ntask: "
    assert read(tmp_path, f"{start}binary\n").top.shared_targets()["task"] == "binary"
    assert read(tmp_path, f"{start}{{y: binary}}\n").top.shared_targets()["task"] == "binary"
    with pytest.raises(ProjectError, match="'' is no target"):
        read(tmp_path, f'{start}{{"": binary}}\n')


def test_the_smallest(tmp_path: Path) -> None:
    project = read(tmp_path, "data: a.csv\ntarget: y\n")
    assert project.sections["train"].rounds == 100
    assert project.top.seed == 7


def test_a_section_left_empty_means_its_defaults(tmp_path: Path) -> None:
    assert read(tmp_path, "target: y\ntrain:\nprepare: {}\n").sections["train"] == Train()


def test_shares_and_durations(tmp_path: Path) -> None:
    project = read(tmp_path, "target: y\nprepare: {split: {test: 30%}}\ntrain: {budget: 2m}\n")
    assert project.sections["prepare"].split.test == 0.3
    assert project.sections["train"].budget == 120


def test_all_faults_at_once_with_lines_and_nearest_names(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """\
        dta: a.csv
        prepare:
          split: {tset: 0.2, test: 150%}
          exclude: id
        train:
          learner: lightbgm
          rounds: "100"
        """,
    )
    assert set(found) == {
        "dta", "target", "prepare.split.tset", "prepare.split.test", "prepare.exclude", "train.learner", "train.rounds"
    }  # fmt: skip
    assert "did you mean 'data'" in found["dta"].fix
    assert "did you mean 'test'" in found["prepare.split.tset"].fix
    assert "did you mean 'lightgbm'" in found["train.learner"].fix
    assert "without quotes" in found["train.rounds"].fix
    assert "1.5 is not between 0 and 1" in found["prepare.split.test"].what
    assert [found[p].line for p in ("dta", "prepare.split.tset", "prepare.exclude", "train.rounds")] == [
        1,
        3,
        4,
        7,
    ]


def test_the_message_reads_well(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as caught:
        read(tmp_path, "target: y\ntrian: {}\n")
    assert str(caught.value) == (
        "bessemer.yaml has 1 fault:\n  line 2: trian: unknown key 'trian'\n    fix: did you mean 'train'?"
    )


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("- a\n", "not a mapping"),
        ("a: [1\n", "not YAML"),
        ("target: y\ntarget: z\n", "stands twice"),
        ("target: 5\n", "should be a valid string"),
        ("target: y\nname: My Model\n", "should match pattern"),
        ("target: y\nseed: -1\n", "greater than or equal to 0"),
        ("target: y\ntrain: 3\n", "train"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(ProjectError) as caught:
        read(tmp_path, text)
    assert word in str(caught.value)


def test_not_text(tmp_path: Path) -> None:
    path = tmp_path / "bessemer.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProjectError, match="fault"):
        project_file.load(path, SECTIONS)


def test_find_looks_upwards(tmp_path: Path) -> None:
    (tmp_path / "bessemer.yaml").write_text("target: y\n")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert project_file.find(inner) == (tmp_path / "bessemer.yaml").resolve()
    with pytest.raises(ProjectError) as caught:
        project_file.find(tmp_path / "other.yaml")
    assert "bessemer init" in str(caught.value)


def test_names_come_from_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "My Größe (2)"
    folder.mkdir()
    assert read(folder, "target: y\n").name == "my-gr--e--2"


def test_the_schema_knows_every_key() -> None:
    schema = project_file.json_schema(SECTIONS)
    assert {"data", "target", "prepare", "train"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False
    split = schema["$defs"]["Split"]["properties"]["test"]
    assert {"number", "string"} == {option["type"] for option in split["anyOf"]}
