"""What commands print: tables of any names and values."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from rich.console import Console

from bessemer import UsageError
from bessemer.api import Project
from bessemer.cli import clean, runs
from bessemer.cli._console import rows_table, show_error


def shown(rows: list[dict[str, object]], *, names: bool) -> list[str]:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(rows_table(rows, names=names))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_names_and_values_are_shown_as_they_are() -> None:
    assert shown([{"[red]x": "[b]1", "a_b": 2}], names=True) == ["[red]x  a_b", "[b]1    2"]
    assert shown([{"[red]x": "[b]1", "a_b": 2}], names=False) == ["[red]x  a b", "[b]1    2"]


@pytest.mark.parametrize("number", ["0", "-5"])
def test_numbers_of_runs_are_at_least_one(tmp_path: Path, number: str) -> None:
    for command, option in ((clean.command, "--keep"), (runs.command, "--limit")):
        with pytest.raises(click.BadParameter, match="not in the range"):
            command.main([str(tmp_path), option, number], standalone_mode=False)
    (tmp_path / "bessemer.yaml").write_text("data: a.csv\ntarget: y\n")
    with pytest.raises(UsageError, match="at least 1"):
        Project(tmp_path).clean(keep=int(number))


def test_what_an_error_quotes_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(UsageError("no column '\x1b[2Jage'", fix="name one of \x9b31m, höhe"))
    said = capsys.readouterr().err
    assert "\x1b[2J" not in said
    assert "\x9b" not in said
    assert "höhe" in said
