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
        "postgres": PluginRef(
            "bessemer.predict.sinks.postgres:Postgres",
            extra="postgres",
            requires=("psycopg",),
            summary="a table of a PostgreSQL",
        ),
        "bigquery": PluginRef(
            "bessemer.predict.sinks.bigquery:BigQuery",
            extra="bigquery",
            requires=("google.cloud.bigquery",),
            summary="a table of BigQuery",
        ),
        "snowflake": PluginRef(
            "bessemer.predict.sinks.snowflake:Snowflake",
            extra="snowflake",
            requires=("snowflake.connector",),
            summary="a table of Snowflake",
        ),
        "ibis": PluginRef(
            "bessemer.predict.sinks.ibis:Ibis",
            extra="ibis",
            requires=("ibis",),
            summary="a table of any database that ibis connects to",
        ),
        "kafka": PluginRef(
            "bessemer.predict.sinks.kafka:Kafka",
            extra="kafka",
            requires=("confluent_kafka",),
            summary="a topic of Kafka, in transactions",
        ),
        "delta": PluginRef(
            "bessemer.predict.sinks.delta:Delta",
            extra="delta",
            requires=("deltalake",),
            summary="a Delta Lake table",
        ),
        "iceberg": PluginRef(
            "bessemer.predict.sinks.iceberg:Iceberg",
            extra="iceberg",
            requires=("pyiceberg",),
            summary="an Iceberg table of a catalog",
        ),
        "mongodb": PluginRef(
            "bessemer.predict.sinks.mongodb:MongoDB",
            extra="mongodb",
            requires=("pymongo",),
            summary="a collection of a MongoDB",
        ),
    },
)
