"""`bessemer retrain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bessemer.retrain.records import Retraining


@click.command()
@click.argument("project", type=click.Path(path_type=Path), default=Path(), required=False)
@click.option(
    "--champion", type=click.Path(path_type=Path), help="The package to beat; the served one by default."
)
@click.option("--because", metavar="TEXT", default="asked for by hand", help="The reason, for the record.")
@click.option(
    "--cause",
    type=click.Choice(["by_hand", "schedule", "new_data", "drift", "performance"]),
    default="by_hand",
    help="What kind of reason it is, for the record.",
)
@click.option(
    "--store", type=click.Path(path_type=Path), help="Where it is written down; the monitor's by default."
)
@click.option("--no-deploy", is_flag=True, help="Compare only; deploy nothing.")
@click.option("--history", is_flag=True, help="Show what was done so far, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(
    project: Path,
    champion: Path | None,
    because: str,
    cause: str,
    store: Path | None,
    no_deploy: bool,
    history: bool,
    as_json: bool,
) -> None:
    """Train the model of PROJECT again on its data of today, and deploy it where it beats the served one.

    The comparison is on fresh rows that neither has trained on. How it is deployed stands in the project file, under
    `monitor: {retrain: {deploy: ...}}`. A call that was killed goes on where it was.
    """
    from bessemer.api import Project
    from bessemer.cli._console import err, out, print_json
    from bessemer.cli._live import view
    from bessemer.core.errors import UsageError
    from bessemer.monitor.alerts.courier import Couriers
    from bessemer.monitor.store import MonitorStore
    from bessemer.retrain.retrainer import Retrainer
    from bessemer.retrain.triggers import Reason

    loaded = Project(project)
    kept = MonitorStore(store or loaded.folder / loaded.file.sections["monitor"].store)
    retrainer = Retrainer(loaded, kept, deploying=not no_deploy)
    if history:
        _show(retrainer.records.all(loaded.name), as_json)
        return
    if champion is not None and not champion.is_file():
        raise UsageError(f"no file {champion}", fix="give --champion the path of a .bsm package")
    if (begun := retrainer.unfinished()) is not None:
        err.print(
            f"going on with {begun.version}, which was begun at {begun.begun:%Y-%m-%d %H:%M} UTC",
            soft_wrap=True,
        )
    with view(err if as_json else out, as_json) as sink:
        one = retrainer.run(Reason(cause, because), champion, [sink])  # type: ignore[arg-type]
    Couriers(retrainer.outbox, lambda text: err.print(text, markup=False, soft_wrap=True)).once()
    if as_json:
        print_json(one.to_json())
    else:
        _say(one)
    if one.outcome == "failed":
        sys.exit(1)


def _say(one: Retraining) -> None:
    from rich.markup import escape

    from bessemer.cli._console import near, out

    mark = {"failed": "[red]failed[/]", "rolled_back": "[yellow]rolled back[/]"}.get(
        one.outcome, f"[bold green]{one.outcome}[/]"
    )
    out.print(
        f"\n{mark}: {escape(one.model)} {escape(one.version)}, because {escape(one.reason)}", soft_wrap=True
    )
    out.print(f"  {escape(one.why)}", soft_wrap=True)
    if one.outcome == "ready":
        out.print(f"\nnext: [bold]bessemer deploy {near(Path(one.package))}[/]", soft_wrap=True)


def _show(records: list[Retraining], as_json: bool) -> None:
    from bessemer.cli._console import out, print_json, rows_table

    if as_json:
        print_json({"retrainings": [one.to_json() for one in records]})
        return
    rows = [
        {
            "begun": f"{one.begun:%Y-%m-%d %H:%M}",
            "version": one.version,
            "because": one.reason,
            "came": one.outcome or one.step,
            "why": one.why,
        }
        for one in records
    ]
    out.print(rows_table(rows) if rows else "nothing was trained again yet")
