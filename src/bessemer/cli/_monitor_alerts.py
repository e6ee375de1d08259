"""`bessemer monitor alerts`: what is open, how it stands with each receiver, and a trial."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bessemer.monitor.alerts.outbox import Outbox
    from bessemer.monitor.alerts.spec import AlertsSpec


@click.command("alerts")
@click.option("--model", help="Only alerts of this model.")
@click.option(
    "--store", type=click.Path(path_type=Path), help="Where it is kept.  [default: .bessemer/monitor.db]"
)
@click.option("--retry", is_flag=True, help="Send again what was set aside, and at once what waits.")
@click.option(
    "--test", "trial", is_flag=True, help="Send a test notice to each receiver; exit with 6 if one fails."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def alerts_command(model: str | None, store: Path | None, retry: bool, trial: bool, as_json: bool) -> None:
    """Show which findings are open, and what each receiver has, waits for and was not given."""
    from bessemer.cli._console import print_json
    from bessemer.core.errors import UsageError
    from bessemer.monitor.alerts.outbox import Outbox
    from bessemer.monitor.store import MonitorStore

    spec, default = _settings()
    if trial:
        _try(spec, as_json)
        return
    path = store or Path(default)
    if not path.is_file():
        raise UsageError(
            f"no windows are kept in '{path}'", fix="bessemer monitor PACKAGE, or name the file: --store FILE"
        )
    outbox = Outbox(MonitorStore(path), spec)
    if retry:
        _retry(outbox)
    if as_json:
        print_json(_described(outbox, model))
    else:
        _print(outbox, model)


def _settings() -> tuple[AlertsSpec, str]:
    """Receivers and store of the nearest project file."""
    from bessemer.cli import monitor

    spec, _ = monitor._settings({})
    return spec.alerts, spec.store


def _retry(outbox: Outbox) -> None:
    from bessemer.cli._console import err
    from bessemer.monitor.alerts.courier import Couriers

    couriers = Couriers(outbox, lambda text: err.print(text, markup=False, soft_wrap=True))
    outbox.retry()
    couriers.once()


def _try(spec: AlertsSpec, as_json: bool) -> None:
    """A test notice to each receiver, past the outbox: it says what came of it, and nothing is sent later."""
    from bessemer.cli._console import out, print_json
    from bessemer.core.errors import UsageError
    from bessemer.monitor.alerts.trial import tried

    if not spec.to:
        raise UsageError("no receiver is named", fix="monitor: {alerts: [console]} in the project file")
    came = tried(spec)
    if as_json:
        print_json({"receivers": [{"receiver": label, "error": fault} for label, fault in came]})
    for label, fault in [] if as_json else came:
        mark = f"[red]✗[/] {_plain(label)}: {_plain(fault)}" if fault else f"[green]✓[/] {_plain(label)}"
        out.print(mark, soft_wrap=True)
    if any(fault for _, fault in came):
        sys.exit(6)


def _described(outbox: Outbox, model: str | None) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "open": [alert.to_json() for alert in outbox.alerts(model)],
        "receivers": [asdict(each) for each in outbox.deliveries()],
        "told": [notice.to_json() for notice in outbox.notices(model)],
    }


def _print(outbox: Outbox, model: str | None) -> None:
    from rich.table import Table

    from bessemer.cli._console import out
    from bessemer.monitor.alerts.advice import title_of

    alerts = outbox.alerts(model)
    if not alerts:
        out.print("[green]✓[/] nothing is open")
    for alert in alerts:
        named = f"[bold]{_plain(alert.model)} {_plain(alert.version)}[/]: {_plain(title_of(alert.finding))}"
        out.print(f"[red]![/] {alert.severity}  {named}", soft_wrap=True)
        out.print(
            f"    since {alert.since[:16]}, {alert.windows} windows: {_plain(alert.finding['text'])}",
            soft_wrap=True,
        )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("receiver", "delivered", "waiting", "set aside", "last fault"):
        table.add_column(head, overflow="fold")
    for each in outbox.deliveries():
        counts = (str(each.delivered), str(each.waiting), str(each.dead))
        table.add_row(_plain(each.sink), *counts, _plain(each.error))
    if table.row_count:
        out.print(table)
    if any(each.dead for each in outbox.deliveries()):
        out.print("next: bessemer monitor alerts --retry")


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape("".join(c if c.isprintable() else " " for c in text))
