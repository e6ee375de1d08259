"""`bessemer validate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bessemer.contracts.checked import Checked
    from bessemer.contracts.door import Proposed


@click.command()
@click.argument("project", type=click.Path(path_type=Path), default=Path(), required=False)
@click.option(
    "--page", type=click.Path(path_type=Path, dir_okay=False), help="Write what is found as an HTML page."
)
@click.option(
    "--accept", is_flag=True, help="Show how the contract has to change so that these data keep it."
)
@click.option("--yes", is_flag=True, help="With --accept: write the change, and remember the snapshot.")
@click.option(
    "--column", "columns", multiple=True, metavar="NAME", help="With --accept: change this column only."
)
@click.option("--wait", metavar="TIME", default="0s", show_default=True, help="Wait for another run, as 10m.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    project: Path,
    page: Path | None,
    accept: bool,
    yes: bool,
    columns: tuple[str, ...],
    wait: str,
    as_json: bool,
) -> None:
    """Read the data of PROJECT and hold it to its contract: what is broken, how often, since when.

    The exit code is 3 where a run would stop. With --accept nothing is written unless --yes is there too.
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
    if (yes or columns) and not accept:
        raise UsageError("--yes and --column are for --accept", fix="bessemer validate --accept")
    if accept and page:
        raise UsageError(
            "--page shows what is found, --accept changes the contract", fix="leave one of them out"
        )
    loaded, console = Project(project), err if as_json else out
    if accept:
        with view(console, as_json) as sink:
            proposed = loaded.contract.propose(columns=columns, wait=patience, sinks=[sink])
        if yes:
            loaded.contract.accept(proposed)
        if as_json:
            print_json({**proposed.to_json(), "written": yes})
        else:
            _show_change(proposed, written=yes)
        return
    with view(console, as_json) as sink:
        checked = loaded.contract.check(wait=patience, sinks=[sink])
    if page:
        _write(page, checked)
    if as_json:
        print_json(checked.to_json())
    else:
        _show(checked, page)
    if not checked.passed:
        sys.exit(3)


def _write(page: Path, checked: Checked) -> None:
    from bessemer.contracts.page import page_of
    from bessemer.core.errors import EnvironmentFault
    from bessemer.core.store import write_atomic

    try:
        page.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"cannot write {page}: {error.strerror}", fix="--page FILE") from None
    write_atomic(page, page_of(checked).encode("utf-8"))


def _show(checked: Checked, page: Path | None) -> None:
    from bessemer.cli._console import near, out, rows_table
    from bessemer.contracts.page import summary

    rows = [
        {
            "": finding.severity,
            "rule": finding.rule,
            "column": finding.column,
            "rows": finding.rows,
            "share": "" if finding.share is None else f"{finding.share:.2%}",
            "since": str(checked.since.get(finding.name, {}).get("time", checked.time))[:16].replace(
                "T", " "
            ),
            "such as": finding.says or ", ".join("NULL" if v is None else v for v in finding.samples),
        }
        for finding in checked.findings
    ]
    if rows:
        out.print(rows_table(rows))
    out.print(("\n" if rows else "") + summary(checked), soft_wrap=True, markup=False)
    if checked.fix:
        out.print(f"fix: {checked.fix}", style="green", soft_wrap=True, markup=False)
    if page:
        out.print(f"page {near(page)}", soft_wrap=True, markup=False)
    if checked.inferred:
        out.print(f"next: review [bold]{checked.contract}[/] and commit it", soft_wrap=True)
    elif checked.findings:
        out.print("next: [bold]bessemer validate --accept[/] shows what would change in the contract")
    else:
        out.print("next: [bold]bessemer run[/]")


def _show_change(proposed: Proposed, *, written: bool) -> None:
    from bessemer.cli._console import out

    styles = {"+": "green", "-": "red", "@": "cyan"}
    for line in proposed.diff.splitlines():
        out.print(line, style=styles.get(line[:1], ""), markup=False, soft_wrap=True)
    snapshot = f"{proposed.accepted.rows:,} rows"
    if not proposed.diff:
        out.print(f"{proposed.file} stays as it is", markup=False)
    if written:
        out.print(f"written; the snapshot of {snapshot} is what later ones are compared with", markup=False)
        out.print("next: [bold]git diff[/], [bold]bessemer validate[/]")
    else:
        out.print(f"nothing is written yet: [bold]bessemer validate --accept --yes[/] accepts the {snapshot}")
