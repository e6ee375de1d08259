"""A table or a query of BigQuery: Arrow from its Storage Read API, or page by page; what it costs is known before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from bessemer.acquire.bigquery_types import converted
from bessemer.acquire.served import ServedSource
from bessemer.acquire.tables import TableOptions, pick
from bessemer.core.bigquery import BigQueryLogin, connect, connect_storage, explained
from bessemer.core.errors import DataError, did_you_mean
from bessemer.core.spec import Size
from bessemer.core.sql import statement

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud import bigquery
    from google.cloud.bigquery.table import RowIterator

    from bessemer.core.stage import Context

#: What a query is billed at least, in bytes.
_LEAST = 10 * 2**20
_PAGE = 20_000
Scalar = bool | int | float | str


class BigQuerySource(TableOptions, BigQueryLogin):
    bigquery: Annotated[str, Field(pattern=r"^[a-z][a-z0-9.:-]*\.\w+$")] = Field(
        description="The dataset, as project.dataset."
    )
    parameters: dict[str, Scalar | Annotated[tuple[Scalar, ...], Field(strict=False)]] = Field(
        default_factory=dict, description="The values of @NAME in `query`; a list is an array."
    )
    max_bytes: Size | None = Field(
        default=None,
        description="The most that may be read, as 10GB: BigQuery says how much it would be before it is paid for. "
        "10MB is the least that it bills.",
    )
    storage_api: bool = Field(
        default=True, description="Read by the Storage Read API where it can be; false pages through REST."
    )


class BigQuery(ServedSource[BigQuerySource]):
    """A table or a query; a table of BigQuery's own is read as it is, everything else by a query. No fingerprint."""

    def __init__(self, name: str, options: BigQuerySource) -> None:
        super().__init__(name, options)
        self._project, _, self._dataset = options.bigquery.rpartition(".")

    def uri(self) -> str:
        return self.options.bigquery

    def newer(self, after: Any, ctx: Context) -> Iterator[pa.RecordBatch]:
        client = connect(self.options, self._project)
        with closing(client), explained(self.uri()):
            table = None if self.options.query else self._table(client)
            storage = connect_storage(self.options, client) if self.options.storage_api else None
            if table is not None and table.table_type == "TABLE" and storage is not None and after is None:
                self._affordable(int(table.num_bytes or 0), ctx)
                rows = client.list_rows(table, retry=self._retry())
            else:
                rows = self._queried(client, table, ctx, after)
            pages = self._pages(rows, storage, ctx)
            if pages is None and not self.options.query and table is not None:
                rows = self._queried(client, table, ctx, after)  # REST pages of a table are of many moments
            for batch in pages or rows.to_arrow_iterable():
                yield converted(batch, rows.schema)

    def _retry(self) -> Any:
        from google.cloud.bigquery import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(self.options.timeout)

    def _table(self, client: bigquery.Client) -> bigquery.Table:
        """The table to read, with the nearest name where there is none."""
        from google.api_core.exceptions import NotFound

        dataset = f"{self._project}.{self._dataset}"
        try:
            client.get_dataset(dataset, retry=self._retry())
            names = [t.table_id for t in client.list_tables(dataset, retry=self._retry())]
        except NotFound:
            there = [d.dataset_id for d in client.list_datasets(self._project, retry=self._retry())]
            fix = did_you_mean(self._dataset, there)
            raise DataError(f"no dataset '{dataset}'", fix=fix) from None
        return client.get_table(f"{dataset}.{pick(self.options.table, names, dataset)}", retry=self._retry())

    def _pages(self, rows: RowIterator, storage: Any, ctx: Context) -> Iterator[pa.RecordBatch] | None:
        """The rows by the Storage Read API, in their order; None where it cannot be used, or has no rows."""
        from google.api_core.exceptions import Forbidden, NotFound

        if storage is None:
            return None
        stream = iter(
            rows.to_arrow_iterable(
                storage, max_queue_size=2, max_stream_count=1, timeout=self.options.timeout
            )
        )
        try:
            first = next(stream, None)
        except (Forbidden, NotFound) as error:
            why = str(error.message).splitlines()[0]
            ctx.note(f"source '{self.name}': the Storage Read API cannot be used, so REST is: {why}")
            return None
        return None if first is None else _chained(first, stream)

    def _queried(
        self, client: bigquery.Client, table: bigquery.Table | None, ctx: Context, after: Any
    ) -> RowIterator:
        """The result of the query, once it is known what it reads."""
        from google.cloud.bigquery import QueryJobConfig
        from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY

        query = statement(self.options.query) if self.options.query else f"SELECT * FROM `{table}`"
        parameters = [_parameter(name, value) for name, value in self.options.parameters.items()]
        settings: dict[str, Any] = {"default_dataset": self.options.bigquery}
        dry = QueryJobConfig(dry_run=True, use_query_cache=False, query_parameters=parameters, **settings)
        asked = client.query(query, job_config=dry, retry=self._retry())
        if after is not None:
            condition, since = self._since(asked.schema, after)
            query, parameters = f"SELECT * FROM (\n{query}\n) WHERE {condition}", [*parameters, since]
            dry = QueryJobConfig(dry_run=True, use_query_cache=False, query_parameters=parameters, **settings)
            asked = client.query(query, job_config=dry, retry=self._retry())
        self._affordable(int(asked.total_bytes_processed or 0), ctx)
        if self.options.max_bytes is not None:
            settings["maximum_bytes_billed"] = max(self.options.max_bytes, _LEAST)
        paid = QueryJobConfig(query_parameters=parameters, **settings)
        again = DEFAULT_JOB_RETRY.with_timeout(self.options.timeout)
        job = client.query(query, job_config=paid, retry=self._retry(), job_retry=again)
        return job.result(page_size=_PAGE, retry=self._retry(), job_retry=again)

    def _affordable(self, size: int, ctx: Context) -> None:
        """Say what is read, and stop where it is too much."""
        ctx.note(f"source '{self.name}': BigQuery reads {_bytes(size)}")
        limit = self.options.max_bytes
        if limit is not None and size > limit:
            raise DataError(
                f"source '{self.name}' would read {_bytes(size)} of '{self.uri()}'",
                why=f"`max_bytes` allows {_bytes(limit)}",
                fix="select fewer columns or filter on the partition in `query`, or raise `max_bytes`",
            )

    def _since(self, schema: Any, after: Any) -> tuple[str, Any]:
        """The condition for rows from the cursor's value on, and its parameter."""
        from google.cloud.bigquery import ScalarQueryParameter

        wanted = self.options.incremental.cursor if self.options.incremental else ""
        kinds = {field.name: field.field_type for field in schema}
        if wanted not in kinds:
            raise DataError(f"source '{self.name}' has no column '{wanted}'", fix=did_you_mean(wanted, kinds))
        column, kind, value = f"`{wanted}`", kinds[wanted], after
        if isinstance(after, dt.datetime):
            moment = after if after.tzinfo else after.replace(tzinfo=dt.UTC)
            values = {"DATE": moment.date(), "DATETIME": moment.replace(tzinfo=None)}
            kind, value = kind if kind in values else "TIMESTAMP", values.get(kind, moment)
        elif isinstance(after, float):  # the greatest value was rounded to one
            column, kind = f"CAST({column} AS FLOAT64)", "FLOAT64"
        else:
            kind = "INT64" if isinstance(after, int) else "STRING"
        return f"{column} >= @bessemer_after", ScalarQueryParameter("bessemer_after", kind, value)


def _chained(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


def _parameter(name: str, value: Scalar | tuple[Scalar, ...]) -> Any:
    from google.cloud.bigquery import ArrayQueryParameter, ScalarQueryParameter

    if isinstance(value, tuple):
        return ArrayQueryParameter(name, _kind(value[0] if value else ""), list(value))
    return ScalarQueryParameter(name, _kind(value), value)


def _kind(value: Scalar) -> str:
    kinds: Mapping[type, str] = {bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING"}
    return kinds[type(value)]


def _bytes(size: int) -> str:
    """
    >>> _bytes(12_884_901_888), _bytes(100)
    ('12.0 GB', '0.1 KB')
    """
    for unit, step in (("GB", 2**30), ("MB", 2**20)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size / 2**10:.1f} KB"
