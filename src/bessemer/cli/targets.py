"""`bessemer targets`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.group(invoke_without_command=True)
@click.option("--package", "-p", help="Say of each target whether it carries this package.")
@click.option("--key", type=click.Path(path_type=Path), help="A public key file to trust for the package.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_context
def command(ctx: click.Context, package: str | None, key: Path | None, as_json: bool) -> None:
    """List what packages can be exported to: whether its tools are there, and whether it carries a package."""
    if ctx.invoked_subcommand is not None:
        return
    from bessemer.api.exporting import targets
    from bessemer.cli._console import out, print_json, rows_table

    found = targets(package, key=key)
    if as_json:
        print_json(found)
        return
    out.print(rows_table([_row(one) for one in found]))
    out.print()
    out.print("next: [bold]bessemer export PACKAGE --to TARGET[/]")


def _row(one: dict[str, Any]) -> dict[str, Any]:
    row = {"target": one["name"], "what": one["summary"], "tools": "there" if one["ready"] else one["needs"]}
    if "carries" in one:
        row["carries it"] = "yes" if not one["carries"] else f"no: {one['carries']}"
    return row


@command.command()
@click.argument("name", metavar="TARGET")
def install(name: str) -> None:
    """Install what TARGET needs in an environment of its own (`all`: of every target)."""
    from rich.markup import escape

    from bessemer.api.exporting import install as make
    from bessemer.cli._console import out
    from bessemer.cli._progress import Lines

    with Lines() as tell:
        folders = make(name, tell=tell)
    for folder in folders:
        out.print(f"[green]✓[/] {escape(str(folder))}", soft_wrap=True)
    if not folders:
        out.print(f"{escape(name)} needs nothing besides what is installed")


@command.command()
@click.argument("name", metavar="TARGET")
def remove(name: str) -> None:
    """Remove the environment of TARGET (`all`: every one)."""
    from bessemer.api.exporting import remove as drop
    from bessemer.cli._console import out

    found = drop(name)
    out.print(f"removed: {', '.join(found)}" if found else "there was none")
