"""Runs side by side: what differs is found, differences are paired where the rows are, and the page shows it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Opened, axe_source
from click.testing import CliRunner

from bessemer.api import Project
from bessemer.core import canonical
from bessemer.core.artifact import Artifact
from bessemer.core.errors import UsageError
from bessemer.core.store import Store
from bessemer.report.compare import Side, comparison, page_of
from bessemer.report.compare_data import data_differences
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
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, list[str]]:
    """Three runs up to the report: another setting in the second, more data in the third."""
    folder = tmp_path_factory.mktemp("compared")
    ids = []
    for rows, rounds in ((400, 3), (400, 40), (500, 40)):
        write(folder, rows, rounds)
        project = Project(folder)
        ids.append(project.run(upto="report", track=False).id)
    return project, ids


@pytest.fixture(scope="module")
def project(made: tuple[Project, list[str]]) -> Project:
    return made[0]


@pytest.fixture(scope="module")
def view(made: tuple[Project, list[str]]) -> dict[str, Any]:
    """By their ids: runs of the same second have no order, and so no `last~1`."""
    return made[0].compare(*made[1])


@pytest.mark.slow
def test_settings_and_data_that_differ(view: dict[str, Any]) -> None:
    assert view["settings"] == [{"setting": "train.rounds", "values": [3, 40, 40]}]
    assert not view["data"]["same"]
    assert [rows["raw"] for rows in view["data"]["rows"]] == [400, 400, 500]
    changed = {column["name"]: column["runs"] for column in view["data"]["columns"]}
    assert "mean" in changed["tenure"][2]
    assert changed["tenure"][0] == changed["tenure"][1] != changed["tenure"][2]


@pytest.mark.slow
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


@pytest.mark.slow
def test_what_is_certain_is_said_in_the_metric_s_own_direction(view: dict[str, Any]) -> None:
    """Forty rounds are better than three in the log loss, whose lower values are better."""
    row = next(row for row in view["metrics"]["rows"] if row["metric"] == "log_loss")
    assert not row["greater_is_better"]
    assert row["differences"][1]["value"] < 0
    assert row["differences"][1]["verdict"] == "better"


@pytest.mark.slow
def test_a_run_against_itself_differs_in_nothing(project: Project) -> None:
    found = project.compare("last", "last~0")
    assert found["settings"] == []
    assert found["data"]["same"]
    assert found["data"]["columns"] == []
    gaps = [row["differences"][1] for row in found["metrics"]["rows"]]
    assert all(gap["value"] == gap["low"] == gap["high"] == 0 for gap in gaps)
    assert {gap["verdict"] for gap in gaps} == {"not told apart"}


@pytest.mark.slow
def test_the_other_tables(view: dict[str, Any], project: Project) -> None:
    assert {row["group"] for row in view["importance"][0]["rows"]} == {"tenure", HOSTILE}
    assert {row["value"] for row in view["slices"]} == {"a", "b"}
    assert all(len(row["runs"]) == 3 for row in view["slices"] + view["timings"] + view["gates"])
    assert [rows[0]["learner"] for rows in view["leaderboard"]]
    assert page_of(view) == page_of(project.compare(*[run["run"] for run in view["runs"]]))
    canonical.dumps(view)


def test_settings_of_any_shape() -> None:
    one: dict[str, Any] = {"train": {"params": {"a": [1, 2]}, "x": {}}, "report": {"theme": "dark"}}
    two: dict[str, Any] = {"train": {"params": {"a": [1, 3], "b": None}}, "report": {"theme": "light"}}
    assert settings_differences([one, two]) == [{"setting": "train.params.a", "values": [[1, 2], [1, 3]]}]


@pytest.mark.slow
def test_errors_name_the_nearest_runs(project: Project) -> None:
    last = project.show().id
    with pytest.raises(UsageError) as caught:
        project.compare(last, last[:-1] + "zz")
    assert last in str(caught.value)
    with pytest.raises(UsageError, match="no run 'last~9'"):
        project.compare("last", "last~9")
    with pytest.raises(UsageError, match="1 runs cannot be compared"):
        project.compare("last")
    unjudged = project.run(upto="prepare", track=False).id
    with pytest.raises(UsageError, match="no evaluation"):
        project.compare(last, unjudged)


def judged(project: Project) -> Side:
    """A run that has an evaluation, whatever else was run since."""
    run = next(run for run in project.runs() if run.metric)
    return Side(run.to_json(), *project._made(run))


@pytest.mark.slow
def test_runs_of_different_tasks_are_refused(project: Project) -> None:
    found = judged(project)

    class Other(Side):
        def json(self, kind: str) -> Any:
            return {**super().json(kind), "task": "regression"}

    with pytest.raises(UsageError, match="different tasks"):
        comparison([found, Other(found.facts, found.artifacts, found.settings)])


@pytest.mark.slow
@pytest.mark.parametrize(("what", "value"), [("target", "another"), ("classes", ["no", "maybe"])])
def test_runs_that_predict_something_else_are_refused(project: Project, what: str, value: Any) -> None:
    found = judged(project)
    splits = found.artifacts["splits"]
    other = replace(splits, meta={**splits.meta, what: value})
    with pytest.raises(UsageError, match=f"different {what}"):
        comparison([found, Side(found.facts, {**found.artifacts, "splits": other}, found.settings)])


def test_a_value_that_few_rows_have_is_not_named(tmp_path: Path) -> None:
    """The commonest value of a column in which all differ is that of one row."""
    store = Store(tmp_path)

    def side(distinct: int, top: list[list[Any]]) -> dict[str, Artifact]:
        facts = {"columns": {"mail": {"dtype": "VARCHAR", "distinct": distinct, "top": top}}}
        ref = store.put("statistics", {"statistics.json": canonical.dump_bytes(facts)}, {"rows": 9})
        return {"statistics": store.get(ref)}

    found = data_differences(
        [side(9, [["ann@secret.example", 1]]), side(8, [["bob@secret.example", 9]]), side(7, [["-", 10]])]
    )
    assert [facts.get("top") for facts in found["columns"][0]["runs"]] == [None, None, "-"]
    assert "secret" not in json.dumps(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sql", "postgres://me:hunter2@host/shop"),
        ("sql", "postgres://me:a@hunter2@host/shop"),
        ("csv", "https://host/a.csv?x=1&sig=hunter2"),
        ("dsn", "Server=host;Password=hunter2;Port=1"),
        ("password", "hunter2"),
        ("api_key", "hunter2"),
        ("urls", ["https://me:hunter2@host/a", {"token": "hunter2"}]),
    ],
)
def test_settings_are_shown_without_passwords(name: str, value: Any) -> None:
    one = {"acquire": {"sources": {"data": {name: value}}}}
    two = {"acquire": {"sources": {"data": {name: "${NAME}"}}}}
    rows = settings_differences([one, two])
    assert "hunter2" not in json.dumps(rows)
    assert "***" in json.dumps(rows)
    assert rows[0]["values"][1] == "${NAME}"


@pytest.mark.slow
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


@pytest.mark.slow
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
