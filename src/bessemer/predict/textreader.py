"""CSV and JSON lines, read by DuckDB in the types of the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bessemer.acquire.sources.csv import NULL_TEXTS
from bessemer.core import sql
from bessemer.core.errors import DataError

if TYPE_CHECKING:
    from bessemer.predict.datafiles import DataFile
    from bessemer.predict.filerows import FileRows

_MEMORY = 2**30
_SQL_TYPES = {"boolean": "BOOLEAN", "integer": "DOUBLE", "number": "DOUBLE", "string": "VARCHAR"}


class TextReader:
    """A CSV or JSON lines file, each column read as the type the model wants rather than the one it looks like."""

    def __init__(self, file: DataFile, rows: FileRows) -> None:
        self.file = file
        self._copy = file.local(rows.folder / "downloaded")
        self._connection = sql.connect(threads=1, memory=_MEMORY, temporary=rows.folder / "spill")
        try:
            self._query = self._composed(rows)
        except BaseException:
            self.close()
            raise

    def _composed(self, rows: FileRows) -> str:
        csv = self.file.kind == "csv"
        reader = "read_csv" if csv else "read_json"
        options = "header = true" if csv else "format = 'newline_delimited'"
        place = sql.literal(self._copy)
        described = self._stream(f"DESCRIBE FROM {reader}({place}, {options})", 100).read_all().to_pylist()
        found = {row["column_name"]: row["column_type"] for row in described}
        chosen = rows.chosen(self.file, list(found))
        kinds = {f.name: _SQL_TYPES[f.dtype] for f in rows.inputs if f.dtype in _SQL_TYPES}
        if csv:
            read = dict.fromkeys(chosen, "VARCHAR")
            kinds = {f.name: kinds.get(f.name, found.get(f.name, "VARCHAR")) for f in rows.inputs}
            columns = [_cell(name, kinds[name]) if name in kinds else sql.quote(name) for name in chosen]
        else:
            read = {name: kinds.get(name, found[name]) for name in chosen}
            columns = list(map(sql.quote, chosen))
        listed = ", ".join(
            f"{sql.literal(name)}: {sql.literal(kind)}" for name, kind in {**found, **read}.items()
        )
        return f"SELECT {', '.join(columns)} FROM {reader}({place}, {options}, columns = {{{listed}}})"

    def empty(self) -> pa.Table:
        return self._stream(f"{self._query} LIMIT 0", 1).schema.empty_table()

    def read(self, start: int, rows: int) -> Iterator[pa.RecordBatch]:
        stream = self._stream(f"{self._query} OFFSET {int(start)}" if start else self._query, rows)
        while True:
            with self._explained():
                batch = next(stream, None)
            if batch is None:
                return
            yield batch

    def _stream(self, query: str, rows: int) -> Any:
        with self._explained():
            return self._connection.sql(query).to_arrow_reader(rows)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except (duckdb.Error, pa.ArrowException) as error:
            raise DataError(
                f"cannot read '{self.file.path}'",
                why=str(error).split("\n\n")[0],
                fix="mend the file, or the column",
            ) from None

    def close(self) -> None:
        self._connection.close()
        if self.file.fs is not None:
            self._copy.unlink(missing_ok=True)


def _cell(name: str, kind: str) -> str:
    """A CSV cell as a value of the model: what means "no value" in training means it here.

    The quick tests come first: nearly every cell is longer than those texts, or is a value of the kind.
    """
    text, nothing = sql.quote(name), ", ".join(map(sql.literal, NULL_TEXTS))
    if kind == "VARCHAR":
        longest = max(len(one.encode()) for one in NULL_TEXTS)
        cell = f"CASE WHEN strlen({text}) > {longest} OR {text} NOT IN ({nothing}) THEN {text} END"
    else:
        slow = f"CASE WHEN {text} NOT IN ({nothing}) THEN CAST({text} AS {kind}) END"
        cell = f"coalesce(TRY_CAST({text} AS {kind}), {slow})"
    return f"{cell} AS {text}"
