"""Docs are tests: what is there is in them, and their examples run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from bessemer.api.shorthand import expand
from bessemer.cli import COMMANDS
from bessemer.core import project_file
from bessemer.core.plugins import PluginTable
from bessemer.core.project_file import TopLevel
from bessemer.flow import STAGES, sections
from bessemer.train.plugins import LEARNERS

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*/README.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def page_of(name: str) -> str:
    path = ROOT / "docs" / f"{name}.md"
    assert path.is_file(), f"docs/{name}.md is missing"
    return path.read_text("utf-8")


@pytest.mark.parametrize("stage", [row.name for row in STAGES])
def test_every_stage_has_its_page_with_every_setting(stage: str) -> None:
    text = page_of(stage)
    missing = [name for name in settings(sections()[stage]) if f"`{name}" not in text]
    assert not missing, f"docs/{stage}.md does not name {missing}"


def settings(spec: type[BaseModel]) -> list[str]:
    return list(spec.model_fields)


def test_the_project_file_page_has_every_key() -> None:
    text = page_of("project-file")
    missing = [name for name in [*TopLevel.model_fields, *sections()] if f"`{name}`" not in text]
    assert not missing


def test_every_command_is_documented() -> None:
    text = page_of("cli")
    assert not [name for name in COMMANDS if f"## `bessemer {name}" not in text]


def test_every_option_of_every_command_is_documented() -> None:
    import click

    from bessemer.cli import group

    text = page_of("cli")
    context = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        options = [
            o for p in command.params if isinstance(p, click.Option) for o in p.opts if o.startswith("--")
        ]
        assert not [o for o in options if o != "--json" and o not in text], name


def tables() -> dict[str, PluginTable[Any]]:
    import importlib

    found = {}
    for file in (ROOT / "src" / "bessemer").glob("*/plugins.py"):
        if file.parent.name == "core":
            continue
        module = importlib.import_module(f"bessemer.{file.parent.name}.plugins")
        for name, value in vars(module).items():
            if isinstance(value, PluginTable):
                found[f"{file.parent.name}.{name}"] = value
    return found


def test_every_plugin_is_documented_and_loads() -> None:
    for where, table in tables().items():
        text = page_of(where.partition(".")[0])
        for name in table:
            assert f"`{name}`" in text, f"docs page of {where} does not name `{name}`"
            assert table.load(name)


def test_alerts_have_their_page_with_every_setting_and_receiver() -> None:
    from bessemer.monitor.alerts.spec import AlertsSpec
    from bessemer.monitor.plugins import SINKS

    text = page_of("alerts")
    assert not [name for name in [*settings(AlertsSpec), *SINKS] if f"`{name}`" not in text]
    for name in [name for name in SINKS if name != "elasticsearch"]:  # it has a page of its own
        missing = [each for each in settings(SINKS.load(name).Settings) if f"`{each}`" not in text]
        assert not missing, f"docs/alerts.md does not name {missing} of {name}"


def test_automl_has_its_page_with_every_setting_and_searcher() -> None:
    from bessemer.train.search.plugins import SEARCHERS
    from bessemer.train.spec import AutoMLSpec

    text = page_of("automl")
    assert not [name for name in [*settings(AutoMLSpec), *SEARCHERS] if f"`{name}`" not in text]
    assert all(SEARCHERS.load(name) for name in SEARCHERS)


@pytest.mark.parametrize("learner", list(LEARNERS))
def test_every_learner_has_its_page_with_every_parameter(learner: str) -> None:
    text = page_of(f"learners/{learner.replace('_', '-')}")
    assert not [name for name in LEARNERS.load(learner).PARAMS if f"`{name}`" not in text]


def test_every_error_code_is_documented() -> None:
    assert all(f"| {code} |" in page_of("cli") for code in (0, 1, 2, 3, 4, 5, 6, 130))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_project_file_examples_are_valid(page: Path, tmp_path: Path) -> None:
    for text in blocks(page, "yaml"):
        value = yaml.safe_load(text)
        assert isinstance(value, dict), text
        if "data" not in value and "sources" not in value.get("acquire", {}):
            text = "data: data.csv\n" + text
        if "target" not in value:
            text = "target: y\n" + text
        path = tmp_path / "bessemer.yaml"
        path.write_text(text, "utf-8")
        project_file.load(path, sections(), expand)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [p for p in PAGES if "```python\n" in p.read_text("utf-8")],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_python_examples_run(page: Path, tmp_path: Path) -> None:
    """Each page's blocks run in order, as one program in an empty folder."""
    program = "\n".join(blocks(page, "python"))
    (tmp_path / "page.py").write_text(program, "utf-8")
    done = subprocess.run(
        [sys.executable, "page.py"], cwd=tmp_path, env={**os.environ}, capture_output=True, text=True, timeout=900,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"
