"""From a tool's file to the text of a project file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bessemer.core.errors import UsageError
from bessemer.importers.draft import Draft, relative
from bessemer.importers.file import read
from bessemer.importers.findings import Finding, Findings, grouped, show
from bessemer.importers.section import Section
from bessemer.importers.tools import TOOLS, detect
from bessemer.importers.writer import write

#: Most rows of the list at the end of the file; the command prints them all.
LISTED = 40


@dataclass(frozen=True)
class Translated:
    """The text of a project file, the tool it came from, its target, and what could not be kept.

    text: not checked yet by the loader of project files.
    """

    text: str
    tool: str
    target: str
    findings: tuple[Finding, ...]


def translate(path: Path, *, tool: str = "", data: str = "", folder: Path = Path()) -> Translated:
    """Translate a tool's file.

    Args:
        path: of the tool's file.
        tool: a name in TOOLS; found from the file's keys by default.
        data: where the data is, seen from the working folder; where the tool's file says it by default.
        folder: of the project file to be.

    Raises:
        ProjectError: the tool's file cannot be read, has faults, or says nothing that can run here.
        UsageError: nobody says where the data is, or which tool the file is from.
    """
    document = read(path)
    name = tool or detect(document.value, path.name)
    source = TOOLS.load(name)()
    findings = Findings(document)
    draft = Draft(
        findings,
        data=relative(data, Path.cwd(), folder.resolve()) if data else None,
        locate=lambda found: relative(found, path.resolve().parent, folder.resolve()),
    )
    source.translate(Section(findings, "", document.value), draft)
    findings.stop_at_faults(path.name)
    if draft.data is None:
        raise UsageError(f"{path.name} does not say where the data is", fix="give it: --data FILE")
    rows = tuple(findings.in_order())
    above = [
        f"Imported from {path.name} ({source.NAME}).",
        "All keys: bessemer schema. All stages: bessemer flow.",
    ]
    text = write(draft.keys(), above, draft.notes, _listing(rows, source.NAME))
    return Translated(text, name, draft.target, rows)


def _listing(rows: tuple[Finding, ...], name: str) -> list[str]:
    """The comments at the end of the file."""
    lines: list[str] = []
    for title, kept in (
        (f"Nearly the same as in {name}:", [row for row in rows if row.became]),
        ("Without counterpart:", [row for row in rows if not row.became]),
    ):
        groups = grouped(kept)
        lines += [title] if groups else []
        for group in groups[:LISTED]:
            row = group.finding
            then = f" -> {row.became}" if row.became else f": {row.why}"
            lines.append(f"  {row.path} = {show(row.value)}{then}")
        if len(groups) > LISTED:
            lines.append(f"  and {len(groups) - LISTED} more")
    return lines
