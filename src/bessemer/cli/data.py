"""`bessemer data`."""

from __future__ import annotations

from pathlib import Path

import click

from bessemer.cli._data_follow import follow_command
from bessemer.cli._data_show import JSON, PROJECT, diff_command, log_command, show_command


@click.group()
def command() -> None:
    """The snapshots of the data: list, show, compare and name them."""


for each in (log_command, show_command, diff_command, follow_command):
    command.add_command(each)


@command.command("tag")
@click.argument("ref")
@click.argument("name")
@click.option("--move", is_flag=True, help="Take the name from the snapshot that has it.")
@click.option("--remove", is_flag=True, help="Take the name away from REF instead.")
@PROJECT
@JSON
def tag_command(ref: str, name: str, move: bool, remove: bool, project: Path, as_json: bool) -> None:
    """Give the snapshot REF a NAME: it is kept until the name is taken away."""
    from bessemer.api import Project
    from bessemer.cli._console import out, print_json
    from bessemer.core.errors import UsageError

    snapshots = Project(project).snapshots
    if remove:
        if name not in (found := snapshots.find(ref)).names:
            fix = f"its names: {', '.join(found.names)}" if found.names else "it has no names"
            raise UsageError(f"{found} is not called '{name}'", fix=fix)
        snapshot = snapshots.untag(name)
    else:
        snapshot = snapshots.tag(ref, name, move=move)
    if as_json:
        print_json(snapshot.to_json())
        return
    out.print(f"{snapshot} is no longer called {name}" if remove else f"{snapshot} is now called {name}")
    out.print("next: [bold]bessemer data log[/]")
