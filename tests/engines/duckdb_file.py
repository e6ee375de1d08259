"""DuckDB in a database file as an engine like the others: the SQL is carried over, tables are kept, rows travel.

It has no rights and no network, so that what is asked of an engine is tested quickly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from bessemer.core.spec import Spec
from bessemer.core.sql import literal, quote
from bessemer.engines.columns import describe
from bessemer.engines.protocol import Corrections


class DuckDBFileSettings(Spec):
    file: str


class DuckDBFile:
    Settings = DuckDBFileSettings
    dialect = "duckdb"

    def __init__(self, settings: DuckDBFileSettings, ctx: Any) -> None:
        import duckdb

        self.connection = duckdb.connect(settings.file, config={"threads": 1})
        self.connection.execute("SET TimeZone = 'UTC'")
        self.loaded = 0

    def corrections(self) -> Corrections:
        return {}

    def find(self, kind: str, options: Any) -> str | None:
        return None

    def load(self, name: str, files: Sequence[Path]) -> str:
        self.loaded += 1
        table, listed = f"loaded_{self.loaded}", ", ".join(literal(file) for file in files)
        self.connection.execute(f"CREATE TEMP TABLE {table} AS SELECT * FROM read_parquet([{listed}])")
        return table

    def describe(self, relation: str) -> list[tuple[str, str]]:
        return describe(self.connection, relation)

    def keep(self, name: str, sql: str) -> str:
        self.connection.execute(f"CREATE OR REPLACE TABLE {quote(name)} AS {sql}")
        return quote(name)

    def kept(self, name: str) -> str | None:
        found = self.connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [name])
        return quote(name) if found.fetchone() else None

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self.connection.execute(sql).fetchall()
        return rows

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        yield from self.connection.sql(sql).to_arrow_reader()

    def close(self) -> None:
        self.connection.close()
