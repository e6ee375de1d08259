"""A marked project on a real table, as far as the protect stage, and what tests ask of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from bessemer.api import Project
from bessemer.core.stage import Context
from bessemer.protect.protocol import Pool

OWNER, OTHER = "ab" * 32, "cd" * 32


def write_project(folder: Path, data: Path, target: str, rows: int, **keys: Any) -> Path:
    """A project over the first rows of a table, and a column that tells who each row is and that no model reads."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pyarrow.csv.read_csv(data).slice(0, rows)
    names = [f"customer {k:05}" for k in range(len(table))]
    table = table.append_column("customer_id", pa.array(names))
    pq.write_table(table, folder / "data.parquet")
    prepare = {"columns": {"customer_id": {"as": "ignore"}}}
    own = {"name": "marked", "data": "data.parquet", "target": target, "prepare": prepare, **keys}
    track = {"mlflow": "off", "tensorboard": "off"}
    (folder / "bessemer.yaml").write_text(json.dumps({**own, "track": track}), "utf-8")
    return folder


def prepared(folder: Path) -> tuple[Project, Pool]:
    """The project after prepare, and its training rows."""
    project = Project(folder)
    project.run(upto="prepare", track=False)
    return project, Pool(project.artifact("splits"), project.artifact("preprocessor"))


def context(project: Project, folder: Path, said: list[tuple[str, str]] | None = None) -> Context:
    folder.mkdir(parents=True, exist_ok=True)

    def hear(kind: str, data: Any) -> None:
        if said is not None and kind in ("note", "warning"):
            said.append((kind, data["text"]))

    return Context(project.store, "protect", {"name": "marked"}, 7, folder, folder, emit=hear)
