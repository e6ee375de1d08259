"""A small project around the stage: labelled data in, opened artifacts out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.core.artifact import Artifact
from bessemer.core.sql import quote
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.prepare.spec import PrepareSpec
from bessemer.prepare.stage import run

PARTS = ("train", "valid", "test")


@dataclass
class Prepared:
    splits: Artifact
    preprocessor: Artifact
    said: list[tuple[str, str]] = field(default_factory=list)

    def rows(self, part: str) -> pa.Table:
        return pq.ParquetFile(self.splits.path(f"{part}.parquet")).read()

    def X(self, part: str) -> np.ndarray:
        return np.load(self.splits.path(f"{part}.X.npy"), mmap_mode="r")

    def y(self, part: str) -> np.ndarray:
        return np.load(self.splits.path(f"{part}.y.npy"), mmap_mode="r")

    @property
    def features(self) -> list[dict[str, Any]]:
        return self.preprocessor.json("features.json")

    @property
    def names(self) -> list[str]:
        return [feature["name"] for feature in self.features]

    def column(self, part: str, name: str) -> np.ndarray:
        return self.X(part)[:, self.names.index(name)]

    def heard(self, kind: str) -> str:
        return "\n".join(text for k, text in self.said if k == kind)


@dataclass
class Bench:
    """Puts labelled data into a store and runs the stage on it."""

    folder: Path
    said: list[tuple[str, str]] = field(default_factory=list)

    def context(self, **settings: Any) -> Context:
        work = self.folder / "work"
        work.mkdir(exist_ok=True)

        def hear(kind: str, data: Any) -> None:
            if kind in ("note", "warning"):
                self.said.append((kind, data["text"]))

        return Context(
            Store(self.folder / "store"),
            "prepare",
            {},
            settings.pop("seed", 7),
            self.folder,
            work,
            emit=hear,
            **settings,
        )

    def labelled(self, ctx: Context, query: str, target: str, task: str) -> Any:
        path = ctx.temporary("labelled.parquet")
        duckdb.connect().execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
        classes: list[Any] = []
        with duckdb.connect() as con:
            con.execute("SET threads = 1")
            (rows,) = con.execute(f"SELECT count(*) FROM '{path}'").fetchone()
            if task != "regression":
                found = con.execute(
                    f"SELECT DISTINCT {quote(target)} AS c FROM '{path}' ORDER BY c"
                ).fetchall()
                classes = [c for (c,) in found]
        meta = {
            "rows": rows,
            "unlabelled": 0,
            "target": target,
            "task": task,
            "classes": classes,
            "counts": {},
        }
        return ctx.store.put("labelled", {"data.parquet": path}, meta)

    def prepare(
        self,
        query: str,
        *,
        target: str = "y",
        task: str = "binary",
        spec: dict[str, Any] | None = None,
        **ctx: Any,
    ) -> Prepared:
        context = self.context(**ctx)
        self.said = []
        found = run(
            PrepareSpec.model_validate(spec or {}),
            {"labelled": self.labelled(context, query, target, task)},
            context,
        )
        return Prepared(context.open(found["splits"]), context.open(found["preprocessor"]), self.said)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    return Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def prepare(bench: Bench) -> Callable[..., Prepared]:
    return bench.prepare
