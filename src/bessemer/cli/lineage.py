"""`bessemer lineage`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("artifact", default="package")
@click.option(
    "--run", default="latest", show_default=True, help="Of which run; the beginning of its name is enough."
)
@click.option(
    "--project", type=click.Path(path_type=Path), default=Path(), help="The project file or its folder."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def command(artifact: str, run: str, project: Path, as_json: bool) -> None:
    """Show what an ARTIFACT (`package` by default) was made from: stages, inputs, settings, sources."""
    from dataclasses import asdict

    from rich.table import Table

    from bessemer.api import Project
    from bessemer.cli._console import out, print_json

    steps = Project(project).lineage(artifact, run)
    if as_json:
        print_json([asdict(step) for step in steps])
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("stage", "took", "gave", "read from outside"):
        table.add_column(name, overflow="fold")
    for step in steps:
        table.add_row(
            f"[bold]{step.stage}[/]" + (f" [dim]{step.snapshot}[/]" if step.snapshot else ""),
            "\n".join(f"{name} [dim]{digest[:12]}[/]" for name, digest in step.inputs.items()) or "-",
            "\n".join(f"{name} [dim]{digest[:12]}[/]" for name, digest in step.outputs.items()),
            "\n".join(f"{name} [dim]{str(print_)[:12]}[/]" for name, print_ in step.reads.items()),
        )
    out.print(table)
    out.print("\nnext: [bold]bessemer lineage --json[/] has the settings and versions of each stage")
