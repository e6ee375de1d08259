"""`bessemer monitor show`: the windows that are kept, one a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bessemer.monitor.store import Kept

_HEAD = ("window", "rows", "labels", "metric", "measured", "estimated")
_TO_THE_RIGHT = ("rows", "labels")


@click.command("show")
@click.argument("package")
@click.option("--model", default="", help="The model's name at the server, where it is not the package's.")
@click.option(
    "--store", type=click.Path(path_type=Path), help="Where it is kept.  [default: .bessemer/monitor.db]"
)
@click.option("--since", metavar="WHEN", help="Only since then: 2026-01-31, 2026-01-31T12:00, or 2h, 7d ago.")
@click.option("--key", type=click.Path(path_type=Path), help="A public key file to trust.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def show_command(
    package: str, model: str, store: Path | None, since: str | None, key: Path | None, as_json: bool
) -> None:
    """Show what was kept of PACKAGE, window after window: rows, labels, performance with its interval, findings."""
    from bessemer.cli._console import print_json
    from bessemer.cli.monitor import _settings
    from bessemer.core.errors import UsageError
    from bessemer.monitor.store import MonitorStore
    from bessemer.monitor.watch import describe
    from bessemer.package.model import load

    path = store or Path(_settings({})[0].store)
    if not path.is_file():
        raise UsageError(
            f"no windows are kept in '{path}'", fix="bessemer monitor PACKAGE, or name the file: --store FILE"
        )
    loaded = load(package, key=key)
    name = model or loaded.name
    windows = MonitorStore(path).windows(name, loaded.version, _since(since))
    if as_json:
        print_json(
            {"model": name, "version": loaded.version, "windows": [describe(each) for each in windows]}
        )
    elif windows:
        _print(windows)
    else:
        click.echo(f"nothing is kept of {name} {loaded.version} in {path}")


def _since(text: str | None) -> str:
    """A time as the store writes it; '' where none is given."""
    import datetime as dt

    from bessemer.cli.log import moment_of

    moment = moment_of(text)
    if moment is None:
        return ""
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime.fromtimestamp(moment, dt.UTC)
    moment = moment.astimezone(dt.UTC) if moment.tzinfo else moment
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


def _print(windows: Sequence[Kept]) -> None:
    """A line a window, as long as it is, and below it a line for each column that was found."""
    from rich.markup import escape

    from bessemer.cli._console import out

    rows = [_HEAD, *(_cells(window) for window in windows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(n) if head in _TO_THE_RIGHT else cell.ljust(n)
            for cell, n, head in zip(row, widths, _HEAD, strict=True)
        )
        for row in rows
    ]
    out.print(f"[bold]{lines[0].rstrip()}[/]", soft_wrap=True)
    for window, line in zip(windows, lines[1:], strict=True):
        out.print(escape(line.rstrip()), soft_wrap=True)
        for found in _findings(window):
            out.print(f"  [red]![/] {escape(found)}", soft_wrap=True)


def _cells(window: Kept) -> tuple[str, ...]:
    told: dict[str, Any] = window.check.get("performance") or {}
    metric = str(told.get("metric", ""))
    labels = f"{told['labelled'] / max(1, told['rows']):.0%}" if told else ""
    return (
        f"{window.start[:16]} - {_end(window)}",
        f"{window.rows:,}",
        labels,
        metric,
        *(_figure(told.get(kind, {}).get(metric)) for kind in ("measured", "estimated")),
    )


def _end(window: Kept) -> str:
    """The time of day alone where the day is the same."""
    return window.end[11:16] if window.end[:10] == window.start[:10] else window.end[:16]


def _figure(found: dict[str, float | None] | None) -> str:
    """0.912 [0.901, 0.923]; - where there is none."""
    values = [found.get(name) for name in ("value", "low", "high")] if found else [None]
    if any(value is None for value in values):
        return "-"
    value, low, high = (f"{number:.4g}" for number in values if number is not None)
    return f"{value} [{low}, {high}]"


def _findings(window: Kept) -> list[str]:
    """Which columns, and by what, a line each."""
    by_column: dict[str, list[str]] = {}
    for row in window.check["findings"]:
        by_column.setdefault(row["column"], []).append(row["detector"])
    return [f"{column} ({', '.join(by)})" for column, by in by_column.items()]
