"""A project folder with a store, in which tests run the stage on tables of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from bessemer.core.artifact import ArtifactRef
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.validate.spec import ValidateSpec
from bessemer.validate.stage import run


class Room:
    """A project folder with a store, and the stage on tables given as SQL or Arrow."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, Store(folder / "store")
        self.told: list[str] = []
        (folder / "work").mkdir()

    def raw(self, data: str | pa.Table) -> dict[str, ArtifactRef]:
        path = self.store.temporary() / "in.parquet"
        connection = duckdb.connect()
        if isinstance(data, pa.Table):
            pq.write_table(data, path)
        else:
            connection.execute(f"COPY ({data}) TO '{path}' (FORMAT parquet)")
        rows = connection.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()
        columns = [{"name": row[0], "dtype": row[1]} for row in rows]
        count = connection.execute(f"SELECT count(*) FROM '{path}'").fetchone()
        assert count is not None
        return {"raw": self.store.put("raw", {"data.parquet": path}, {"rows": count[0], "columns": columns})}

    def run(self, data: str | pa.Table, **spec: Any) -> dict[str, ArtifactRef]:
        ctx = Context(
            store=self.store, stage="validate", shared={}, seed=7, project_dir=self.folder,
            workdir=self.folder / "work", emit=lambda kind, d: self.told.append(str(d.get("text", ""))),
        )  # fmt: skip
        return run(ValidateSpec(**spec), self.raw(data), ctx)

    def contract(self, text: str) -> None:
        (self.folder / "contract.yaml").write_text(text, encoding="utf-8")

    def table(self, ref: ArtifactRef, name: str = "data") -> dict[str, list[Any]]:
        return dict(pq.read_table(self.store.get(ref).path(f"{name}.parquet").open("rb")).to_pydict())

    def findings(self, ref: ArtifactRef) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.store.get(ref).json("findings.json")
        return found
