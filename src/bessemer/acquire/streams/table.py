"""The Delta table that a topic lands in: rows, and in the same commit how far each partition is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bessemer.core.errors import BessemerError, DataError, StoreError
from bessemer.core.sql import quote

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable, WriterProperties


class Overtaken(Exception):
    """Somebody else has committed meanwhile what this commit depends on: look at the table again."""


def base_schema(*, key: bool = False, headers: bool = False) -> pa.Schema:
    """The columns that say where a row was, and what became of it."""
    import pyarrow as pa

    fields = [
        ("_partition", pa.int32()),
        ("_offset", pa.int64()),
        ("_timestamp", pa.timestamp("us", "UTC")),
        ("_error", pa.string()),
        ("_raw", pa.binary()),
    ]
    fields += [("_key", pa.string())] if key else []
    fields += [("_headers", pa.string())] if headers else []
    return pa.schema(fields)


class LandingTable:
    """A table of one topic, held at one version.

    How far a partition is stands in the log as an application transaction of its own. A commit that writes one fails
    where another commit, behind the version that is held, has written the same: so of two writers of a partition only
    the first one's rows go in. Writers of different partitions do not hinder each other.

    Args:
        uri: a folder, or a URL of an object store that Delta's library knows.
        topic: whose messages it has; a table of another topic is refused.
        storage: what Delta's library is told of the object store.
    """

    def __init__(self, uri: str, topic: str, storage: Mapping[str, str] | None = None) -> None:
        self.uri, self.topic = uri, topic
        self._storage = dict(storage or {}) or None
        self._table: DeltaTable | None = None

    def _app(self, partition: int) -> str:
        return f"bessemer/{self.topic}/{partition}"

    def exists(self) -> bool:
        """Whether it is there; it is opened then."""
        from deltalake import DeltaTable

        if self._table is None:
            with self._explained("read"):
                if DeltaTable.is_deltatable(self.uri, self._storage):
                    self._table = self._checked(DeltaTable(self.uri, storage_options=self._storage))
        return self._table is not None

    def create(self, schema: pa.Schema) -> None:
        """Make it where it is not there; of several writers who do this one makes it."""
        from deltalake import DeltaTable

        if self.exists():
            return
        with self._explained("made"):
            DeltaTable.create(self.uri, schema, mode="ignore", name=self.topic, storage_options=self._storage)
            self._table = self._checked(DeltaTable(self.uri, storage_options=self._storage))

    def _checked(self, table: DeltaTable) -> DeltaTable:
        name = table.metadata().name
        if name != self.topic or "_offset" not in [field.name for field in table.schema().fields]:
            what = f"'{self.uri}' is a Delta table of something else"
            why = f"it has the messages of the topic '{name}'" if name else "no topic has landed in it"
            raise DataError(what, why=why, fix=f"`land:` another folder for '{self.topic}'")
        return table

    @property
    def table(self) -> DeltaTable:
        assert self._table is not None, "the table was not opened"
        return self._table

    def refresh(self) -> None:
        """Go to the newest version."""
        with self._explained("read"):
            self.table.update_incremental()

    @property
    def version(self) -> int:
        return self.table.version()

    def nexts(self, partitions: Iterable[int]) -> dict[int, int]:
        """The next offset of each partition of which something has landed, at the version that is held."""
        found = {partition: self.table.transaction_version(self._app(partition)) for partition in partitions}
        return {partition: there for partition, there in found.items() if there is not None}

    def columns(self) -> dict[str, pa.DataType]:
        """All columns and their types."""
        import pyarrow as pa

        schema = pa.schema(self.table.schema().to_arrow())
        return {field.name: _plain(field.type) for field in schema}

    def rows(self, columns: Sequence[str]) -> pa.RecordBatchReader:
        """The rows that could be read, of the version that is held, as a stream in no particular order."""
        import pyarrow as pa
        from deltalake import QueryBuilder

        listed = ", ".join(map(quote, columns))
        with self._explained("read"):
            query = f"SELECT {listed} FROM landed WHERE _error IS NULL"
            return pa.RecordBatchReader.from_stream(
                QueryBuilder().register("landed", self.table).execute(query)
            )

    def unreadable(self) -> tuple[int, str]:
        """How many messages could not be read, of the version that is held, and where and why the first was none."""
        import pyarrow as pa
        from deltalake import QueryBuilder

        query = (
            "SELECT _partition, _offset, _error, count(*) OVER () AS n FROM landed WHERE _error IS NOT NULL "
            "ORDER BY _partition, _offset LIMIT 1"
        )
        with self._explained("read"):
            found = QueryBuilder().register("landed", self.table).execute(query)
            first = pa.RecordBatchReader.from_stream(found).read_all().to_pylist()
        if not first:
            return 0, ""
        row = first[0]
        return row["n"], f"partition {row['_partition']}, offset {row['_offset']}: {row['_error']}"

    def append(self, rows: pa.Table, nexts: Mapping[int, int]) -> None:
        """Add rows and the next offset of each partition, in one commit; new columns are added to the table.

        Raises:
            Overtaken: another writer has committed since the version that is held, and one of the two does not go
                with this. Nothing was written.
        """
        import time

        from deltalake import CommitProperties, Transaction, write_deltalake
        from deltalake.exceptions import CommitFailedError, SchemaMismatchError

        now = int(time.time() * 1000)
        moved = [Transaction(self._app(partition), there, now) for partition, there in sorted(nexts.items())]
        with self._explained("written"):
            try:
                write_deltalake(
                    self.table,
                    rows,
                    mode="append",
                    schema_mode="merge",
                    writer_properties=_written(),
                    commit_properties=CommitProperties(app_transactions=moved),
                )
            except (CommitFailedError, SchemaMismatchError) as error:
                raise Overtaken(str(error)) from error

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        from deltalake.exceptions import DeltaError

        try:
            yield
        except (BessemerError, Overtaken):
            raise
        except (DeltaError, OSError) as error:
            why = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            fix = "check the folder or the bucket, its rights and its space"
            raise StoreError(f"the Delta table '{self.uri}' cannot be {done}", why=why, fix=fix) from error


def _written() -> WriterProperties:
    """Zstandard instead of dictionaries: half of the CPU, and a fourth of the bytes where values hardly repeat."""
    from deltalake import ColumnProperties, WriterProperties

    plain = ColumnProperties(dictionary_enabled=False)
    return WriterProperties(compression="ZSTD", compression_level=1, default_column_properties=plain)


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type with Arrow's plain layout: Delta's library gives views and large types too."""
    import pyarrow as pa

    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_binary_view(kind) or pa.types.is_large_binary(kind):
        return pa.binary()
    return kind
