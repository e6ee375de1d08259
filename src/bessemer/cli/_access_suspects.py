"""`bessemer access suspects` and `bessemer access trace`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bessemer.core.suspects import Suspect
    from bessemer.serve.guards.spec import AccessSpec

_JSON = click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")


@click.command("suspects")
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    help="The file that the server follows.  [default: the project's, or .bessemer/suspects.json]",
)
@click.option("--lift", metavar="NAME", help="Let a client off.")
@click.option("--add", metavar="NAME", help="Suspect a client.")
@click.option(
    "--action",
    type=click.Choice(["watermark", "throttle", "step_up"]),
    default="throttle",
    show_default=True,
    help="With --add: what is done to it.",
)
@click.option("--for", "lasts", default="1d", show_default=True, help="With --add: for how long.")
@click.option("--rate", type=float, default=0.0, help="With --add and throttle: requests a second.")
@click.option("--reason", default="", help="With --add: why.")
@_JSON
def suspects_command(
    file: Path | None,
    lift: str | None,
    add: str | None,
    action: Any,
    lasts: str,
    rate: float,
    reason: str,
    as_json: bool,
) -> None:
    """Show the clients that are suspected and what is done to them; suspect one, or let one off.

    A server that runs sees a change within about a second.
    """
    from bessemer.cli._console import err, near, out, print_json, rows_table
    from bessemer.core.suspects import Suspect, SuspectsFile

    access, folder = project_access()
    path = file or folder / (
        access.suspects.file if access and access.suspects else ".bessemer/suspects.json"
    )
    kept, now = SuspectsFile(path), time.time()
    if lift is not None:
        kept.lift(lift, now)
    if add is not None:
        key = _shown(access, folder, add) if action == "step_up" else ""
        suspect = Suspect(add, action, now, now + _seconds(lasts), reason, "operator", rate, key)
        warnings = list(_warnings(suspect, access, folder))
        if not kept.put(suspect):
            warnings.append(_unchanged(suspect, kept.read(now)))
        for warning in warnings:
            err.print(f"warning: {warning}", markup=False, soft_wrap=True)
    rows = [
        {
            "name": each.name,
            "action": each.action,
            "until": _moment(each.until),
            "by": each.by,
            "why": each.reason,
        }
        for each in kept.read(now).values()
    ]
    if as_json:
        print_json({"file": str(path), "suspects": rows})
        return
    if rows:
        out.print(rows_table(rows))
        out.print("\nnext: [bold]bessemer access suspects --lift NAME[/] lets one off")
    else:
        out.print(f"nobody is suspected in {near(path)}", soft_wrap=True)


def project_access() -> tuple[AccessSpec | None, Path]:
    """What the nearest project file says under `serve: access`, and its folder; nothing and this one without it."""
    from bessemer.core.errors import ProjectError
    from bessemer.core.project_file import find

    try:
        project = find(Path())
    except ProjectError:
        return None, Path()
    from bessemer.api import Project

    return getattr(Project(project).file.sections["serve"], "access", None), project.parent


def _shown(access: AccessSpec | None, folder: Path, name: str) -> str:
    """What tells the client's key of now from a later one."""
    from bessemer.serve.guards.keyfile import shown_key

    named = access.keys.file if access is not None and access.keys is not None else None
    return shown_key(folder / (named or "keys.yaml"), name)


def _warnings(suspect: Suspect, access: AccessSpec | None, folder: Path) -> Iterator[str]:
    """What is odd about a suspect, as far as the project says who the clients are."""
    from bessemer.core.errors import did_you_mean
    from bessemer.serve.guards.keyfile import read_keys
    from bessemer.serve.guards.suspects import renewable

    if suspect.action == "step_up" and not renewable(suspect):
        yield f"'{suspect.name}' has no key in the key file: no newer credential ends this before its time"
    keys = access.keys if access is not None else None
    if keys is None or suspect.name.startswith(("jwt:", "certificate:")):
        return
    entries = read_keys(folder / keys.file) if keys.file is not None else ()
    names = {**{entry.name: "admin" in entry.scopes for entry in entries}, **dict.fromkeys(keys.env, False)}
    names |= dict.fromkeys(keys.admin_env, True)
    if suspect.name not in names:
        yield f"no client is called '{suspect.name}': {did_you_mean(suspect.name, names)}"
    elif names[suspect.name]:
        yield f"'{suspect.name}' may administer, and is left alone"


def _unchanged(suspect: Suspect, known: Mapping[str, Suspect]) -> str:
    """Why a suspect was not put in."""
    before = known.get(suspect.name)
    if before is None:
        return f"{len(known):,} clients are suspected, and no more can be: let one off first"
    return f"nothing has changed: '{before.name}' has {before.action} already, until {_moment(before.until)}"


def _seconds(text: str) -> float:
    from bessemer.core.errors import UsageError
    from bessemer.core.spec import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--for {text}: {error}") from None


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


@click.command("trace")
@click.argument("package")
@click.argument("answers", type=click.Path(path_type=Path))
@click.option(
    "--mark",
    "mark_key",
    type=click.Path(path_type=Path),
    help="The file with the key of the marks.  [default: the project's]",
)
@click.option(
    "--client",
    "clients",
    multiple=True,
    help="Whose mark is looked for; may be repeated.  [default: all keys']",
)
@click.option(
    "--column", default="answer", show_default=True, help="The column of ANSWERS that has the answers."
)
@click.option("--model", default="", help="The model's name at the server, where it is not the package's.")
@click.option("--key", type=click.Path(path_type=Path), help="A public key file to trust.")
@_JSON
def trace_command(
    package: str,
    answers: Path,
    mark_key: Path | None,
    clients: tuple[str, ...],
    column: str,
    model: str,
    key: Path | None,
    as_json: bool,
) -> None:
    """Say whose marked answers are in ANSWERS: inputs of PACKAGE and, beside them, what somebody else's model or file
    says of them: the probability of the positive (or of the likeliest) class, or a number."""
    from bessemer.cli._console import out, print_json, rows_table
    from bessemer.core.errors import UsageError
    from bessemer.monitor.watching.trace import trace
    from bessemer.package.model import load
    from bessemer.serve.guards.keyfile import read_keys

    access, folder = project_access()
    if mark_key is None and access is not None and access.suspects is not None and access.suspects.key:
        mark_key = folder / access.suspects.key
    if mark_key is None:
        raise UsageError(
            "whose key? the marks cannot be read without it", fix="name its file: --mark mark.key"
        )
    if not clients and access is not None and access.keys is not None and access.keys.file is not None:
        clients = tuple(entry.name for entry in read_keys(folder / access.keys.file))
    if not clients:
        raise UsageError("whose mark? no client is named", fix="name one: --client NAME")
    found = trace(load(package, key=key), answers, mark_key, clients, column=column, model_name=model)
    rows = [
        {"client": each.client, "follows": round(each.follows, 4), "p": each.p_value, "found": each.found}
        for each in found
    ]
    if as_json:
        print_json({"answers": found[0].rows, "clients": rows})
        return
    out.print(rows_table(rows))
    named = [each.client for each in found if each.found]
    out.print(
        f"\nmarked for: [bold]{', '.join(named)}[/]" if named else "\nno client's mark is in these answers"
    )
