"""`bessemer export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("package")
@click.option(
    "--to", required=True, metavar="TARGET", help="What to export to: `bessemer targets` lists them."
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    help="The folder.  [default: build/export/NAME-VERSION/TARGET]",
)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the target; may be repeated."
)
@click.option(
    "--limit",
    type=click.FloatRange(0),
    help="The greatest difference that is no fault.  [default: the target's]",
)
@click.option("--rows", help="Rows to compare on besides the package's own: any source that a project takes.")
@click.option("--key", type=click.Path(path_type=Path), help="A public key file to trust for the package.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(
    package: str,
    to: str,
    out: Path | None,
    settings: tuple[str, ...],
    limit: float | None,
    rows: str | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Write PACKAGE in another runtime's format, run it there, and hold it against the package.

    Beyond the limit nothing is written. EXPORT.json in the folder says what was compared, and how it came out.
    """
    from bessemer.api.exporting import export
    from bessemer.cli._console import print_json
    from bessemer.cli._progress import Lines

    with Lines() as tell:
        folder, told = export(
            package, to, out, settings=_settings(settings), limit=limit, rows=rows, key=key, tell=tell
        )
    if as_json:
        print_json({"folder": str(folder), **told})
        return
    _show(folder, told)


def _settings(given: tuple[str, ...]) -> dict[str, Any]:
    import yaml

    from bessemer.core.errors import UsageError

    found = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UsageError(f"--set {text}: write NAME=VALUE", fix="--set quantise=int8")
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {text} cannot be read", why=str(error).splitlines()[0]) from None
    return found


def _show(folder: Path, told: dict[str, Any]) -> None:
    from rich.markup import escape

    from bessemer.cli._console import out

    for name, facts in told["files"].items():
        out.print(f"  {escape(name)}  [dim]{facts['bytes']:,} bytes[/]", soft_wrap=True)
    proof = told["proof"]
    if not proof["run"]:
        out.print(f"\n[yellow]not run[/]: {escape(proof['why'])}", soft_wrap=True)
    else:
        out.print(
            f"\n[green]✓[/] {proof['rows']} rows in {escape(proof['runtime'])}: differs by at most "
            f"{proof['max_difference']:.2g} (limit {proof['limit']:g}), {proof['label_flips']} of another class",
            soft_wrap=True,
        )
        for name, value in (proof.get("measured") or {}).items():
            out.print(f"  {escape(str(name)).replace('_', ' ')}: {escape(_measured(value))}", soft_wrap=True)
    out.print(f"\nnext: {escape(str(folder / 'README.md'))} says how it is used", soft_wrap=True)


def _measured(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{str(name).replace('_', ' ')} {_measured(one)}" for name, one in value.items())
    return (
        f"{value:,.4g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
