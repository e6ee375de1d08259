"""Helpers that tests of whole projects import by name."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any


def first_rows(table: Path, folder: Path, rows: int) -> str:
    """The first rows of a CSV file as `data.csv` of a project's folder; gives that name."""
    folder.mkdir(parents=True, exist_ok=True)
    with table.open("rb") as whole:
        (folder / "data.csv").write_bytes(b"".join(islice(whole, rows + 1)))
    return "data.csv"


def write_project(folder: Path, **keys: Any) -> Path:
    """A project file with these keys (JSON is YAML), without trackers unless they are asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "bessemer.yaml"
    keys = {"name": "test", "track": {"mlflow": "off", "tensorboard": "off"}, **keys}
    path.write_text(json.dumps(keys, indent=1, ensure_ascii=False), "utf-8")
    return path
