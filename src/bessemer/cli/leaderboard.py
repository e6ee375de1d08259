"""`bessemer leaderboard`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

#: Columns of a terminal that has room for notes.
_WIDE = 110
_PIPED = 200


@click.command()
@click.argument("run", default="latest")
@click.option(
    "--project", type=click.Path(path_type=Path), default=Path(), help="The project file or its folder."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(run: str, project: Path, as_json: bool) -> None:
    """Show all models that RUN (the latest by default) has tried: score, weight, times, size, settings."""
    from rich.console import Console

    from bessemer.api import Project
    from bessemer.cli._console import out, print_json

    board = Project(project).leaderboard(run)
    if as_json:
        print_json(board)
        return
    # a pipe has no width: what reads it wants each model on a line of its own
    wide = out if out.is_terminal else Console(highlight=False, width=_PIPED)
    wide.print(_table(board["rows"], out.width))
    for line in _words(board):
        out.print(line, soft_wrap=True)
    out.print("\nnext: [bold]bessemer leaderboard --json[/] has every parameter")


def _table(rows: list[Mapping[str, Any]], width: int) -> Any:
    """As wide as the terminal allows: the notes, which `--json` has too, only where there is room for them."""
    from rich.markup import escape
    from rich.table import Table

    noted = width >= _WIDE
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("model", overflow="fold")
    for name in (f"{rows[0]['metric']}, 95 %", "weight", "fit", "a row", "size"):
        table.add_column(name, justify="right", no_wrap=True)
    if noted:
        table.add_column("", overflow="fold")
    for row in rows:
        style = "bold green" if row["chosen"] else "default"
        table.add_row(
            f"[{style}]{escape(row['learner'])}[/]",
            f"[{style}]{_figure(row['value'])}[/][dim]{_spread(row)}[/]",
            f"{row['weight']:.0%}" if row.get("weight") else "",
            _seconds(row["fit_seconds"]),
            _microseconds(row["predict_microseconds"]),
            "" if row["bytes"] is None else f"{row['bytes'] / 1e6:.1f} MB",
            *([f"[dim]{escape(row['note'])}[/]"] if noted else []),
        )
    return table


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _spread(row: Mapping[str, Any]) -> str:
    """Half the interval, as in 0.9301 ± 0.0034: two digits of it."""
    if row["low"] is None or row["high"] is None:
        return ""
    half = (row["high"] - row["low"]) / 2
    return f" ± {half:,.0f}" if half >= 10 else f" ± {half:.2g}"


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 100 else f"{value:,.0f} s"


def _microseconds(value: float) -> str:
    return f"{value:.1f} us" if value < 100 else f"{value:,.0f} us"


def _words(board: Mapping[str, Any]) -> list[str]:
    """What AutoML used, what was left out, and, where there is no room for notes, those of what was compared with."""
    from rich.markup import escape

    from bessemer.cli._console import out

    lines, skipped = [], [one for one in board.get("compared", []) if one["why"]]
    if (found := board.get("automl")) is not None:
        kind = f"{found['folds']} folds" if found["folds"] > 1 else "one validation part"
        used = f"fitted for {found['used']:.0f} s of a budget of {found['budget']:.0f} s"
        lines.append(f"{used}; {kind} of {found['rows']:,} training rows")
        if (distilled := found.get("distilled")) is not None:
            values = (_figure(distilled[name]) for name in ("student", "ensemble"))
            lines.append("the distilled model has {} on the first fold, the ensemble {}".format(*values))
        skipped = [*found["skipped"], *skipped]
    notes = {row["learner"]: row["note"] for row in board["rows"]}
    if out.width < _WIDE:
        names = [one["learner"] for one in board.get("compared", []) if not one["why"]]
        lines += [f"[dim]{escape(name)}: {escape(notes[name])}[/]" for name in names]
    for one in skipped:
        needed = one.get("needed_seconds")
        more = "" if needed is None else f"; it would have needed about {needed:.0f} s"
        lines.append(f"[dim]left out  {escape(one['learner'])}: {escape(one['why'])}{more}[/]")
    return ["", *lines] if lines else []
