"""`bessemer show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bessemer.core.run import Run


@click.command()
@click.argument("runs", nargs=-1)
@click.option(
    "--project", type=click.Path(path_type=Path), default=Path(), help="The project file or its folder."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def command(runs: tuple[str, ...], project: Path, as_json: bool) -> None:
    """Show RUNS (the latest by default): stages, times, what came from the cache, metrics, side by side."""
    from bessemer.api import Project
    from bessemer.cli._console import print_json

    loaded = Project(project)
    found = [loaded.show(name) for name in runs or ("latest",)]
    if as_json:
        print_json([run.to_json() for run in found])
        return
    _stages(found)
    _metrics(found)
    _words(found)


def _table(first: str, found: list[Run]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for run in found:
        table.add_column(run.id, justify="right" if len(found) > 1 else "left", overflow="fold")
    return table


def _stages(found: list[Run]) -> None:
    from rich.markup import escape

    from bessemer.cli._console import out, seconds

    table = _table("stage", found)
    names = list(dict.fromkeys(stage.stage for run in found for stage in run.stages))
    for name in names:
        cells = []
        for run in found:
            stage = next((s for s in run.stages if s.stage == name), None)
            if stage is None:
                cells.append("")
            elif stage.status == "cached":
                cells.append("[dim]cached[/]")
            else:
                why = f"  [dim]{escape(stage.why)}[/]" if len(found) == 1 else ""
                colour = "red" if stage.status == "failed" else "default"
                cells.append(f"[{colour}]{seconds(stage.seconds)}[/]  {stage.peak_mb:,.0f} MB{why}")
        table.add_row(name, *cells)
    table.add_row("[bold]total[/]", *(f"[bold]{seconds(run.seconds)}[/]  {run.status}" for run in found))
    out.print(table)


def _metrics(found: list[Run]) -> None:
    from bessemer.cli._console import out

    names = list(dict.fromkeys(name for run in found for name in run.metrics))
    if not names:
        return
    table = _table("metric", found)
    for name in names:
        cells = []
        for run in found:
            m = run.metrics.get(name)
            cells.append(f"{m['value']:.4f} [dim]\\[{m['low']:.4f}, {m['high']:.4f}][/]" if m else "")
        table.add_row(name, *cells)
    out.print()
    out.print(table)


def _words(found: list[Run]) -> None:
    """Notes, errors and files; of a single run only, they would not fit side by side."""
    from rich.markup import escape

    from bessemer.cli._console import near, out

    if len(found) > 1:
        return
    (run,) = found
    notes = [(stage.stage, note) for stage in run.stages for note in stage.notes]
    if notes:
        out.print()
    for stage, note in notes:
        colour = "yellow" if note["kind"] == "warning" else "dim"
        out.print(f"[{colour}]{stage:>9}[/]  {escape(note['text'])}", soft_wrap=True)
    if run.data:
        out.print(f"\ndata     snapshot {run.data['snapshot']}, from {run.data['from']}")
    if run.error:
        out.print(f"\n[red]{escape(run.error)}[/]", soft_wrap=True)
    if run.report:
        out.print(f"\nreport   {near(run.report)}", soft_wrap=True)
    if run.package:
        out.print(f"package  {near(run.package)}", soft_wrap=True)
        out.print(f"\nnext: [bold]bessemer serve {near(run.package)}[/]", soft_wrap=True)
