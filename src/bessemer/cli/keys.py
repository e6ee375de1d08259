"""`bessemer keys`."""

from __future__ import annotations

from pathlib import Path

import click


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show the key this user signs with and the keys that are trusted."""
    if ctx.invoked_subcommand is not None:
        return
    from bessemer.cli._console import out, print_json
    from bessemer.package import keys

    own = keys.existing_key_id()
    trusted = [keys.key_id(public) for public in keys.trusted_keys()]
    if as_json:
        print_json({"signing": own, "trusted": trusted, "folder": str(keys.config_folder())})
        return
    out.print(f"signing  {own}" + ("  (made by the first run that packages)" if own == "none" else ""))
    for name in trusted:
        out.print(f"trusted  {name}" + ("  your own" if name == own else ""))
    out.print(f"folder   {keys.config_folder()}", soft_wrap=True)
    out.print(
        "\nnext: [bold]bessemer keys export -o me.pub[/], then others: [bold]bessemer keys trust me.pub[/]"
    )


@command.command("export")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it to this file.")
def export(output: Path | None) -> None:
    """Print the public key of this user, for those who shall trust it."""
    from bessemer.cli._console import out
    from bessemer.core.store import write_atomic
    from bessemer.package import keys

    text = keys.public_pem(keys.public_of(keys.signing_key()))
    if output is None:
        out.print(text.decode(), end="")
        return
    write_atomic(output, text)
    out.print(f"wrote {output}")
    out.print(f"next: [bold]bessemer keys trust {output}[/] where packages are used", soft_wrap=True)


@command.command("trust")
@click.argument("file", type=click.Path(path_type=Path))
def trust(file: Path) -> None:
    """Trust the public key in FILE from now on."""
    from bessemer.cli._console import out
    from bessemer.package import keys

    kept = keys.trust_key(file)
    out.print(f"packages signed by {kept.stem} are trusted from now on")
    out.print("next: [bold]bessemer verify PACKAGE[/]")
