"""`bessemer flow`."""

from __future__ import annotations

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def command(as_json: bool) -> None:
    """Show the stages: what each takes, gives and does."""
    from rich.table import Table

    from bessemer.cli._console import out, print_json
    from bessemer.core.table import in_order
    from bessemer.flow import STAGES

    rows = in_order(STAGES)
    if as_json:
        print_json([{"stage": r.name, "takes": r.takes, "gives": r.gives, "does": r.does} for r in rows])
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("stage", no_wrap=True)
    for name in ("takes", "gives", "does"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(f"[bold]{row.name}[/]", ", ".join(row.takes) or "-", ", ".join(row.gives), row.does)
    out.print(table)
    out.print("\nnext: [bold]bessemer run --upto STAGE[/]")
