"""`bessemer watermark`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bessemer.package.certificate import Verdict
    from bessemer.protect.verify import Release

_JSON = click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
_PACKAGE = click.option(
    "--package",
    type=click.Path(path_type=Path),
    help="The marked model's package.  [default: of the project's last run]",
)
_KEY = click.option(
    "--key", type=click.Path(path_type=Path), help="A public key file to trust for this package."
)


@click.group()
def command() -> None:
    """Mark models as yours, and prove that one is: keygen, embed, verify, dispute, survive."""


@command.command("keygen")
@_JSON
def keygen(as_json: bool) -> None:
    """Make the key that models are marked with, in the user's config folder."""
    from bessemer.cli._console import out, print_json
    from bessemer.protect.owner import key_path, make_key

    name = make_key()
    if as_json:
        print_json({"owner": name, "file": str(key_path())})
        return
    out.print(f"owner  {name[:16]}")
    out.print(f"file   {key_path()}", soft_wrap=True)
    out.print(
        "       Keep a copy in a safe place: without it no marked model can be claimed. Show it to nobody."
    )
    out.print(
        "\nnext: `protect: {mark: crossover}` in the project file, then [bold]bessemer watermark embed[/]",
        soft_wrap=True,
    )


@command.command("embed")
@click.argument("project", type=click.Path(path_type=Path), default=Path(), required=False)
@_JSON
def embed(project: Path, as_json: bool) -> None:
    """Run the flow of PROJECT with its mark, and keep the keys beside the owner's key."""
    from bessemer.api import Project
    from bessemer.cli._console import err, near, out, print_json
    from bessemer.cli._live import view
    from bessemer.core.errors import UsageError
    from bessemer.protect.marks import keep

    loaded = Project(project)
    with view(err if as_json else out, as_json) as sink:
        run = loaded.run(sinks=[sink])
    keys, certificate = loaded.artifact("keys"), loaded.artifact("certificate")
    if not keys.meta["keys"]:
        raise UsageError(
            "the project file asks for no mark",
            fix="write `protect: {mark: crossover}`; images take `pattern`",
        )
    folder = keep(keys, certificate)
    found = loaded.artifact("evaluation").json("evaluation.json")["ownership"]
    if as_json:
        print_json({"run": run.id, "package": run.package, "keys": str(folder), "ownership": found})
        return
    out.print(f"\nmark     {found['verdict']}", soft_wrap=True)
    out.print(f"package  {near(run.package)} commits to the keys", soft_wrap=True)
    out.print(f"keys     {folder}", soft_wrap=True)
    out.print(
        f"\nnext: [bold]bessemer watermark verify SUSPECT --package {near(run.package)}[/]", soft_wrap=True
    )


@command.command("verify")
@click.argument("suspect")
@_PACKAGE
@_KEY
@click.option(
    "--evidence",
    type=click.Path(path_type=Path),
    help="What a dispute has shown: verify by it, without the owner's key.",
)
@click.option(
    "--bits",
    type=click.IntRange(16, 256),
    help="With --evidence: a claim takes 2^-BITS at most, or less where the certificate says so; with --answers: a "
    "claim takes 2^-BITS.  [default: 64]",
)
@click.option(
    "--answers",
    type=click.Path(path_type=Path),
    help="The prediction log of a server with `ownership`: see whether it learnt the answers that were altered.",
)
@click.option(
    "--answers-key",
    type=click.Path(path_type=Path),
    help="With --answers: the server's key of these.  [default: the project's]",
)
@click.option(
    "--share", default="", help="With --answers: the share that was altered.  [default: the project's]"
)
@click.option(
    "--digits",
    type=click.IntRange(1, 9),
    help="With --answers: the significant digits of a number that counted.  [default: the project's, or 3]",
)
@click.option(
    "--client", "clients", multiple=True, help="With --answers: this client; may be repeated.  [default: all]"
)
@click.option("--dialect", default="", help="Of an address: plain, v1, v2 or mlflow.  [default: by its path]")
@click.option("--key-env", default="", help="The environment variable that has the key for the address.")
@click.option("--timeout", default="30s", show_default=True, help="For each request.")
@_JSON
def verify(
    suspect: str,
    package: Path | None,
    key: Path | None,
    evidence: Path | None,
    bits: int | None,
    answers: Path | None,
    answers_key: Path | None,
    share: str,
    digits: int | None,
    clients: tuple[str, ...],
    dialect: str,
    key_env: str,
    timeout: str,
    as_json: bool,
) -> None:
    """Ask SUSPECT, a package, an ONNX file or an address, for the keys, and say how likely its answers are by chance.

    It is asked for its answers alone. A claim takes the package in which the keys were committed to before. --answers
    gives evidence to yourself, and no claim before others: whoever keeps the log and the key could have written them.
    """
    from bessemer.cli._console import print_json
    from bessemer.core.errors import UsageError
    from bessemer.core.secrets import secret
    from bessemer.package.remote.client import Door
    from bessemer.package.remote.text import shown_url
    from bessemer.protect.verify import JUDGE_BITS, verify_by_evidence, verify_by_owner

    if bits is not None and evidence is None and answers is None:
        raise UsageError(
            "--bits is for who judges by --evidence", fix="set `protect: {bits: ...}` for your own"
        )
    if answers is not None and evidence is not None:
        raise UsageError("--answers and --evidence are two ways to verify", fix="give one of them")
    door = Door(dialect, secret(key_env, "the key for the address") if key_env else "", _seconds(timeout))
    if answers is not None:
        from bessemer.cli._watermark_answers import verify_answers

        given = answers_key, _share(share), digits
        verify_answers(
            suspect, _package(package), key, answers, given, clients, bits or JUDGE_BITS, door, as_json
        )
        return
    release = _release(package, key)
    if evidence is not None:
        verdict, how = verify_by_evidence(release, suspect, evidence, door, bits or JUDGE_BITS)
    else:
        verdict, how = verify_by_owner(release, suspect, door)
    facts = {**_facts(release), "suspect": shown_url(suspect), **how, **verdict.to_json()}
    if as_json:
        print_json(facts)
        return
    _show_release(release)
    _show_verdict(shown_url(suspect), verdict)


@command.command("dispute")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The file of evidence.")
@_PACKAGE
@_KEY
@_JSON
def show_block(output: Path, package: Path | None, key: Path | None, as_json: bool) -> None:
    """Show a block of keys that nobody has seen, for somebody who is to judge; each block is shown once."""
    from bessemer.cli._console import near, out, print_json
    from bessemer.protect.marks import shown
    from bessemer.protect.verify import dispute

    release = _release(package, key)
    found = dispute(release.certificate, output)
    left = release.certificate.blocks - len(shown(release.certificate))
    if as_json:
        facts = {"file": str(output), "block": found["block"], "keys": len(found["keys"]), "left": left}
        print_json({**_facts(release), **facts})
        return
    _show_release(release)
    out.print(
        f"evidence {near(output)}: block {found['block']}, {len(found['keys'])} keys; {left} blocks are left"
    )
    out.print("         Who sees it can remove these keys from a model; the others stay secret.")
    out.print(
        f"\nnext, for who judges: [bold]bessemer watermark verify SUSPECT --evidence {near(output)} "
        "--package PACKAGE --key PUBLIC[/]",
        soft_wrap=True,
    )


@command.command("survive")
@click.argument("project", type=click.Path(path_type=Path), default=Path(), required=False)
@click.option("--only", metavar="REMOVAL", multiple=True, help="Try this removal alone; may be repeated.")
@_JSON
def survive(project: Path, only: tuple[str, ...], as_json: bool) -> None:
    """Try to remove the mark from the model of PROJECT's last run, and show what is left of it and of its accuracy."""
    from bessemer.api import Project
    from bessemer.cli._console import out, print_json, rows_table
    from bessemer.protect.survive import survived

    rows = [one.to_json() for one in survived(Project(project), only)]
    if as_json:
        print_json({"removals": rows})
        return
    out.print(rows_table([_survival_row(row) for row in rows]))
    out.print(
        "\nlog2 p is that of so many hits by chance; a claim takes it below the bits of the certificate."
    )
    if rows[0]["learnt_from"]:
        out.print(
            "The thief's rows are the validation rows, and AutoML learnt from them: new rows may remove more."
        )


def _survival_row(row: dict[str, Any]) -> dict[str, Any]:
    if row["refused"]:
        return {"removal": row["removal"], "metric": "", "hits": "", "log2 p": "", "mark": row["refused"]}
    return {
        "removal": row["removal"],
        "metric": f"{row['metric']:.4f} ({row['difference']:+.4f})",
        "hits": f"{row['hits']} of {row['keys']}",
        "log2 p": f"{row['log2_p']:.0f}",
        "mark": "survives" if row["owned"] else "removed",
    }


def _release(package: Path | None, key: Path | None) -> Release:
    from bessemer.protect.verify import open_release

    return open_release(_package(package), key)


def _package(package: Path | None) -> Path:
    from bessemer.core.errors import UsageError

    if package is None:
        from bessemer.api import Project

        package = Path(Project().show().package or "")
        if not package.is_file():
            raise UsageError("the last run has no package", fix="name the marked model's with --package FILE")
    return package


def _share(text: str) -> float | None:
    from bessemer.core.errors import UsageError
    from bessemer.core.spec import parse_share

    try:
        found = parse_share(text) if text else None
    except ValueError as error:
        raise UsageError(f"--share {text}: {error}", fix="--share 0.5%") from None
    if found is not None and not 0 < found <= 1:
        raise UsageError(f"--share {text}: it is no share of rows", fix="--share 0.5%")
    return found


def _facts(release: Release) -> dict[str, Any]:
    return {
        "model": release.name,
        "version": release.version,
        "created": release.created,
        "signer": release.signer,
        "owner": release.certificate.owner,
        "root": release.certificate.root,
    }


def _show_release(release: Release) -> None:
    from bessemer.cli._console import out

    out.print(f"model    {release.name} {release.version}, signed {release.created} by {release.signer}")
    out.print(f"owner    {release.certificate.owner[:16]}")


def _show_verdict(suspect: str, verdict: Verdict) -> None:
    from rich.markup import escape

    from bessemer.cli._console import out

    out.print(f"suspect  {escape(suspect)}", soft_wrap=True)
    seen = f"; disputes have shown {verdict.shown} of them" if verdict.shown else ""
    out.print(f"keys     {verdict.keys}, {verdict.hits} hits, {verdict.expected:.1f} by chance{seen}")
    times = f", times {verdict.looks} blocks to choose from" if verdict.looks > 1 else ""
    out.print(f"p        {verdict.p:.3g} = 2^{verdict.log2_p:.1f}{times}; a claim takes 2^-{verdict.bits}")
    style = "bold green" if verdict.owned and not verdict.shown else "bold yellow"
    name = (
        "not proved" if not verdict.owned else "owned, by keys that were shown" if verdict.shown else "owned"
    )
    out.print(f"verdict  [{style}]{name}[/]: {verdict.words}", soft_wrap=True)


def _seconds(text: str) -> float:
    from bessemer.core.errors import UsageError
    from bessemer.core.spec import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--timeout: {error}", fix="--timeout 30s") from None
