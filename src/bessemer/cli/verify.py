"""`bessemer verify`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("package")
@click.option("--key", type=click.Path(path_type=Path), help="A public key file to trust for this check.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(package: str, key: Path | None, as_json: bool) -> None:
    """Check the signature, the digests, the format and the graph of PACKAGE."""
    from bessemer.api import verify
    from bessemer.cli._console import out, print_json

    found = verify(package, key=key)
    if as_json:
        print_json(found)
        return
    for check in found["checks"]:
        out.print(f"  [green]✓[/] [bold]{check['check']:<12}[/] {check['found']}", soft_wrap=True)
    out.print(f"\n{found['name']} {found['version']} is whole and signed by a trusted key")
    out.print(f"next: [bold]bessemer serve {package}[/]", soft_wrap=True)
