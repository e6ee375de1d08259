"""Rows of whatever the project file's `acquire: sources` can name: databases, functions, files in their own words."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bessemer.acquire.batches import spool
from bessemer.acquire.plugins import SOURCES
from bessemer.acquire.protocol import Place
from bessemer.acquire.sources.csv import CsvSource
from bessemer.acquire.sources.python import PythonSource
from bessemer.acquire.sources.sql import SqlSource
from bessemer.acquire.spec import PluginSource, kind_of
from bessemer.core import canonical, sql
from bessemer.core.errors import DataError, UsageError, did_you_mean
from bessemer.core.parquet import machine_explained, write_parquet
from bessemer.core.stage import Context
from bessemer.core.store import Store, write_atomic
from bessemer.predict.batches import exact
from bessemer.predict.protocol import Batch

if TYPE_CHECKING:
    from bessemer.core.signature import Field

_MEMORY = 2**30
_NAME = "data"
#: Kinds of sources that are files; the others are servers.
_OF_FILES = ("csv", "jsonl", "parquet", "excel", "avro", "orc", "images")


class _Facts(MutableMapping[str, str]):
    """The memo of file digests that takes a file's path, size, time and inode for its digest: nothing is read."""

    def __getitem__(self, key: str) -> str:
        return hashlib.sha256(key.encode()).hexdigest()

    def __contains__(self, key: object) -> bool:
        return True

    def __setitem__(self, key: str, value: str) -> None: ...
    def __delitem__(self, key: str) -> None: ...
    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class RelationRows:
    """The wanted columns of a source, in its order.

    snapshot: a folder to keep the rows in before any is scored. What was kept there by an earlier call with the
    same `asked` is read again, so that a source which is never twice the same can be gone on with.
    """

    def __init__(
        self,
        options: Any,
        inputs: Sequence[Field],
        keep: Sequence[str],
        rows: int,
        folder: Path,
        snapshot: Path | None = None,
        asked: str = "",
    ) -> None:
        self._options, self._inputs, self._keep, self._rows = options, inputs, keep, rows
        self._wanted = list(dict.fromkeys([*keep, *(field.name for field in inputs)]))
        self._folder, self._snapshot, self._asked = folder, snapshot, asked
        self._source = _opened(options)
        self.uri = self._source.uri()
        self._query = ""
        self._connection = sql.connect(threads=1, memory=_MEMORY, temporary=folder / "spill")
        self.unstable = "" if snapshot else unstable(options, self.fingerprint())

    def fingerprint(self) -> str:
        if self._snapshot is not None:
            self._selected()
            return f"snapshot {json.loads((self._snapshot / 'made.json').read_text('utf-8'))['id']}"
        content = str(self._source.fingerprint(Place(Path.cwd(), _Facts())))
        return f"{content} {canonical.digest(self._options)}{_journal(self._options)}"

    def empty(self) -> pa.Table:
        return self._stream(f"{self._selected()} LIMIT 0").schema.empty_table()

    def batches(self, file: int, row: int) -> Iterator[Batch]:
        done = row
        for table in exact(self._read(f"{self._selected()} OFFSET {int(row)}"), self._rows):
            done += table.num_rows
            yield Batch(table, 0, done)

    def _read(self, query: str) -> Iterator[pa.RecordBatch]:
        stream = self._stream(query)
        while True:
            try:
                batch = next(stream, None)
            except pa.ArrowException as error:
                raise self._failed(error) from None
            if batch is None:
                return
            yield batch

    def _stream(self, query: str) -> Any:
        import duckdb

        try:
            return self._connection.sql(query).to_arrow_reader(self._rows)
        except (duckdb.Error, pa.ArrowException) as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> DataError:
        return DataError(
            f"'{self.uri}' cannot be read", why=str(error).splitlines()[0], fix="check the source"
        )

    def _selected(self) -> str:
        """The query for the wanted columns; the source is opened once."""
        if not self._query:
            with machine_explained("reading the source into", self._folder):
                relation = self._kept() if self._snapshot is not None else self._relation(self._folder)
            names = self._described(relation)
            for name in self._keep:
                if name not in names:
                    raise UsageError(
                        f"'{self.uri}' has no column '{name}' to keep", fix=did_you_mean(name, names)
                    )
            chosen = [name for name in self._wanted if name in names] or list(names)[:1]
            self._query = f"SELECT {', '.join(map(sql.quote, chosen))} FROM ({relation})"
        return self._query

    def _described(self, relation: str) -> dict[str, str]:
        rows = self._stream(f"DESCRIBE SELECT * FROM ({relation})").read_all().to_pylist()
        return {row["column_name"]: row["column_type"] for row in rows}

    def _relation(self, folder: Path) -> str:
        """The query for all of the source; batches are kept in a folder first, and so have one type a column."""
        ctx = _context(folder)
        relation = self._source.open(self._connection.cursor(), ctx)  # it may leave a result half read
        if relation.batches is not None:
            return spool(relation.batches, folder / "batches", f"'{self.uri}'")[0]
        if isinstance(self._options, CsvSource):
            found = self._described(relation.query)
            texts = [*self._keep, *(field.name for field in self._inputs if field.dtype == "string")]
            wrong = [
                n for n in texts if found.get(n, "VARCHAR") != "VARCHAR" and n not in self._options.types
            ]
            if wrong:  # an id of '00012' is not 12
                types = {**self._options.types, **dict.fromkeys(wrong, "string")}
                again = self._options.model_copy(update={"types": types})
                return str(_opened(again).open(self._connection.cursor(), ctx).query)
        return str(relation.query)

    def _kept(self) -> str:
        """The query for the snapshot, which is made if an earlier call did not leave it whole."""
        folder = self._snapshot
        assert folder is not None
        made = folder / "made.json"
        with suppress(OSError, ValueError):
            if json.loads(made.read_text("utf-8"))["asked"] == self._asked:
                return _parquet(folder / "rows.parquet")
        made.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        write_parquet(self._connection, self._relation(self._folder), folder / "rows.parquet")
        write_atomic(made, json.dumps({"asked": self._asked, "id": uuid.uuid4().hex}).encode())
        return _parquet(folder / "rows.parquet")

    def close(self) -> None:
        self._connection.close()


def _parquet(path: Path) -> str:
    return f"SELECT * FROM read_parquet({sql.literal(path)})"


def _opened(options: Any) -> Any:
    given = options.model_extra if isinstance(options, PluginSource) else options
    return SOURCES.load(kind_of(options))(_NAME, given)


def _context(folder: Path) -> Context:
    """What a source may touch: a folder, and DuckDB on one thread, so that the order is the same every time."""
    return Context(Store(folder / "store"), "predict", {}, 0, Path.cwd(), folder, threads=1, memory=_MEMORY)


def _journal(options: Any) -> str:
    """What SQLite or DuckDB has written beside the file and not yet into it."""
    if not isinstance(options, SqlSource):
        return ""
    file = Path(options.sql.partition(":///")[2])
    found = ((end, Path(f"{file}{end}")) for end in ("-wal", "-journal", ".wal"))
    facts = [(end, path.stat()) for end, path in found if path.is_file()]
    return "".join(f" {end} {fact.st_size} {fact.st_mtime_ns}" for end, fact in facts if fact.st_size)


def unstable(options: Any, fingerprint: str) -> str:
    """Why a source cannot be gone on with after a kill; '' where it can."""
    if isinstance(options, PythonSource):
        return f"what '{options.python}' gives may be other rows each time"
    if isinstance(options, SqlSource) and options.query and not _ordered(options):
        return "the query has no ORDER BY, so its rows have no order that holds"
    if fingerprint.startswith("always:"):
        files = isinstance(options, PluginSource) or kind_of(options) in _OF_FILES
        where = "the place of the files" if files else "the database"
        return f"{where} does not tell whether the rows have changed"
    return ""


def _ordered(options: SqlSource) -> bool:
    import sqlglot
    from sqlglot.errors import SqlglotError

    scheme = options.sql.partition(":")[0].replace("postgresql", "postgres")
    try:
        query = sqlglot.parse_one(
            options.query or "", read=scheme if scheme in ("sqlite", "duckdb") else None
        )
    except SqlglotError:
        return False
    return bool(query.args.get("order"))
