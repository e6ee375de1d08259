"""A project with a table and a contract, for tests of what `bessemer validate` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bessemer

CONTRACT = """\
# ours
columns:
  id: {type: integer, nullable: false, unique: true}
  # in years
  age: {type: integer, nullable: false, min: 0, max: 99}   # checked by hand
  y: {type: string, values: [a, b]}

expect:
  - row_count: 20%
  - sql: {condition: "age > 17 or y = 'a'", severity: warn, name: adults}
  - distribution
"""


def write(folder: Path, rows: int = 400, **changed: Any) -> None:
    """A table in which the rows that `changed` names (r7="7,1,a") stand instead."""
    lines = [changed.get(f"r{i}", f"{i},{18 + i % 50},{'ab'[i % 2]}") for i in range(rows)]
    (folder / "data.csv").write_text("id,age,y\n" + "\n".join(lines) + "\n")


def small_project(folder: Path) -> bessemer.Project:
    """The project of the table and the contract."""
    (folder / "bessemer.yaml").write_text("data: data.csv\ntarget: y\nvalidate: {quarantine: 1%}\n")
    (folder / "contract.yaml").write_text(CONTRACT)
    write(folder)
    return bessemer.Project(folder)
