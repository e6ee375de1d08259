"""Parquet files of a place that is not this disk, as the checks of sources want a system."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import fingerprint, run
from bessemer.core.artifact import Artifact
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.testing.sources import Options


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


class ParquetElsewhere:
    """A folder of Parquet files for each name.

    Args:
        base: the URL that the product reads them by. write: puts bytes at a path below it, by another way.
    """

    lacks: frozenset[str] = frozenset({"credentials"})

    def __init__(
        self,
        base: str,
        write: Callable[[str, bytes], None],
        cut: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.base, self.write, self.interrupted = base, write, cut

    def put(self, name: str, table: pa.Table) -> Options:
        self.write(f"{name}/a.parquet", parquet(table))
        return {"parquet": f"{self.base}/{name}/"}

    def add(self, name: str, table: pa.Table) -> None:
        self.write(f"{name}/b.parquet", parquet(table))

    def missing(self, name: str) -> Options:
        return {"parquet": f"{self.base}/{name}/"}

    def refused(self, name: str) -> Options:
        raise NotImplementedError


class Reader:
    """A project's folder in which the acquire stage runs again and again, as `bessemer run` does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / "store")
        self.notes: list[str] = []

    def acquire(self, source: Options, *, work: str = "work", **acquire: Any) -> Artifact:
        """What lands. The work folder stays: a test looks at it, or has a killed run."""
        (self.folder / work).mkdir(parents=True, exist_ok=True)
        spec = AcquireSpec.model_validate({"sources": {"d": source}, **acquire})
        ctx = Context(
            self.store,
            "acquire",
            {},
            7,
            self.folder,
            self.folder / work,
            kept=self.folder / "cache",
            emit=lambda kind, data: self.notes.append(str(data["text"])) if "text" in data else None,
        )
        return self.store.get(run(spec, {}, ctx)["raw"])

    def rows(self, source: Options, **acquire: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = pq.read_table(
            self.acquire(source, **acquire).path("data.parquet")
        ).to_pylist()
        return found

    def fingerprint(self, source: Options) -> str:
        spec = AcquireSpec.model_validate({"sources": {"d": source}})
        return fingerprint(spec, self.folder)["source d"]
