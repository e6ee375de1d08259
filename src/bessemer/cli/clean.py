"""`bessemer clean`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("project", type=click.Path(path_type=Path), default=Path(), required=False)
@click.option(
    "--keep",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Keep what this many of the latest finished runs use.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(project: Path, keep: int, dry_run: bool, as_json: bool) -> None:
    """Remove artifacts of PROJECT that none of its latest runs uses. Records of runs are kept.

    Snapshots of the data are kept by `acquire: {keep: ...}`; which stay, which go and why is listed.
    """
    from bessemer.api import Project
    from bessemer.cli._console import out, print_json

    found = Project(project).clean(keep=keep, dry_run=dry_run)
    if as_json:
        print_json(found)
        return
    verb = "would remove" if dry_run else "removed"
    out.print(f"{verb} {found['artifacts']} artifacts, {found['bytes'] / 2**20:,.1f} MB")
    for each in found["snapshots"]:
        names = f" ({', '.join(each['names'])})" if each["names"] else ""
        said = "keep  " if each["kept"] else "remove"
        style = "dim" if each["kept"] else "default"
        text = f"  {said} snapshot {each['snapshot']}{names}, {each['rows']:,} rows: {each['why']}"
        out.print(text, style=style, soft_wrap=True)
    out.print("next: [bold]bessemer runs[/]")
