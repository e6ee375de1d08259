"""`bessemer run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bessemer.core.run import Run


@click.command()
@click.argument("project", type=click.Path(path_type=Path), default=Path(), required=False)
@click.option("--upto", metavar="STAGE", help="Stop after this stage.")
@click.option(
    "--force",
    metavar="STAGE",
    multiple=True,
    help="Run this stage even if it is cached; `all` for every one.",
)
@click.option("--wait", metavar="TIME", default="0s", show_default=True, help="Wait for another run, as 10m.")
@click.option(
    "--data", metavar="REF", default="", help="Run on this snapshot of the data, as v3, instead of acquiring."
)
@click.option("--no-track", is_flag=True, help="Do not feed the trackers.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object: run, package, report, metrics, stages."
)
def command(
    project: Path,
    upto: str | None,
    force: tuple[str, ...],
    wait: str,
    data: str,
    no_track: bool,
    as_json: bool,
) -> None:
    """Run the flow of PROJECT (a project file or its folder; the nearest one by default).

    What is cached is not run again; a run that was killed goes on from where it stopped.
    """
    from bessemer.api import Project
    from bessemer.cli._console import err, out, print_json
    from bessemer.cli._live import view
    from bessemer.core.errors import UsageError
    from bessemer.core.spec import parse_duration

    try:
        patience = parse_duration(wait)
    except ValueError as error:
        raise UsageError(f"--wait: {error}") from None
    console = err if as_json else out
    loaded = Project(project)
    with view(console, as_json) as sink:
        run = loaded.run(upto=upto, force=force, wait=patience, sinks=[sink], track=not no_track, data=data)
    if as_json:
        print_json(run.to_json())
    else:
        _summary(run)


def _summary(run: Run) -> None:
    from bessemer.cli._console import near, out, seconds

    cached = sum(stage.status == "cached" for stage in run.stages)
    out.print(
        f"\n[bold green]done[/] in {seconds(run.seconds)}, {cached} of {len(run.stages)} stages from the cache"
    )
    if run.data:
        out.print(f"  data     snapshot {run.data['snapshot']}, from {run.data['from']}")
    if run.metric in run.metrics:
        m = run.metrics[run.metric]
        out.print(
            f"  {run.metric} [bold]{m['value']:.4f}[/] [{m['low']:.4f}, {m['high']:.4f}] on the test rows"
        )
    if run.report:
        out.print(f"  report   {near(run.report)}", soft_wrap=True)
    if run.package:
        out.print(f"  package  {near(run.package)}", soft_wrap=True)
        out.print(
            f"\nnext: [bold]bessemer serve {near(run.package)}[/], [bold]bessemer leaderboard[/]",
            soft_wrap=True,
        )
    else:
        out.print("\nnext: [bold]bessemer run[/]")
