"""BigQuery: sources in the same project stay where they are, others are loaded into tables that expire."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from bessemer.core.bigquery import BigQueryLogin, connect, connect_storage, explained
from bessemer.core.bigquery_load import begin, load
from bessemer.core.spec import Size
from bessemer.core.sql import statement
from bessemer.engines.protocol import Corrections

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud import bigquery

    from bessemer.core.stage import Context

#: BigQuery's types in DuckDB's words; those of other names are left out, or are texts.
_TYPES = {
    "BOOLEAN": "BOOLEAN", "BOOL": "BOOLEAN", "INTEGER": "BIGINT", "INT64": "BIGINT", "FLOAT": "DOUBLE",
    "FLOAT64": "DOUBLE", "STRING": "VARCHAR", "DATE": "DATE", "DATETIME": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
}  # fmt: skip


class BigQuerySettings(BigQueryLogin):
    dataset: Annotated[str, Field(pattern=r"^[a-z][a-z0-9.:-]*\.\w+$")] = Field(
        description="Where tables are kept and sources are loaded, as project.dataset; it must be there."
    )
    max_bytes: Size | None = Field(
        default=None, description="The most that one query may be billed for, as 100GB; 10MB is the least."
    )


class BigQuery:
    """One client. Each query is a job of its own."""

    Settings = BigQuerySettings
    dialect = "bigquery"

    def __init__(self, settings: BigQuerySettings, ctx: Context) -> None:
        self.settings, self.ctx = settings, ctx
        self._project = settings.dataset.rpartition(".")[0]
        self._made: bigquery.Client | None = None
        self._brought: list[str] = []

    def corrections(self) -> Corrections:
        from bessemer.engines.bigquery_sql import CORRECTIONS

        return CORRECTIONS

    def find(self, kind: str, options: Any) -> str | None:
        """A table of any dataset, or a query of the engine's own one without parameters.

        A source with a limit of its own is brought: here the engine's is the one that holds.
        """
        if kind == "at_engine":
            return f"`{options.at_engine}`"
        if kind != "bigquery" or options.parameters or options.max_bytes is not None:
            return None
        ours = self.settings
        if (options.endpoint, options.location) != (ours.endpoint, ours.location):
            return None
        if options.query:  # names in it are those of its dataset and of the project that pays
            place = (options.bigquery, options.billing_project)
            same = place == (ours.dataset, ours.billing_project)
            return f"(\n{statement(options.query)}\n)" if same else None
        return f"`{options.bigquery}.{options.table}`" if options.table else None

    def load(self, name: str, files: Sequence[Path]) -> str:
        import pyarrow.dataset as ds

        schema = ds.dataset(list(files), format="parquet").schema
        with self._client() as client:
            table = begin(client, self.settings.dataset, schema, self._retry())
            self._brought.append(str(table))
            load(client, table, files, self._retry())
        return f"`{table}`"

    def describe(self, relation: str) -> list[tuple[str, str]]:
        from google.cloud.bigquery import QueryJobConfig

        with self._client() as client:
            how = QueryJobConfig(dry_run=True, use_query_cache=False, default_dataset=self.settings.dataset)
            job = client.query(f"SELECT * FROM {relation}", how, retry=self._retry())
            return [(f.name, _duckdb_type(f)) for f in job.schema]

    def keep(self, name: str, sql: str) -> str:
        relation = f"`{self.settings.dataset}.{name}`"
        self._run(f"CREATE OR REPLACE TABLE {relation} AS {sql}")
        return relation

    def kept(self, name: str) -> str | None:
        from google.api_core.exceptions import NotFound

        with self._client() as client:
            try:
                client.get_table(f"{self.settings.dataset}.{name}", retry=self._retry())
            except NotFound:
                return None
        return f"`{self.settings.dataset}.{name}`"

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(map(_plain, row.values())) for row in self._run(sql)]

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        rows = self._run(sql)
        with explained(self.settings.dataset, "used"), self._client() as client:
            storage = connect_storage(self.settings, client)
            for batch in rows.to_arrow_iterable(storage, max_stream_count=1, timeout=self.settings.timeout):
                plain = [
                    column.cast(pa.timestamp("us")) if pa.types.is_timestamp(column.type) else column
                    for column in batch.columns
                ]
                yield pa.record_batch(plain, names=batch.schema.names)

    def _run(self, sql: str) -> Any:
        from google.cloud.bigquery import QueryJobConfig
        from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY

        limit = self.settings.max_bytes
        settings = {} if limit is None else {"maximum_bytes_billed": max(limit, 10 * 2**20)}
        with self._client() as client:
            how = QueryJobConfig(default_dataset=self.settings.dataset, **settings)
            again = DEFAULT_JOB_RETRY.with_timeout(self.settings.timeout)
            job = client.query(sql, job_config=how, retry=self._retry(), job_retry=again)
            return job.result(retry=self._retry(), job_retry=again)

    def _retry(self) -> Any:
        from google.cloud.bigquery import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(self.settings.timeout)

    def close(self) -> None:
        """What was brought is deleted."""
        client, self._made = self._made, None
        if client is not None:
            with explained(self.settings.dataset, "used"):
                for where in self._brought:
                    client.delete_table(where, not_found_ok=True, retry=self._retry())
            client.close()

    @contextmanager
    def _client(self) -> Iterator[bigquery.Client]:
        if self._made is None:
            self._made = connect(self.settings, self._project)
        with explained(self.settings.dataset, "used"):
            yield self._made


def _duckdb_type(field: bigquery.SchemaField) -> str:
    if field.mode == "REPEATED" or field.field_type in (
        "RECORD",
        "STRUCT",
        "BYTES",
        "TIME",
        "INTERVAL",
        "RANGE",
    ):
        return "BLOB"
    if field.field_type in ("NUMERIC", "BIGNUMERIC"):
        digits, places = field.precision or 38, field.scale if field.precision else 9
        return f"DECIMAL({digits},{places or 0})" if digits <= 38 else "DOUBLE"
    return _TYPES.get(field.field_type, "BLOB")


def _plain(value: Any) -> Any:
    return value.astimezone(dt.UTC).replace(tzinfo=None) if getattr(value, "tzinfo", None) else value
