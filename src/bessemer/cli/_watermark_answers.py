"""`bessemer watermark verify --answers`: whether a suspect has learnt what a server of ours answered wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import ProjectError, UsageError

if TYPE_CHECKING:
    from bessemer.package.altered_answers import Alteration
    from bessemer.package.remote.client import Door
    from bessemer.protect.answers import Learnt


def verify_answers(
    suspect: str,
    package: Path,
    trusted: Path | None,
    log: Path,
    given: tuple[Path | None, float | None, int | None],
    clients: Sequence[str],
    bits: int,
    door: Door,
    as_json: bool,
) -> None:
    """Ask, and print what was found; given: the key's file, the share and the digits, where they are not the
    project's."""
    from rich.markup import escape

    from bessemer.cli._console import out, print_json, rows_table
    from bessemer.package.read import read_package
    from bessemer.package.remote.text import shown_url
    from bessemer.protect.answers import learnt

    contents = read_package(package, key=trusted)
    alteration = _alteration(contents.manifest.name, *given)
    found = learnt(contents, suspect, log, alteration, clients, bits=bits, door=door)
    if as_json:
        facts = {"model": contents.manifest.name, "version": contents.manifest.version}
        facts |= {"suspect": shown_url(suspect), "evidence_for": "whoever keeps the log and the key"}
        print_json(
            {**facts, "share": alteration.share, "bits": bits, "clients": [one.to_json() for one in found]}
        )
        return
    out.print(f"model    {contents.manifest.name} {contents.manifest.version}")
    out.print(f"suspect  {escape(shown_url(suspect))}", soft_wrap=True)
    out.print(rows_table([_row(one) for one in found]))
    named = [one.client or "(no name)" for one in found if one.owned]
    words = (
        f"it has learnt from what was answered to {', '.join(named)}"
        if named
        else "nothing says that it has learnt from our answers"
    )
    out.print(f"\nverdict  {escape(words)}; that takes 2^-{bits}", soft_wrap=True)
    out.print(
        "         This is evidence for whoever keeps the log and the key, who could have written both; a claim before\n"
        "         others takes keys that were committed to in the package.",
        soft_wrap=True,
    )
    if skipped := sum(one.skipped for one in found):
        out.print(f"         {skipped:,} rows of the log were left out: their class is none of this package.")


def _row(one: Learnt) -> dict[str, Any]:
    return {
        "client": one.client or "(no name)",
        "altered": f"{one.hits} of {one.altered}",
        "others": f"{one.others_hits} of {one.others}",
        "log2 p": f"{one.log2_p:.1f}",
        "learnt": one.owned,
    }


def _alteration(model: str, key: Path | None, share: float | None, digits: int | None) -> Alteration:
    """The server's, by the project file, and by what is said beside."""
    from bessemer.package.altered_answers import Alteration
    from bessemer.package.answer_key import mark_key

    spec, folder = _own()
    if spec is None and (key is None or share is None):
        raise UsageError(
            "which answers were altered? the project file has no `serve: ownership`",
            fix="name the server's key and share: --answers-key answers.key --share 0.5%",
        )
    key = folder / spec.key if key is None else key
    if digits is None:
        digits = 3 if spec is None else spec.digits
    return Alteration(mark_key(key), model, spec.share if share is None else share, digits)


def _own() -> tuple[Any, Path]:
    from bessemer.api import Project

    try:
        project = Project()
    except ProjectError:
        return None, Path()
    return getattr(project.file.sections["serve"], "ownership", None), project.folder
