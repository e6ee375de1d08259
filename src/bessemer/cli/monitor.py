"""`bessemer monitor`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bessemer.cli._monitor_alerts import alerts_command
from bessemer.cli._monitor_elastic import elastic_command
from bessemer.cli._monitor_rules import rules_command
from bessemer.cli._monitor_show import show_command

if TYPE_CHECKING:
    from bessemer.monitor.check import Check
    from bessemer.monitor.spec import MonitorSpec
    from bessemer.monitor.store import Kept, MonitorStore
    from bessemer.retrain.attendant import Attendant


class _Watching(click.Group):
    """`bessemer monitor PACKAGE` is `bessemer monitor watch PACKAGE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] == "--web":
            args = ["web", *args[1:]]
        named = args and (args[0] in self.commands or args[0] in ("--help", "-h"))
        return super().parse_args(ctx, args if named or not args else ["watch", *args])


@click.group(cls=_Watching)
def command() -> None:
    """Compare what a model sees with what it was made for."""


command.add_command(alerts_command)
command.add_command(elastic_command)
command.add_command(rules_command)
command.add_command(show_command)


@command.command("watch")
@click.argument("package")
@click.option(
    "--log", type=click.Path(path_type=Path), help="The prediction log; the project file's by default."
)
@click.option("--model", default="", help="The model's name at the server, where it is not the package's.")
@click.option("--every", metavar="DURATION", help="The length of a window.  [default: 1h]")
@click.option("--rows", type=click.IntRange(1), help="The fewest rows of a window.  [default: 200]")
@click.option("--false-alarms", metavar="RATE", help="While nothing changes.  [default: 1 per month]")
@click.option(
    "--store", type=click.Path(path_type=Path), help="Where it is kept.  [default: .bessemer/monitor.db]"
)
@click.option(
    "--metrics",
    metavar="[HOST:]PORT",
    help="Answer Prometheus' scrapes there; of this machine alone without HOST.",
)
@click.option(
    "--textfile", type=click.Path(path_type=Path), help="Write the metrics there: node_exporter's collector."
)
@click.option("--once", is_flag=True, help="Look at what is due and end, for a scheduler.")
@click.option(
    "--no-retrain", is_flag=True, help="Look only, whatever the project file says of training again."
)
@click.option("--key", type=click.Path(path_type=Path), help="A public key file to trust.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a window.")
def watch_command(
    package: str,
    log: Path | None,
    model: str,
    store: Path | None,
    metrics: str | None,
    textfile: Path | None,
    once: bool,
    no_retrain: bool,
    key: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Watch the prediction log of PACKAGE: look at each window once it is whole, and again when its labels have come.

    Settings that are not given are those of the nearest project file. It ends with Ctrl-C, and goes on where it was.
    """
    from bessemer.cli._monitor_watch import Watching
    from bessemer.monitor.store import MonitorStore

    spec, own = _settings({name: value for name, value in settings.items() if value is not None})
    kept, folder = MonitorStore(store or Path(spec.store)), log or Path(spec.log or own)
    attendant = None if no_retrain else _attendant(spec, kept)
    with Watching(
        spec,
        kept,
        folder,
        package,
        attendant,
        name=model,
        key=key,
        metrics=metrics,
        textfile=textfile,
        say=_say,
    ) as watching:
        watching.run(lambda window: _print_window(window, as_json), once=once)


@command.command("web")
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="Where windows are kept.  [default: .bessemer/monitor.db]",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8081, show_default=True, help="0 takes a free one."
)
def web_command(store: Path | None, host: str, port: int) -> None:
    """Show a page, live, of what is kept: what is served, performance, drift, findings and what to do about each.

    `bessemer monitor --web` is the same. It reads only; `bessemer monitor watch` looks at the log.
    """
    from bessemer.cli._console import out
    from bessemer.web.server import MonitorServer
    from bessemer.web.state import Stores

    spec, _ = _settings({})
    with MonitorServer(Stores(store or Path(spec.store)), host, port) as server:
        out.print(f"the monitor is at [bold]{server.url}[/]; Ctrl-C ends it", soft_wrap=True)
        server.serve_forever()


def _attendant(spec: MonitorSpec, store: MonitorStore) -> Attendant | None:
    """Who trains again, where the project file says when."""
    if spec.retrain is None:
        return None
    from bessemer.api import Project
    from bessemer.retrain.attendant import Attendant
    from bessemer.retrain.retrainer import Retrainer

    return Attendant(Retrainer(Project(), store), store)


def _settings(given: dict[str, Any]) -> tuple[MonitorSpec, str]:
    """The settings of the nearest project file, those that were given instead, and where its prediction log is."""
    from pydantic import ValidationError

    from bessemer.core.errors import ProjectError, UsageError
    from bessemer.core.project_file import find
    from bessemer.monitor.spec import MonitorSpec
    from bessemer.serve.log.spec import LogSpec

    known: dict[str, Any] = {}
    log = LogSpec().folder
    try:
        file = find(Path())
    except ProjectError:
        pass
    else:
        from bessemer.api import Project

        sections = Project(file).file.sections
        known = sections["monitor"].model_dump(exclude_unset=True)
        said = getattr(sections["serve"], "log", None)
        # from whatever folder below the project it is called, it is the project's store and log
        log = str(file.parent / (said.folder if said else log))
        known["store"] = str(file.parent / sections["monitor"].store)
        if known.get("log"):
            known["log"] = str(file.parent / known["log"])
        known["suspects"] = _suspects(known.get("suspects", {}), sections["serve"], file.parent)
    try:
        return MonitorSpec.model_validate({**known, **given}), log
    except ValidationError as error:
        raise UsageError("; ".join(_fault(each) for each in error.errors())) from None


def _fault(error: Any) -> str:
    """What is wrong with an option."""
    told = error["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    given = error["input"]
    return f"--{str(error['loc'][0]).replace('_', '-')}: {told}" + (
        f", and is {given!r}" if told.startswith("should") and isinstance(given, str | int | float) else ""
    )


def _suspects(known: dict[str, Any], serve: Any, folder: Path) -> dict[str, Any]:
    """The files of suspects and of keys are the server's, where nothing else is said."""
    from bessemer.core.errors import UsageError

    access = getattr(serve, "access", None)
    found: dict[str, Any] = {}
    if access is not None and access.suspects is not None:
        found["file"] = str(folder / access.suspects.file)
    if access is not None and access.keys is not None and access.keys.file is not None:
        found["keys"] = str(folder / access.keys.file)
    wanted = {**found, **known}
    renewed = access is None or access.jwt is not None or "keys" in wanted
    if "step_up" in known.get("actions", {}).values() and not renewed:
        raise UsageError(
            "nobody could end `monitor: suspects: actions: step_up`",
            why="it asks for a newer key of a key file, or a newer token: `serve: access` has neither",
            fix="give clients keys in `serve: access: keys: {file: keys.yaml}`, or take throttle",
        )
    return wanted


def _say(text: str) -> None:
    """How deliveries go, on the error stream."""
    from bessemer.cli._console import err

    err.print(text, markup=False, soft_wrap=True)


def _print_window(window: Kept, as_json: bool) -> None:
    import json

    from bessemer.cli._console import out
    from bessemer.monitor.watch import describe

    if as_json:
        sys.stdout.write(json.dumps(describe(window), ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    named = f"{window.start[:16]} - {window.end[:16]}  {window.rows:>9,} rows"
    found = window.check["findings"]
    if not found:
        out.print(f"[green]✓[/] {named}", soft_wrap=True)
    for row in found:
        out.print(
            f"[red]![/] {named}  [bold]{_plain(row['column'])}[/]: {_plain(row['text'])}", soft_wrap=True
        )


@command.command("check")
@click.argument("package")
@click.option(
    "--window", required=True, help="The rows: a file, folder, glob or URL of Parquet, CSV or JSON lines."
)
@click.option(
    "--detector",
    "detectors",
    metavar="NAME",
    multiple=True,
    help="Run this one instead of the usual; may be repeated.",
)
@click.option(
    "--false-alarm",
    metavar="SHARE",
    help="How often a window without any change may be found.  [default: the package's]",
)
@click.option("--key", type=click.Path(path_type=Path), help="A public key file to trust.")
@click.option(
    "--score", is_flag=True, help="Also predict the rows: outputs, and performance with and without labels."
)
@click.option("--exit-code", is_flag=True, help="Exit with 3 where anything is found.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def check_command(
    package: str,
    window: str,
    detectors: tuple[str, ...],
    false_alarm: str | None,
    score: bool,
    key: Path | None,
    exit_code: bool,
    as_json: bool,
) -> None:
    """Compare a table with the reference in PACKAGE once."""
    from bessemer.cli._console import print_json
    from bessemer.core.errors import UsageError
    from bessemer.core.spec import parse_share
    from bessemer.monitor.monitor import Monitor
    from bessemer.monitor.plugins import USUAL
    from bessemer.package.model import load

    try:
        share = None if false_alarm is None else parse_share(_number(false_alarm))
    except ValueError as error:
        raise UsageError(f"--false-alarm: {error}") from None
    model = load(package, key=key)
    found = Monitor(model, detectors=detectors or USUAL, false_alarm=share).check(window, score=score)
    if as_json:
        print_json({"package": f"{model.name} {model.version}", **found.to_json()})
    else:
        _print(found, f"{model.name} {model.version}")
    if exit_code and found.alarm:
        sys.exit(3)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _print(found: Check, named: str) -> None:
    from rich.table import Table

    from bessemer.cli._console import out
    from bessemer.monitor.finding import WHOLE_ROWS

    if found.alarm:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for head in ("column", "found", "statistic", "value", "threshold", "p"):
            table.add_column(head, overflow="fold")
        for row in found.findings:
            p = "fact" if row.p_value is None else f"{row.p_value:.1e}"
            limit = "" if row.threshold is None else f"{row.threshold:.4g}"
            cells = (row.column, row.text, row.statistic, f"{row.value:.4g}", limit, p)
            table.add_row(*map(_plain, cells))
        out.print(table)
        out.print()
    looked = f"{len(found.tests):,} tests on {found.rows:,} rows, against {named}"
    if not found.alarm:
        out.print(f"[green]✓[/] nothing out of the ordinary: {looked}", soft_wrap=True)
        return
    columns = len({row.column for row in found.findings} - {WHOLE_ROWS})
    what = f"{columns} column{'s' * (columns != 1)}" if columns else "rows as a whole are"
    out.print(f"[red]{what} out of the ordinary[/]: {looked}", soft_wrap=True)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
