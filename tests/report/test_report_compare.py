"""Runs side by side: what differs is found, differences are paired where the rows are, and the page shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Opened, axe_source
from click.testing import CliRunner

from bessemer.api import Project
from bessemer.core import canonical
from bessemer.core.errors import UsageError
from bessemer.report.compare import comparison, page_of
from bessemer.report.compare_metrics import _unpaired
from bessemer.report.compare_settings import settings_differences

HOSTILE = "</script><img src=x onerror=alert(1)>"


def write(folder: Path, rows: int, rounds: int) -> None:
    """300 and more customers who leave, in a table with an awkward column name."""
    rng = np.random.default_rng(4)
    lines = [f'tenure,"{HOSTILE}",leaves']
    for _ in range(rows):
        tenure, plan = int(rng.integers(0, 70)), rng.choice(["a", "b"])
        lines.append(
            f"{tenure},{plan},{'yes' if tenure + 30 * (plan == 'a') + rng.normal() * 20 < 45 else 'no'}"
        )
    (folder / "data.csv").write_text("\n".join(lines) + "\n", "utf-8")
    spec = {
        "name": "leave",
        "data": "data.csv",
        "target": "leaves",
        "train": {"learner": "lightgbm", "rounds": rounds},
        "evaluate": {"replicates": 30, "slices": [HOSTILE]},
        "explain": {"rows": 100, "explainers": ["contributions"]},
    }
    (folder / "bessemer.yaml").write_text(json.dumps(spec), "utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three runs up to the report: another setting in the second, more data in the third."""
    folder = tmp_path_factory.mktemp("compared")
    for rows, rounds in ((400, 3), (400, 40), (500, 40)):
        write(folder, rows, rounds)
        made = Project(folder)
        made.run(upto="report", track=False)
    return made


@pytest.fixture(scope="module")
def view(project: Project) -> dict[str, Any]:
    return project.compare("last~2", "last~1", "last")


def test_settings_and_data_that_differ(view: dict[str, Any]) -> None:
    assert view["settings"] == [{"setting": "train.rounds", "values": [3, 40, 40]}]
    assert not view["data"]["same"]
    assert [rows["raw"] for rows in view["data"]["rows"]] == [400, 400, 500]
    changed = {column["name"]: column["runs"] for column in view["data"]["columns"]}
    assert "mean" in changed["tenure"][2]
    assert changed["tenure"][0] == changed["tenure"][1] != changed["tenure"][2]


def test_a_paired_difference_is_narrower_than_its_parts(view: dict[str, Any]) -> None:
    assert view["metrics"]["paired"] == [True, True, False]
    main = view["metrics"]["rows"][0]
    first, second, _ = main["runs"]
    gap = main["differences"][1]
    assert gap["value"] == pytest.approx(second["value"] - first["value"])
    assert gap["low"] < gap["value"] < gap["high"]
    low, high = _unpaired(gap["value"], first, second)
    assert gap["high"] - gap["low"] < high - low
    assert main["differences"][0] is None


def test_what_is_certain_is_said_in_the_metric_s_own_direction(view: dict[str, Any]) -> None:
    """Forty rounds are better than three in the log loss, whose lower values are better."""
    row = next(row for row in view["metrics"]["rows"] if row["metric"] == "log_loss")
    assert not row["greater_is_better"]
    assert row["differences"][1]["value"] < 0
    assert row["differences"][1]["verdict"] == "better"


def test_a_run_against_itself_differs_in_nothing(project: Project) -> None:
    found = project.compare("last", "last~0")
    assert found["settings"] == []
    assert found["data"]["same"]
    assert found["data"]["columns"] == []
    gaps = [row["differences"][1] for row in found["metrics"]["rows"]]
    assert all(gap["value"] == gap["low"] == gap["high"] == 0 for gap in gaps)
    assert {gap["verdict"] for gap in gaps} == {"not told apart"}


def test_the_other_tables(view: dict[str, Any], project: Project) -> None:
    assert {row["group"] for row in view["importance"][0]["rows"]} == {"tenure", HOSTILE}
    assert {row["value"] for row in view["slices"]} == {"a", "b"}
    assert all(len(row["runs"]) == 3 for row in view["slices"] + view["timings"] + view["gates"])
    assert [rows[0]["learner"] for rows in view["leaderboard"]]
    assert page_of(view) == page_of(project.compare("last~2", "last~1", "last"))
    canonical.dumps(view)


def test_settings_of_any_shape() -> None:
    one = {"train": {"params": {"a": [1, 2]}, "x": {}}, "report": {"theme": "dark"}}
    two = {"train": {"params": {"a": [1, 3], "b": None}}, "report": {"theme": "light"}}
    assert settings_differences([one, two]) == [{"setting": "train.params.a", "values": [[1, 2], [1, 3]]}]


def test_errors_name_the_nearest_runs(project: Project) -> None:
    last = project.show().id
    with pytest.raises(UsageError) as caught:
        project.compare("last", last[:-1] + "zz")
    assert last in str(caught.value)
    with pytest.raises(UsageError, match="no run 'last~9'"):
        project.compare("last", "last~9")
    with pytest.raises(UsageError, match="1 runs cannot be compared"):
        project.compare("last")
    project.run(upto="prepare", track=False)
    with pytest.raises(UsageError, match="no evaluation"):
        project.compare("last", "last~1")


def test_runs_of_different_tasks_are_refused(project: Project) -> None:
    from bessemer.report.compare import Side

    found = Side(project.show("last~1").to_json(), *project._made(project.show("last~1")))

    class Other(Side):
        def json(self, kind: str) -> Any:
            return {**super().json(kind), "task": "regression"}

    with pytest.raises(UsageError, match="different tasks"):
        comparison([found, Other(found.facts, found.artifacts, found.settings)])


def test_the_command(project: Project, tmp_path: Path) -> None:
    from bessemer.cli.report import command

    runs = [run.id for run in project.runs() if run.metric][:2]
    output = tmp_path / "new folder" / "both.html"
    asked = [*runs, "--project", str(project.folder), "-o", str(output), "--json"]
    done = CliRunner().invoke(command, asked, catch_exceptions=False)
    assert json.loads(done.output)["report"] == str(output)
    assert [run["run"] for run in json.loads(done.output)["runs"]] == runs
    assert output.read_text("utf-8").startswith("<!doctype html>")
    said = CliRunner().invoke(command, [*runs, "--project", str(project.folder)], catch_exceptions=False)
    assert runs[0] in said.output
    assert (project.folder / "build" / f"compare-{runs[0]}-{runs[1]}.html").exists()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page(browser: Any, view: dict[str, Any], tmp_path: Path, width: int, scheme: str) -> None:
    file = tmp_path / "compare.html"
    file.write_text(page_of(view), "utf-8")
    here = Opened(browser, file, viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert here.views() == ["overview", "metrics", "slices", "why", "data", "making"]
    for name in here.views():
        here.go(name)
        text = here.page.locator(f"#view-{name}").inner_text()
        assert len(text) > 60
        assert not {"NaN", "undefined", "[object"} & set(text.replace(",", " ").split())
        assert not here.too_wide()
        assert not here.faults(axe_source())
    here.go("slices")
    assert HOSTILE in here.page.locator("#slices").inner_text()
    here.quiet()
    here.close()
