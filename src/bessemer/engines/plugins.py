"""The engines there are. All but `duckdb` are an `Engine` of the protocol."""

from __future__ import annotations

from typing import Any

from bessemer.core.plugins import PluginRef, PluginTable

#: The engine in this process, which reads sources where they stand and lands the result as a file.
EMBEDDED = "duckdb"

ENGINES: PluginTable[Any] = PluginTable(
    "bessemer.engines",
    {
        EMBEDDED: PluginRef("bessemer.engines.duckdb:DuckDBEngine", summary="in this process"),
        "spark": PluginRef(
            "bessemer.engines.spark:Spark",
            extra="spark",
            requires=("pyspark",),
            summary="Apache Spark: in this process, a cluster, or Spark Connect",
        ),
        "bigquery": PluginRef(
            "bessemer.engines.bigquery:BigQuery",
            extra="bigquery",
            requires=("google.cloud.bigquery",),
            summary="BigQuery",
        ),
        "snowflake": PluginRef(
            "bessemer.engines.snowflake:Snowflake",
            extra="snowflake",
            requires=("snowflake.connector",),
            summary="Snowflake",
        ),
        "postgres": PluginRef(
            "bessemer.engines.postgres:Postgres",
            extra="postgres",
            requires=("adbc_driver_postgresql", "psycopg"),
            summary="PostgreSQL",
        ),
    },
)
