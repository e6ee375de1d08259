"""The sources of files keep what every source must do."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.testing.sources import CHECKS, Check, Options


class ParquetFiles:
    """A folder of Parquet files."""

    lacks = frozenset({"credentials", "interruption"})

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, table: pa.Table) -> Options:
        (self.folder / name).mkdir()
        pq.write_table(table, self.folder / name / "a.parquet")
        return {"parquet": str(self.folder / name)}

    def add(self, name: str, table: pa.Table) -> None:
        pq.write_table(table, self.folder / name / "b.parquet")

    def missing(self, name: str) -> Options:
        return {"parquet": str(self.folder / name)}

    def refused(self, name: str) -> Options:
        raise NotImplementedError

    def interrupted(self) -> AbstractContextManager[None]:
        return nullcontext()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_parquet_files(check: Check, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    check(ParquetFiles(tmp_path / "there"), tmp_path / "here")
