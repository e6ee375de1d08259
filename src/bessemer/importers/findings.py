"""What a translation could not keep: a row for each setting, and the faults of the file itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bessemer.core.errors import Fault, ProjectError
from bessemer.core.yaml_lines import Document

#: Longest text of a value in a listing.
SHOWN = 60


@dataclass(frozen=True)
class Finding:
    """One setting that has no counterpart, or only an approximate one.

    path, line: where it stands in the tool's file. value: what it says.
    became: what it was translated to; '' where it has no counterpart. why: the reason, or the difference.
    nearest: what comes nearest, where it has no counterpart.
    """

    path: str
    line: int | None
    value: Any
    why: str
    became: str = ""
    nearest: str = ""


class Findings:
    """Collects findings and faults while a file is translated."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.rows: list[Finding] = []
        self.faults: list[Fault] = []

    def lost(self, path: str, value: Any, why: str, nearest: str = "") -> None:
        """A setting without counterpart."""
        self.rows.append(Finding(path, self._document.line(path), value, why, nearest=nearest))

    def near(self, path: str, value: Any, became: str, why: str) -> None:
        """A setting whose translation means nearly the same."""
        self.rows.append(Finding(path, self._document.line(path), value, why, became=became))

    def fault(self, path: str, what: str, fix: str = "") -> None:
        """What is wrong with the tool's own file."""
        self.faults.append(Fault(path, self._document.line(path), what, fix))

    def stop_at_faults(self, file: str) -> None:
        """Raises ProjectError with every fault so far, if there is one."""
        if self.faults:
            raise ProjectError(sorted(self.faults, key=lambda f: (f.line or 0, f.path)), file)

    def in_order(self) -> list[Finding]:
        """The findings in the order of the file."""
        return sorted(self.rows, key=lambda row: row.line or 0)


@dataclass(frozen=True)
class Group:
    """Findings that say the same of several places: the first one, and the lines of all."""

    finding: Finding
    lines: tuple[int, ...]

    @property
    def where(self) -> str:
        shown = ", ".join(map(str, self.lines[:6])) + (", ..." if len(self.lines) > 6 else "")
        return f"line{'s' if len(self.lines) > 1 else ''} {shown}" if self.lines else "not said"


def grouped(findings: Iterable[Finding]) -> list[Group]:
    """The same setting with the same value in many features is one row.

    >>> rows = [Finding(f"input_features.{i}.tied", i + 1, "a", "why") for i in range(3)]
    >>> [(group.finding.path, group.where) for group in grouped(rows)]
    [('input_features.0.tied', 'lines 1, 2, 3')]
    """
    found: dict[tuple[str, ...], list[Finding]] = {}
    for row in findings:
        path = ".".join("*" if step.isdigit() else step for step in row.path.split("."))
        found.setdefault((path, show(row.value), row.why, row.became, row.nearest), []).append(row)
    return [
        Group(rows[0], tuple(sorted({row.line for row in rows if row.line is not None})))
        for rows in found.values()
    ]


def show(value: Any) -> str:
    """A value on one line, cut where it is long.

    >>> show({"type": "adam"}), show("relu"), show(True)
    ('{"type": "adam"}', 'relu', 'true')
    """
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def plain(rows: Iterable[Finding]) -> list[Mapping[str, Any]]:
    """Findings as JSON data."""
    return [
        {
            "path": row.path,
            "line": row.line,
            "value": row.value,
            "why": row.why,
            **({"became": row.became} if row.became else {"nearest": row.nearest}),
        }
        for row in rows
    ]
