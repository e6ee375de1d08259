"""`bessemer init`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("name")
@click.option("--data", required=True, help="A file, folder, glob or URL.")
@click.option("--target", required=True, help="The column to predict.")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Where to write it."
)
@click.option("--overwrite", is_flag=True, help="Replace a project file that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(name: str, data: str, target: str, folder: Path, overwrite: bool, as_json: bool) -> None:
    """Write a commented bessemer.yaml for NAME from what the data looks like."""
    from bessemer.api import scaffold
    from bessemer.cli._console import near, out, print_json

    path = scaffold(name, data=data, target=target, folder=folder, overwrite=overwrite)
    if as_json:
        print_json({"project": str(path)})
        return
    out.print(f"wrote {near(path)}", soft_wrap=True)
    out.print("next: read it, then [bold]bessemer run[/]")
