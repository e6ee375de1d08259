"""Parquet files into tables of BigQuery that expire, by load jobs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud import bigquery

#: How long a table that was brought is there, at most.
_EXPIRES = dt.timedelta(days=1)


def begin(client: bigquery.Client, dataset: str, schema: pa.Schema, retry: Any) -> bigquery.Table:
    """A new table for rows with these columns, those that BigQuery does not take left out; it is to be deleted."""
    from google.cloud.bigquery import Table

    table = Table(f"{dataset}.bessemer_source_{uuid4().hex}", fields(schema))
    table.expires = dt.datetime.now(dt.UTC) + _EXPIRES  # the service's clock, and not the run's
    return client.create_table(table, retry=retry)


def load(client: bigquery.Client, table: bigquery.Table, files: Sequence[Path], retry: Any) -> None:
    """Add the rows of files."""
    from google.cloud.bigquery import LoadJobConfig, WriteDisposition

    how = LoadJobConfig(
        source_format="PARQUET", schema=table.schema, write_disposition=WriteDisposition.WRITE_APPEND
    )
    for file in files:
        with file.open("rb") as rows:
            client.load_table_from_file(rows, table.reference, job_config=how).result(retry=retry)


def fields(schema: pa.Schema) -> list[bigquery.SchemaField]:
    """BigQuery's columns for those of Arrow that it takes."""
    return [field for field in map(_field, schema) if field is not None]


def _field(field: pa.Field) -> bigquery.SchemaField | None:
    import pyarrow.types as pt
    from google.cloud.bigquery import SchemaField

    kind = field.type
    if pt.is_decimal(kind):
        places = {"precision": kind.precision, "scale": kind.scale}
        wide = kind.scale > 9 or kind.precision - kind.scale > 29
        return SchemaField(field.name, "BIGNUMERIC" if wide else "NUMERIC", **places)
    if pt.is_timestamp(kind):
        return SchemaField(field.name, "TIMESTAMP" if kind.tz else "DATETIME")
    tests = {
        "BOOLEAN": pt.is_boolean, "INTEGER": pt.is_integer, "FLOAT": pt.is_floating, "DATE": pt.is_date,
        "TIME": pt.is_time, "STRING": lambda k: pt.is_string(k) or pt.is_large_string(k),
        "BYTES": lambda k: pt.is_binary(k) or pt.is_large_binary(k),
    }  # fmt: skip
    name = next((name for name, test in tests.items() if test(kind)), "")
    return SchemaField(field.name, name) if name else None
