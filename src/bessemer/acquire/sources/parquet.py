"""Parquet files: read by DuckDB where they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from bessemer.acquire.files import fetch, fingerprint_files, shown
from bessemer.acquire.options import Checksum, PathText
from bessemer.acquire.protocol import Place, Relation
from bessemer.core.errors import DataError
from bessemer.core.spec import Spec
from bessemer.core.sql import literal

if TYPE_CHECKING:
    from bessemer.core.stage import Context


class ParquetSource(Spec):
    parquet: PathText = Field(description="Parquet: a file, folder, glob, URL or python:// path.")
    sha256: Checksum = None


class Parquet:
    """One table from one or more Parquet files; columns that only some files have are NULL in the others."""

    def __init__(self, name: str, options: ParquetSource) -> None:
        self.name, self.options = name, options

    def uri(self) -> str:
        return shown(self.options.parquet)

    def fingerprint(self, place: Place) -> str:
        return fingerprint_files(self.options.parquet, place, "parquet", self.options.sha256)

    def open(self, connection: Any, ctx: Context) -> Relation:
        import pyarrow.parquet as pq

        files = fetch(self.options.parquet, ctx, "parquet", self.options.sha256)
        self._check(connection, files)
        names = ", ".join(literal(file) for file in files)
        hive = str(len(files) > 1 and all("=" in file.parent.name for file in files)).lower()
        query = f"SELECT * FROM read_parquet([{names}], union_by_name = {str(len(files) > 1).lower()}, "
        header = tuple(pq.read_schema(files[0]).names)
        return Relation(f"{query}hive_partitioning = {hive})", direct=True, files=tuple(files), header=header)

    def _check(self, connection: Any, files: list[Path]) -> None:
        """Read every footer, so that a cut file is named before any work is done."""
        import duckdb

        for file in files:
            try:
                connection.execute(f"SELECT count(*) FROM read_parquet({literal(file)})").fetchone()
            except (duckdb.InvalidInputException, duckdb.IOException, duckdb.SerializationException) as error:
                raise DataError(
                    f"'{file.name}' is not a whole Parquet file",
                    why=str(error).splitlines()[0],
                    fix="it may have been cut while it was copied or written: get it again",
                ) from error
