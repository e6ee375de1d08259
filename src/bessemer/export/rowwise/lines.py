"""Programs that read rows, a line each, and answer each with a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bessemer.environments.tools import run_tool

#: Lines that a program is given at once: of what a tool says, no more than the last ten thousand lines are kept.
PART = 5_000


def run_lines(command: Sequence[str], lines: Sequence[str], folder: Path, end: str = "") -> list[str]:
    """The answers to lines. folder: for files. end: stands behind each part.

    Raises:
        ToolError: the program failed.
    """
    given, found = folder / "lines.txt", []
    for start in range(0, len(lines), PART):
        given.write_text("\n".join(lines[start : start + PART]) + f"\n{end}", encoding="utf-8")
        found += [line for line in run_tool(command, folder=folder, given=given).splitlines() if line]
    return found
