"""The sinks there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.predict.protocol import Sink

SINKS: PluginTable[Sink] = PluginTable(
    "bessemer.sinks",
    {
        "parquet": PluginRef("bessemer.predict.sinks.parquet:Parquet", summary="a Parquet file or a folder"),
        "csv": PluginRef("bessemer.predict.sinks.csv:Csv", summary="CSV or TSV, plain or gzip"),
        "jsonl": PluginRef("bessemer.predict.sinks.jsonl:JsonLines", summary="JSON lines, plain or gzip"),
        "sqlite": PluginRef("bessemer.predict.sinks.sqlite:Sqlite", summary="a table of an SQLite file"),
        "duckdb": PluginRef("bessemer.predict.sinks.duckdb:DuckDB", summary="a table of a DuckDB file"),
        "ibis": PluginRef(
            "bessemer.predict.sinks.ibis:Ibis",
            extra="ibis",
            requires=("ibis",),
            summary="a table of any database that ibis connects to",
        ),
    },
)
