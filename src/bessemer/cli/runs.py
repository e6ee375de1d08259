"""`bessemer runs`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("project", type=click.Path(path_type=Path), default=Path(), required=False)
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, the newest first."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def command(project: Path, limit: int, as_json: bool) -> None:
    """List the runs of PROJECT, the newest first."""
    from rich.table import Table

    from bessemer.api import Project
    from bessemer.cli._console import out, print_json, seconds

    runs = Project(project).runs()[:limit]
    if as_json:
        print_json([run.to_json() for run in runs])
        return
    if not runs:
        out.print("no runs yet; next: [bold]bessemer run[/]")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", "started", "status", "seconds", "stages", "cached", "metric"):
        right = name in ("seconds", "stages", "cached")
        # The name of a run is typed into other commands: never cut it.
        table.add_column(name, justify="right" if right else "left", no_wrap=name in ("run", "status"))
    colours = {"done": "green", "failed": "red", "killed": "red", "interrupted": "yellow", "running": "cyan"}
    for run in runs:
        figure = run.metrics.get(run.metric)
        table.add_row(
            run.id,
            run.started.replace("T", " ").removesuffix("+00:00"),
            f"[{colours.get(run.status, 'default')}]{run.status}[/]",
            seconds(run.seconds),
            str(len(run.stages)),
            str(sum(stage.status == "cached" for stage in run.stages)),
            f"{run.metric} {figure['value']:.4f}" if figure else "",
        )
    out.print(table)
    out.print(f"\nnext: [bold]bessemer show {runs[0].id}[/]")
