"""`bessemer access`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from bessemer.cli._access_suspects import suspects_command, trace_command

_FILE = click.option(
    "--file", type=click.Path(path_type=Path), help="The key file.  [default: the project's, or keys.yaml]"
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")


@click.group(invoke_without_command=True)
@_FILE
@_JSON
@click.pass_context
def command(ctx: click.Context, file: Path | None, as_json: bool) -> None:
    """Show the clients that have a key for the server; add and revoke them.

    Only hashes of keys are in the file. A server that runs sees a change within about a second.
    """
    if ctx.invoked_subcommand is not None:
        return
    from bessemer.cli._console import near, out, print_json, rows_table
    from bessemer.serve.guards.keyfile import read_keys

    path = _file(file)
    entries = read_keys(path) if path.exists() or file else ()
    rows = [entry.model_dump(mode="json", exclude={"sha256"}) for entry in entries]
    if as_json:
        print_json({"file": str(path), "clients": rows})
        return
    if rows:
        out.print(rows_table([{name: row[name] for name in _COLUMNS} for row in rows]))
    else:
        out.print(f"no client has a key in {near(path)}", soft_wrap=True)
    out.print("\nnext: [bold]bessemer access add NAME[/]")


command.add_command(suspects_command)
command.add_command(trace_command)

_COLUMNS = ("name", "scopes", "expires", "requests_per_second", "burst")


@command.command("add")
@click.argument("name")
@_FILE
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["predict", "admin"]),
    help="What it may do; may be repeated.  [default: predict]",
)
@click.option("--expires", help="For how long the key is taken, as 90d or 12h.  [default: without an end]")
@click.option("--rate", type=float, help="Its own limit, in requests a second.")
@click.option("--burst", type=int, help="How many requests it may send at once after a pause.")
@_JSON
def add(
    name: str, file: Path | None, scopes: tuple[str, ...], expires: str | None, as_json: bool, **limit: Any
) -> None:
    """Make a key for the client NAME and print it once; it is kept nowhere."""
    from bessemer.cli._console import near, out, print_json
    from bessemer.serve.guards.keyfile import add_key

    path, until = _file(file), _until(expires)
    key = add_key(
        path,
        name,
        scopes=list(scopes) or None,
        expires=until,
        requests_per_second=limit["rate"],
        burst=limit["burst"],
    )
    if as_json:
        moment = until.isoformat() if until else None
        print_json({"name": name, "key": key, "file": str(path), "expires": moment})
        return
    out.print(f"key   [bold]{key}[/]", soft_wrap=True)
    out.print("      It is shown only now: give it to the client, who sends 'authorization: Bearer KEY'.")
    out.print(f"file  {near(path)} has its hash", soft_wrap=True)
    out.print(
        f"\nnext: `serve: {{access: {{keys: {{file: {path.name}}}}}}}` in the project file, where it is not yet, "
        "then [bold]bessemer serve PACKAGE[/]",
        soft_wrap=True,
    )


@command.command("revoke")
@click.argument("name")
@_FILE
@_JSON
def revoke(name: str, file: Path | None, as_json: bool) -> None:
    """Take the key of the client NAME away."""
    from bessemer.cli._console import near, out, print_json
    from bessemer.serve.guards.keyfile import revoke_key

    path = _file(file)
    revoke_key(path, name)
    if as_json:
        print_json({"revoked": name, "file": str(path)})
        return
    out.print(
        f"revoked '{name}' in {near(path)}; a server that runs refuses it in about a second", soft_wrap=True
    )
    out.print("next: [bold]bessemer access[/] shows who is left")


def _file(given: Path | None) -> Path:
    """The key file: as given, else the one the nearest project file names, else keys.yaml here."""
    if given is not None:
        return given
    from bessemer.core.errors import ProjectError
    from bessemer.core.project_file import find

    try:
        project = find(Path())
    except ProjectError:
        return Path("keys.yaml")
    from bessemer.api import Project

    spec = Project(project).file.sections["serve"]
    access = getattr(spec, "access", None)
    named = access.keys.file if access is not None and access.keys is not None else None
    return project.parent / (named or "keys.yaml")


def _until(text: str | None) -> datetime | None:
    """The moment that lies a duration from now, in whole seconds."""
    if text is None:
        return None
    from bessemer.core.errors import UsageError
    from bessemer.core.spec import parse_duration

    try:
        return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=parse_duration(text))
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--expires {text}: {error}", fix="write 90d or 12h") from None
