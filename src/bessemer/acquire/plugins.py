"""The sources and engines there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.acquire.engines.duckdb import DuckDBEngine
    from bessemer.acquire.protocol import Source

SOURCES: PluginTable[Source] = PluginTable(
    "bessemer.sources",
    {
        "csv": PluginRef("bessemer.acquire.sources.csv:Csv", summary="delimited text, plain, gzip or zip"),
        "jsonl": PluginRef("bessemer.acquire.sources.jsonl:JsonLines", summary="JSON lines, or a JSON array"),
        "parquet": PluginRef("bessemer.acquire.sources.parquet:Parquet", summary="Parquet files"),
        "sql": PluginRef("bessemer.acquire.sources.sql:Sql", summary="a table or query of an SQL database"),
        "python": PluginRef(
            "bessemer.acquire.sources.python:Python", summary="a function that gives batches"
        ),
        "prediction_log": PluginRef(
            "bessemer.acquire.sources.prediction_log:PredictionLog",
            summary="the labelled rows of a prediction log",
        ),
        "elasticsearch": PluginRef(
            "bessemer.acquire.sources.elasticsearch:Elasticsearch",
            extra="elastic",
            requires=("elasticsearch",),
            summary="documents of an index of Elasticsearch",
        ),
    },
)

ENGINES: PluginTable[DuckDBEngine] = PluginTable(
    "bessemer.engines",
    {"duckdb": PluginRef("bessemer.acquire.engines.duckdb:DuckDBEngine", summary="in this process")},
)
