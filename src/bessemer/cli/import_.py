"""`bessemer import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bessemer.api import Imported


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--from", "tool", default="", metavar="TOOL", help="ludwig or igel; found from the file's keys."
)
@click.option("--data", default="", help="Where the data is: a file, folder, glob or URL.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("bessemer.yaml"),
    help="The project file to write.",
)
@click.option("--force", is_flag=True, help="Replace a project file that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(file: Path, tool: str, data: str, output: Path, force: bool, as_json: bool) -> None:
    """Turn FILE, a project file of Ludwig or igel, into a bessemer.yaml, and list what has no counterpart."""
    from bessemer.api import import_project
    from bessemer.cli._console import near, out, print_json

    done = import_project(file, tool=tool, data=data, output=output, force=force)
    if as_json:
        print_json(done.to_json())
        return
    out.print(f"wrote {near(done.path)}", soft_wrap=True, markup=False)
    _list(done)
    project = (
        "" if done.path.name == "bessemer.yaml" and not done.path.parent.parts else f" {near(done.path)}"
    )
    out.print(f"\nnext: read it, then [bold]bessemer run{project}[/]", soft_wrap=True)


def _list(done: Imported) -> None:
    """Each setting with its lines, its value, what became of it and why."""
    from rich.markup import escape

    from bessemer.cli._console import out
    from bessemer.importers.findings import grouped, show

    for title, rows in (
        ("nearly the same", [row for row in done.findings if row.became]),
        ("without counterpart", [row for row in done.findings if not row.became]),
    ):
        groups = grouped(rows)
        if groups:
            out.print(f"\n[bold]{title}: {len(groups)}[/]")
        for group in groups:
            row = group.finding
            became = f" -> [green]{escape(row.became)}[/]" if row.became else ""
            out.print(f"  {escape(row.path)}: {escape(show(row.value))}{became}", soft_wrap=True)
            nearest = f"; nearest: {row.nearest}" if row.nearest else ""
            out.print(f"    [dim]{escape(f'{group.where}: {row.why}{nearest}')}[/]", soft_wrap=True)
