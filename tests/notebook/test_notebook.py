"""Notebooks run from the first cell to the last, and results show themselves in them."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner

from bessemer.api import Project
from bessemer.core.errors import UsageError
from bessemer.core.rich_html import card, table
from bessemer.core.run import Run
from bessemer.notebook import notebook

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))
HOSTILE = '<img src=x onerror="alert(1)">'


def executed(path: Path, folder: Path) -> Any:
    """The notebook with its outputs, run by this Python in a folder."""
    from nbclient import NotebookClient

    read = nbformat.read(path, as_version=4)
    nbformat.validate(read)
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(read, timeout=900, startup_timeout=300, kernel_name="python3", resources=where)
    return client.execute()


def shown(read: Any) -> list[str]:
    """The HTML of every output that has some."""
    outputs = [output for cell in read.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output["data"]["text/html"] for output in outputs if "text/html" in output.get("data", {})]


class Checked(HTMLParser):
    """Elements that are closed in order, and no scripts or addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {
            "div",
            "strong",
            "span",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "details",
            "summary",
        }
        assert {name for name, _ in attrs} <= {"style"}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_run(path: Path, tmp_path: Path) -> None:
    made = shown(executed(path, tmp_path))
    assert len(made) >= 2
    assert all(len(Checked(html).rawdata) == 0 and len(html) < 20_000 for html in made)


def test_the_examples_are_kept_without_outputs() -> None:
    assert [path.stem for path in EXAMPLES] == ["first-model", "two-runs"]
    for path in EXAMPLES:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in cells)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    import numpy as np

    folder = tmp_path_factory.mktemp("it's a folder")
    rng = np.random.default_rng(2)
    lines = [f"x,plan {HOSTILE.replace(',', '')},y"]
    lines += [
        f"{x:.3f},{'a' if x > 0.3 else HOSTILE.replace(chr(34), '')},{3 * x + rng.normal():.3f}"
        for x in rng.normal(size=300)
    ]
    (folder / "data.csv").write_text("\n".join(lines).replace('"', "'") + "\n", "utf-8")
    spec = {
        "name": "small",
        "data": "data.csv",
        "target": "y",
        "train": {"learner": "linear"},
        "evaluate": {"replicates": 20, "gates": {"beats": ["constant"]}},
        "explain": {"rows": 50, "explainers": ["contributions"]},
    }
    (folder / "bessemer.yaml").write_text(json.dumps(spec), "utf-8")
    made = Project(folder)
    made.run(track=False)
    return made


@pytest.mark.slow
def test_a_notebook_of_a_run_runs_where_it_was_written(project: Project, tmp_path: Path) -> None:
    from bessemer.cli.notebook import command

    path = tmp_path / "deeper" / "mine.ipynb"
    asked = ["--project", str(project.folder), "-o", str(path), "--json"]
    done = CliRunner().invoke(command, asked, catch_exceptions=False)
    assert json.loads(done.output) == {"notebook": str(path), "run": project.show().id}
    first = path.read_bytes()
    with pytest.raises(UsageError, match="is there already"):
        CliRunner().invoke(command, asked, catch_exceptions=False)
    CliRunner().invoke(command, [*asked, "--force"], catch_exceptions=False)
    assert path.read_bytes() == first
    read = executed(path, path.parent)
    html = shown(read)
    assert len(html) == 3
    assert all(Checked(one) for one in html)
    values = "\n".join(
        o["data"]["text/plain"] for c in read.cells if c.cell_type == "code" for o in c.outputs if "data" in o
    )
    assert "rmse" in values
    assert "prediction" in values


def test_only_what_the_run_made_is_in_it() -> None:
    code = "".join(notebook("p", ".", "r", {"splits", "history"}))
    assert "bessemer.load" not in code
    assert "leaderboard" in code
    with pytest.raises(UsageError, match="split its data"):
        notebook("p", ".", "r", {"raw"})


@pytest.mark.slow
def test_results_show_themselves(project: Project) -> None:
    import bessemer

    run = project.show()
    model = bessemer.load(run.package)
    things = [project, run, model, model.signature, project.artifact("splits")]
    for thing in things:
        html = thing._repr_html_()
        Checked(html)
        assert len(html) < 20_000
        assert "<img" not in html
        assert "script" not in re.sub(r"description", "", html)
    assert "rmse" in run._repr_html_()
    assert "plan" in model._repr_html_()
    assert repr(run) == str(run)
    assert len(repr(run)) < 150
    assert run.id in project._repr_html_()
    assert "small" in repr(project)


def test_a_run_that_failed_says_why() -> None:
    run = Run(id="r", project="p", status="failed", started="", error=f"it broke: {HOSTILE}")
    html = run._repr_html_()
    Checked(html)
    assert "it broke" in html
    assert HOSTILE not in html


def test_tables_are_escaped_and_cut() -> None:
    from bessemer.core.rich_html import text

    html = card(HOSTILE, [(HOSTILE, text(HOSTILE))], table([HOSTILE], [[text(i)] for i in range(100)]))
    Checked(html)
    assert "<img" not in html
    assert "and 40 more" in html
