"""Delta Lake tables: folders and buckets, at any version that is still there, by delta-rs."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from bessemer.acquire.files import shown
from bessemer.acquire.options import IncrementalOptions, PathText
from bessemer.acquire.protocol import Place, Relation
from bessemer.acquire.reading import Columns, Moment, check_kept, chosen, nearest, told
from bessemer.acquire.remote import is_remote
from bessemer.core.errors import DataError
from bessemer.core.secrets import expanded
from bessemer.core.sql import quote

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

    from bessemer.core.stage import Context

_FIX = "check the address and the rights, and that the table has this version still"
#: One partition: several would give their rows in an order that changes from run to run.
_ENGINE = {"datafusion.execution.target_partitions": "1"}


class DeltaSource(IncrementalOptions):
    delta: PathText = Field(
        description="The folder of the table, here or in a bucket (s3://, gs://, abfss://)."
    )
    version: int | None = Field(default=None, ge=0, description="The version to read; the newest by default.")
    timestamp: Moment | None = Field(
        default=None, description="Or the version of this moment, as 2024-07-01T12:00:00Z."
    )
    columns: Columns = ()

    @model_validator(mode="after")
    def _one_of(self) -> DeltaSource:
        if self.version is not None and self.timestamp is not None:
            raise ValueError("give `version` or `timestamp`, not both")
        check_kept(self.columns, self.incremental, "columns")
        return self


class Delta:
    """A version of a table: its id and the version are its fingerprint, no row is read for it.

    Deletion vectors, column mapping, partitions and columns that came later are as the log has them.
    """

    def __init__(self, name: str, options: DeltaSource) -> None:
        self.name, self.options = name, options

    def uri(self) -> str:
        return shown(self.options.delta)

    def fingerprint(self, place: Place) -> str:
        table = self._table(place.project_dir)
        return f"delta:{table.metadata().id}@{table.version()}"

    def open(self, connection: Any, ctx: Context) -> Relation:
        return Relation(batches=self.newer(None, ctx))

    def newer(self, after: Any, ctx: Context) -> Iterator[pa.RecordBatch]:
        """See `IncrementalSource`; the log's statistics say which files are read at all."""
        import pyarrow as pa
        from deltalake import QueryBuilder

        table = self._table(ctx.project_dir)
        with told(self.uri(), _FIX):
            schema = pa.schema(table.schema())
            listed = ", ".join(map(quote, chosen(self.options.columns, schema.names, self.uri())))
            query = f"SELECT {listed} FROM data"
            cursor = self.options.incremental.cursor if self.options.incremental else ""
            if after is not None and cursor:
                chosen([cursor], schema.names, self.uri())
                query += f" WHERE {quote(cursor)} >= {_literal(after, schema.field(cursor).type)}"
            reader = QueryBuilder(_ENGINE).register("data", table).execute(query)
            yield from pa.RecordBatchReader.from_stream(reader)

    def _table(self, project_dir: Path) -> DeltaTable:
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        options = self.options
        where = located(expanded(options.delta, f"acquire.sources.{self.name}.delta"), project_dir)
        with told(self.uri(), _FIX):
            try:
                table = DeltaTable(where, storage_options=storage(where))
            except TableNotFoundError:
                raise _no_table(options.delta, project_dir) from None
            newest = table.version()
            if options.version is not None:
                if options.version > newest:
                    raise DataError(
                        f"'{self.uri()}' has no version {options.version}", fix=f"the newest is {newest}"
                    )
                table.load_as_version(options.version)
            elif options.timestamp is not None:
                self._at(table, dt.datetime.fromisoformat(options.timestamp))
            return table

    def _at(self, table: DeltaTable, moment: dt.datetime) -> None:
        """Go back to the version of a moment. Before the first one there is none; delta-rs would give the first."""
        made_at = {entry.get("version"): entry["timestamp"] / 1000 for entry in table.history()}
        table.load_as_version(moment)
        made = made_at.get(table.version(), 0.0)
        if moment.timestamp() < made:
            first = dt.datetime.fromtimestamp(made, dt.UTC).isoformat(timespec="milliseconds")
            raise DataError(
                f"'{self.uri()}' was not there at {moment.isoformat()}", fix=f"its log begins at {first}"
            )


def located(path: str, project_dir: Path) -> str:
    """The table's address, absolute where it is on this disk."""
    if is_remote(path):
        return path
    return str((project_dir / Path(path.removeprefix("file://")).expanduser()).absolute())


def storage(where: str) -> dict[str, str] | None:
    """What delta-rs is told beside its own reading of the environment (AWS_*, GOOGLE_*, AZURE_*).

    An endpoint without TLS stands in the environment on purpose; a server that is away is given up after a while.
    """
    if not is_remote(where):
        return None
    options = {"max_retries": "4", "retry_timeout": "30s", "timeout": "60s"}
    if os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"):
        options["allow_http"] = "true"
    return options


def _no_table(path: str, project_dir: Path) -> DataError:
    where = Path(located(path, project_dir))
    if is_remote(path):
        return DataError(f"no Delta table '{path}'", why="no _delta_log is there", fix="check the address")
    if where.is_dir():
        fix = "give the folder that has _delta_log, or `parquet:` for plain Parquet files"
        return DataError(f"folder '{path}' is no Delta table", why="it has no _delta_log", fix=fix)
    return DataError(f"no Delta table '{path}'", why=f"looked for {where}", fix=nearest(where))


def _literal(value: Any, dtype: pa.DataType) -> str:
    """A value as DataFusion reads it in SQL, of the type of its column.

    >>> import pyarrow as pa
    >>> _literal("it's", pa.string()), _literal(7, pa.int64())
    ("'it''s'", '7')
    """
    import pyarrow as pa

    if isinstance(value, dt.datetime) and pa.types.is_date(dtype):
        value = value.date()
    if isinstance(value, dt.datetime):
        naive = value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
        zone = f'Some("{dtype.tz}")' if getattr(dtype, "tz", None) else "None"
        return f"arrow_cast('{naive.isoformat()}', 'Timestamp(Microsecond, {zone})')"
    if isinstance(value, dt.date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, bool | int | float | Decimal):
        return repr(value) if isinstance(value, float) else str(value)
    return "'" + str(value).replace("'", "''") + "'"
