"""`bessemer report`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("project", type=click.Path(path_type=Path), default=Path(), required=False)
@click.option("--open", "open_it", is_flag=True, help="Open it in the browser.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Copy it to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(project: Path, open_it: bool, output: Path | None, as_json: bool) -> None:
    """Say where the report of the last run is, or open it."""
    from bessemer.api import Project
    from bessemer.cli._console import near, out, print_json
    from bessemer.core.errors import UsageError
    from bessemer.core.store import write_atomic

    found = next((run.report for run in Project(project).runs() if run.report and run.report.exists()), None)
    if found is None:
        raise UsageError("no run of this project has made a report yet", fix="bessemer run")
    if output:
        write_atomic(output, found.read_bytes())
        found = output
    if as_json:
        print_json({"report": str(found)})
    else:
        out.print(near(found), soft_wrap=True)
    if open_it:
        click.launch(found.resolve().as_uri())
