"""Helpers for the tests of importers: a tool's file in a folder, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bessemer.api import import_project


@dataclass
class Result:
    """The project file as data and as text, and the findings by path."""

    keys: dict[str, Any]
    text: str
    approximate: dict[str, Any]
    lost: dict[str, Any]


def imported(folder: Path, text: str, *, name: str = "tool.yaml", **options: Any) -> Result:
    """Write `text` as a tool's file, import it, and read what was written."""
    file, output = folder / name, folder / "bessemer.yaml"
    file.write_text(text, "utf-8")
    done = import_project(file, output=output, **{"data": "data.csv", "force": True, **options})
    written = output.read_text("utf-8")
    assert all(row.why and (row.line is None or row.line > 0) for row in done.findings)
    return Result(
        yaml.safe_load(written),
        written,
        {row.path: row for row in done.findings if row.became},
        {row.path: row for row in done.findings if not row.became},
    )
