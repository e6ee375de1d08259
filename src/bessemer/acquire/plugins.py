"""The sources there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
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
        "rest": PluginRef(
            "bessemer.acquire.sources.rest:Rest",
            extra="http",
            requires=("httpx",),
            summary="records of JSON over HTTP, page by page",
        ),
        "elasticsearch": PluginRef(
            "bessemer.acquire.sources.elasticsearch:Elasticsearch",
            extra="elastic",
            requires=("elasticsearch",),
            summary="documents of an index of Elasticsearch",
        ),
        "kafka": PluginRef(
            "bessemer.acquire.sources.kafka:Kafka",
            extra="kafka",
            requires=("confluent_kafka", "deltalake"),
            summary="a topic of Kafka, landed exactly once",
        ),
        "postgres": PluginRef(
            "bessemer.acquire.sources.postgres:Postgres",
            extra="postgres",
            requires=("adbc_driver_postgresql", "psycopg"),
            summary="a table or query of a PostgreSQL",
        ),
        "bigquery": PluginRef(
            "bessemer.acquire.sources.bigquery:BigQuery",
            extra="bigquery",
            requires=("google.cloud.bigquery",),
            summary="a table or query of BigQuery",
        ),
        "snowflake": PluginRef(
            "bessemer.acquire.sources.snowflake:Snowflake",
            extra="snowflake",
            requires=("snowflake.connector",),
            summary="a table or query of Snowflake",
        ),
        "delta": PluginRef(
            "bessemer.acquire.sources.delta:Delta",
            extra="delta",
            requires=("deltalake",),
            summary="a Delta Lake table, at any version",
        ),
        "iceberg": PluginRef(
            "bessemer.acquire.sources.iceberg:Iceberg",
            extra="iceberg",
            requires=("pyiceberg",),
            summary="an Apache Iceberg table, at any snapshot",
        ),
        "datasets": PluginRef(
            "bessemer.acquire.sources.datasets:Datasets",
            extra="datasets",
            requires=("datasets",),
            summary="a folder of Hugging Face's datasets",
        ),
        "images": PluginRef(
            "bessemer.acquire.sources.images:Images",
            extra="images",
            requires=("PIL",),
            summary="a folder of images, perhaps with a folder a class",
        ),
        "excel": PluginRef(
            "bessemer.acquire.sources.excel:Excel",
            extra="excel",
            requires=("python_calamine",),
            summary="a sheet of a workbook: .xlsx, .xlsb, .xls, .ods",
        ),
        "avro": PluginRef(
            "bessemer.acquire.sources.avro:Avro",
            extra="avro",
            requires=("fastavro",),
            summary="Avro container files",
        ),
        "orc": PluginRef("bessemer.acquire.sources.orc:Orc", summary="ORC files"),
        "mongodb": PluginRef(
            "bessemer.acquire.sources.mongodb:Mongodb",
            extra="mongodb",
            requires=("pymongo",),
            summary="documents of a collection of MongoDB",
        ),
        "at_engine": PluginRef(
            "bessemer.acquire.sources.at_engine:TableAtEngine",
            summary="a table that is at the engine already",
        ),
    },
)
