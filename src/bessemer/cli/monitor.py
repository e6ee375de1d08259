"""`bessemer monitor`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bessemer.monitor.check import Check


@click.group()
def command() -> None:
    """Compare what a model sees with what it was made for."""


@command.command("check")
@click.argument("package")
@click.option(
    "--window", required=True, help="The rows: a file, folder, glob or URL of Parquet, CSV or JSON lines."
)
@click.option(
    "--detector",
    "detectors",
    metavar="NAME",
    multiple=True,
    help="Run this one instead of the usual; may be repeated.",
)
@click.option(
    "--false-alarm",
    metavar="SHARE",
    help="How often a window without any change may be found.  [default: the package's]",
)
@click.option("--key", type=click.Path(path_type=Path), help="A public key file to trust.")
@click.option(
    "--score", is_flag=True, help="Also predict the rows: outputs, and performance with and without labels."
)
@click.option("--exit-code", is_flag=True, help="Exit with 3 where anything is found.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def check_command(
    package: str,
    window: str,
    detectors: tuple[str, ...],
    false_alarm: str | None,
    score: bool,
    key: Path | None,
    exit_code: bool,
    as_json: bool,
) -> None:
    """Compare a table with the reference in PACKAGE once."""
    from bessemer.cli._console import print_json
    from bessemer.core.errors import UsageError
    from bessemer.core.spec import parse_share
    from bessemer.monitor.monitor import Monitor
    from bessemer.monitor.plugins import USUAL
    from bessemer.package.model import load

    try:
        share = None if false_alarm is None else parse_share(_number(false_alarm))
    except ValueError as error:
        raise UsageError(f"--false-alarm: {error}") from None
    model = load(package, key=key)
    found = Monitor(model, detectors=detectors or USUAL, false_alarm=share).check(window, score=score)
    if as_json:
        print_json({"package": f"{model.name} {model.version}", **found.to_json()})
    else:
        _print(found, f"{model.name} {model.version}")
    if exit_code and found.alarm:
        sys.exit(3)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _print(found: Check, named: str) -> None:
    from rich.table import Table

    from bessemer.cli._console import out

    if found.alarm:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for head in ("column", "found", "statistic", "value", "threshold", "p"):
            table.add_column(head, overflow="fold")
        for row in found.findings:
            p = "fact" if row.p_value is None else f"{row.p_value:.1e}"
            limit = "" if row.threshold is None else f"{row.threshold:.4g}"
            cells = (row.column, row.text, row.statistic, f"{row.value:.4g}", limit, p)
            table.add_row(*map(_plain, cells))
        out.print(table)
        out.print()
    looked = f"{len(found.tests):,} tests on {found.rows:,} rows, against {named}"
    if not found.alarm:
        out.print(f"[green]✓[/] nothing out of the ordinary: {looked}", soft_wrap=True)
        return
    columns = len({row.column for row in found.findings})
    out.print(f"[red]{columns} column{'s' * (columns != 1)} out of the ordinary[/]: {looked}", soft_wrap=True)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
