"""`bessemer report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bessemer.api import Project


@click.command()
@click.argument("runs", nargs=-1)
@click.option(
    "--project", type=click.Path(path_type=Path), default=Path(), help="The project file or its folder."
)
@click.option("--open", "open_it", is_flag=True, help="Open it in the browser.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it to this file.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print a JSON object; of several runs all that the page has."
)
def command(runs: tuple[str, ...], project: Path, open_it: bool, output: Path | None, as_json: bool) -> None:
    """Say where the report of the last run is; write that of a RUN, or one of several RUNS side by side.

    A run is its id or the beginning of it, `last`, or `last~1` for the one before.
    """
    from bessemer.api import Project
    from bessemer.cli._console import near, out, print_json

    loaded = Project(project)
    if len(runs) > 1:
        found, shown = _compared(loaded, runs, output)
    else:
        found = _written(loaded, runs[0], output) if runs else _last(loaded, output)
        shown = {}
    if as_json:
        print_json({"report": str(found), **shown})
    else:
        if shown:
            from bessemer.report.compare import summary

            out.print(summary(shown).replace("; ", "\n"), soft_wrap=True, markup=False)
        out.print(near(found), soft_wrap=True)
    if open_it:
        click.launch(found.resolve().as_uri())


def _last(project: Project, output: Path | None) -> Path:
    """The report that the newest run with one has left in the build folder."""
    from bessemer.core.errors import UsageError

    found = next((run.report for run in project.runs() if run.report and run.report.exists()), None)
    if found is None:
        raise UsageError("no run of this project has made a report yet", fix="bessemer run")
    return _put(output, found.read_text("utf-8")) if output else found


def _written(project: Project, run: str, output: Path | None) -> Path:
    name = f"report-{project.show(run).id}.html"
    return _put(output or _build(project) / name, project.report(run))


def _compared(project: Project, runs: tuple[str, ...], output: Path | None) -> tuple[Path, dict[str, Any]]:
    from bessemer.report.compare import page_of

    view = project.compare(*runs)
    name = "compare-" + "-".join(run["run"] for run in view["runs"]) + ".html"
    return _put(output or _build(project) / name, page_of(view)), view


def _build(project: Project) -> Path:
    from bessemer.api import BUILD

    return project.folder / BUILD


def _put(path: Path, page: str) -> Path:
    from bessemer.core.errors import EnvironmentFault
    from bessemer.core.store import write_atomic

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {error.strerror}", fix="--output FILE") from None
    write_atomic(path, page.encode("utf-8"))
    return path
