"""A table of BigQuery: each batch is loaded beside it, and goes in with its note in one transaction."""

from __future__ import annotations

import random
import time
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from bessemer.core.bigquery import BigQueryLogin, connect, explained
from bessemer.core.bigquery_load import begin, fields, load
from bessemer.core.errors import DataError, did_you_mean
from bessemer.predict.protocol import Job, Progress, Target
from bessemer.predict.sinks.database import JOBS
from bessemer.predict.sinks.warehouse import NOTED, Warehouse, address, options_of, taken

if TYPE_CHECKING:
    from google.cloud import bigquery

#: What BigQuery says of a transaction that others have changed the same table beside; it is safe to begin it again.
_BESIDE = "concurrent update"
#: Seconds to wait at most before it is begun again: the first time, and ever.
_PAUSE, _LONGEST = 0.1, 10.0
_MOVED = "bessemer: the note has moved"
#: Names of types in a schema, in SQL.
_SQL = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


class BigQueryTarget(BigQueryLogin):
    bigquery: Annotated[str, Field(pattern=r"^[a-z][a-z0-9.:-]*\.\w+$")] = Field(
        description="The dataset, as project.dataset; it must be there."
    )
    table: str = Field(
        pattern=r"^[\w -]+$", max_length=300, description="The table; it is made where it is not there."
    )


class BigQuery(Warehouse):
    """Appends to a table. What else writes to it is left alone."""

    def __init__(self, target: Target, job: Job) -> None:
        self._options = options_of(BigQueryTarget, target, _given(target.where), "bigquery://PROJECT/DATASET")
        self._into = f"{self._options.bigquery}.{self._options.table}"
        super().__init__(self._into, job)
        self._made: bigquery.Client | None = None

    def connect(self) -> list[str]:
        from google.cloud.bigquery import SchemaField, Table

        with self.explained():
            project = self._options.bigquery.rpartition(".")[0]
            self._made = connect(self._options, project)
            if there := self._location():  # where jobs are to run, which a client is told once
                self._made.close()
                self._made = connect(self._options.model_copy(update={"location": there}), project)
            kinds = {"batches": "INTEGER", "rows": "INTEGER", "file": "INTEGER", "row": "INTEGER"}
            columns = {"job": "STRING", "table": "STRING", **kinds, "complete": "BOOLEAN"}
            notes = [SchemaField(name, kind) for name, kind in columns.items()]
            self._client.create_table(Table(self._notes, notes), exists_ok=True, retry=self._retry())
            made = Table(self._into, fields(taken(self._job.schema)))
            found = self._client.create_table(made, exists_ok=True, retry=self._retry())
        self._there = {field.name.lower(): field for field in found.schema}
        self._run(
            f"MERGE `{self._notes}` AS n USING (SELECT {_text(self._job.key)} AS job) AS o ON n.job = o.job "
            f"WHEN NOT MATCHED THEN INSERT (job, `table`, {_listed(NOTED)}) "
            f"VALUES (o.job, {_text(self._options.table)}, 0, 0, 0, 0, FALSE)"
        )
        return [field.name for field in found.schema]

    def _location(self) -> str | None:
        """Where the dataset is."""
        from google.api_core.exceptions import NotFound

        dataset = self._options.bigquery
        try:
            return self._client.get_dataset(dataset, retry=self._retry()).location or None
        except NotFound:
            project, _, name = dataset.rpartition(".")
            there = [d.dataset_id for d in self._client.list_datasets(project, retry=self._retry())]
            raise DataError(f"no dataset '{dataset}'", fix=did_you_mean(name, there)) from None

    @property
    def _client(self) -> bigquery.Client:
        assert self._made is not None, "the sink was not opened"
        return self._made

    @property
    def _notes(self) -> str:
        return f"{self._options.bigquery}.{JOBS}"

    def noted(self) -> Progress:
        sql = f"SELECT {_listed(NOTED)} FROM `{self._notes}` WHERE job = {_text(self._job.key)}"
        return Progress(*self.only([tuple(row.values()) for row in self._run(sql)], self._notes))

    def moved(self, before: Progress, after: Progress, rows: Path | None) -> bool:
        brought = None if rows is None else self._brought(rows)
        try:
            self._again(_script(self._notes, self._job.key, before, after, self._insert(brought)))
        except DataError as error:
            if _MOVED not in error.why:
                raise
            return False
        finally:
            if brought is not None:
                with suppress(DataError), self.explained():  # it expires
                    self._client.delete_table(brought, not_found_ok=True, retry=self._retry())
        return True

    def _brought(self, rows: Path) -> bigquery.Table:
        with self.explained():
            schema = taken(self._job.schema)
            table = begin(self._client, self._options.bigquery, schema, self._retry())
            load(self._client, table, [rows], self._retry())
        return table

    def _insert(self, brought: bigquery.Table | None) -> str:
        if brought is None:
            return ""
        names = [field.name for field in brought.schema]
        values = ", ".join(_as(self._there[field.name.lower()], field) for field in brought.schema)
        return f"INSERT INTO `{self._into}` ({_listed(names)}) SELECT {values} FROM `{brought}`;\n"

    def _again(self, script: str) -> None:
        """Run a transaction; begun again where others' notes came between, which ends it without a trace."""
        end, longest = time.monotonic() + self._options.timeout, _PAUSE
        while True:
            try:
                self._run(script)
                return
            except DataError as error:
                if _BESIDE not in error.why or time.monotonic() > end:
                    raise
            # those that met once do not meet again
            time.sleep(random.uniform(0, longest))  # noqa: S311 - nothing secret
            longest = min(2 * longest, _LONGEST)

    def _run(self, sql: str) -> list[Any]:
        """Never run a second time by the client: whether a transaction was committed is asked in the next call."""
        from google.cloud.bigquery import QueryJobConfig

        how = QueryJobConfig(use_query_cache=False)
        with self.explained():
            job = self._client.query(sql, job_config=how, retry=self._retry(), job_retry=None)
            return list(job.result(retry=self._retry(), job_retry=None))

    def _retry(self) -> Any:
        from google.cloud.bigquery import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(self._options.timeout)

    def explained(self) -> AbstractContextManager[None]:
        return explained(self._into, "written")

    def close(self) -> None:
        super().close()
        if self._made is not None:
            self._made.close()


def _script(notes: str, job: str, before: Progress, after: Progress, insert: str) -> str:
    """One transaction: the rows, and the note from where it was to where it is then; an error takes all of it back."""
    here = f"job = {_text(job)} AND batches = {before.batches} AND NOT complete"
    there = ", ".join(f"`{name}` = {str(value).upper()}" for name, value in asdict(after).items())
    return (
        "BEGIN TRANSACTION;\n"
        f"IF (SELECT COUNT(*) FROM `{notes}` WHERE {here}) != 1 THEN\n"
        f"SELECT ERROR({_text(_MOVED)});\nEND IF;\n"
        f"UPDATE `{notes}` SET {there} WHERE {here};\n{insert}"
        "COMMIT TRANSACTION;"
    )


def _given(where: str) -> dict[str, Any]:
    """What the address says: bigquery://PROJECT/DATASET, or the dataset alone."""
    if "://" not in where:
        return {"bigquery": where}
    _, _, project, names, options = address(where)
    return {"bigquery": ".".join([project, *names]), **options}


def _as(there: bigquery.SchemaField, field: bigquery.SchemaField) -> str:
    """A column of what was brought, in the type of the table's."""
    if there.field_type == field.field_type:
        return f"`{field.name}`"
    if there.field_type == "JSON":
        return f"PARSE_JSON(`{field.name}`)"
    return f"CAST(`{field.name}` AS {_SQL.get(there.field_type, there.field_type)})"


def _listed(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _text(value: str) -> str:
    """A text as a literal.

    >>> _text("it's")
    "'it\\\\'s'"
    """
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
