"""What was read before and what is new, made into one table, as if everything had been read now.

With a key the version of a row with the greatest cursor counts, of equal ones that of the later reading. Without one
the rows from where reading began are those of the later reading, whole: rows that stand twice are meant twice, and
those at the border are not doubled. The order is that of the cursor, then of the key, then of all other columns, so
that the same rows give the same bytes, however often they were read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.acquire.batches import Spooled
from bessemer.acquire.incremental.position import Position, ahead, from_then, greatest, ordered
from bessemer.acquire.options import Incremental
from bessemer.core.errors import DataError, did_you_mean
from bessemer.core.parquet import ROW_GROUP
from bessemer.core.sql import literal, quote
from bessemer.core.store import explained
from bessemer.engines.columns import describe

if TYPE_CHECKING:
    import pyarrow as pa

_READ = quote("bessemer read")


@dataclass(frozen=True)
class Before:
    """The rows of earlier readings: a Parquet file, its columns (name, whether it has a type), and where the new
    reading began."""

    path: Path
    columns: Sequence[tuple[str, bool]]
    after: Position

    @property
    def relation(self) -> str:
        """The file as a table, without columns that have had no value so far: these take the type they get."""
        untyped = [quote(name) for name, typed in self.columns if not typed]
        without = f" EXCLUDE ({', '.join(untyped)})" if untyped else ""
        return f"(SELECT *{without} FROM read_parquet({literal(self.path)}))"


class Merge:
    """One reading of a source and the ones before it.

    connection: DuckDB. asked: `incremental` of the source, whose name is for errors.
    """

    def __init__(
        self, connection: Any, new: Spooled, before: Before | None, asked: Incremental, source: str
    ) -> None:
        self.connection, self.new, self.before, self.asked, self.source = (
            connection,
            new,
            before,
            asked,
            source,
        )
        there = {name.lower() for name in new.columns}
        earlier = [pair for pair in before.columns if pair[0].lower() not in there] if before else []
        was = {name.lower(): typed for name, typed in before.columns} if before else {}
        now = [(name, typed or was.get(name.lower(), False)) for name, typed in new.columns.items()]
        #: The columns as the newest reading has them, then those that it has no more: name, whether it has a type.
        self.columns: tuple[tuple[str, bool], ...] = (*now, *earlier)
        for name in (asked.cursor, *asked.key):
            if name not in (names := list(new.columns)):
                raise DataError(
                    f"source '{source}' has no column '{name}', which `incremental` names",
                    fix=did_you_mean(name, names),
                )

    # what there is ------------------------------------------------------------------------------------
    def _type_in(self, relation: str) -> str:
        """The cursor's type in a relation, '' where it has none there."""
        return dict(describe(self.connection, relation)).get(self.asked.cursor, "")

    @property
    def cursor_type(self) -> str:
        """The cursor's type among the new rows; '' where none of them has a value."""
        return self._type_in(self.new.relation)

    def check_key(self) -> None:
        """
        Raises:
            DataError: a new row has no value of the key.
        """
        typed = self.new.columns
        tests = [f"{quote(name)} IS NULL" if typed[name] else "true" for name in self.asked.key]
        query = f"SELECT count(*) FROM {self.new.relation} WHERE {' OR '.join(tests) or 'false'}"
        if count := self.connection.execute(query).fetchone()[0]:
            raise DataError(
                f"{count:,} rows of source '{self.source}' have no value of the key {', '.join(self.asked.key)}",
                fix="name columns that every row has as `incremental.key`, or leave it out",
            )

    def fresh(self) -> int:
        """How many of the new rows are not among the earlier ones as they are; -1 where more than rows is different:
        the columns, or rows at the border that are gone.
        """
        before = self.before
        assert before is not None
        if tuple(before.columns) != self.columns:
            return -1
        old = dict(describe(self.connection, before.relation))
        both = f"(SELECT * FROM {before.relation} UNION ALL BY NAME SELECT * FROM {self.new.relation})"
        if dict(describe(self.connection, both)) != old:
            return -1
        names = [name for name, typed in self.new.columns.items() if typed]
        again = self._again(old[self.asked.cursor])
        border = f"SELECT {', '.join(map(quote, names))} FROM {before.relation} WHERE {again}"
        cast = ", ".join(f"CAST({quote(name)} AS {old[name]})" for name in names)
        arrived = f"SELECT {cast} FROM {self.new.relation}"
        count = "SELECT count(*) FROM ({})"
        found = int(self.connection.execute(count.format(f"{arrived} EXCEPT ALL {border}")).fetchone()[0])
        if not found and not self.asked.key:
            gone = self.connection.execute(count.format(f"{border} EXCEPT ALL {arrived}")).fetchone()[0]
            return -1 if gone else 0
        return found

    def _again(self, cursor_type: str) -> str:
        """The condition for earlier rows that the new reading has read again."""
        assert self.before is not None
        return from_then(self.asked.cursor, cursor_type, self.before.after)

    # the table ----------------------------------------------------------------------------------------
    def write(self, path: Path) -> None:
        """Write all rows to a Parquet file, in order.

        By Arrow: DuckDB's writer marks missing values in one of two ways, by how it came by the rows, and the same rows
        would not always have the same bytes.
        """
        import pyarrow.parquet as pq

        reader = self.connection.sql(self._query()).to_arrow_reader(ROW_GROUP)
        with explained("writing", path), pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
            for table in _exactly(reader, ROW_GROUP):
                writer.write_table(table, ROW_GROUP)

    def position(self, path: Path, until: dt.datetime) -> tuple[Position | None, int]:
        """The greatest value of the cursor in the file, of times the greatest before `until`, and how many rows have
        one from then on."""
        relation, cursor = f"read_parquet({literal(path)})", self.asked.cursor
        kind = self._type_in(relation) if dict(self.columns)[cursor] else ""
        if not kind:
            return None, 0
        found = greatest(self.connection, relation, cursor, kind, until)
        return found, ahead(self.connection, relation, cursor, kind, until)

    def _query(self) -> str:
        new = f"SELECT *, 1 AS {_READ} FROM {self.new.relation}"
        both = new if self.before is None else f"{new} UNION ALL BY NAME {self._earlier()}"
        rest = [n for n, typed in self.columns if typed and n not in (self.asked.cursor, *self.asked.key)]
        kind = self._type_in(
            f"({both})"
        )  # no type: no row has a value of it, and there is nothing to order by
        cursor = [ordered(self.asked.cursor, kind)] if kind else []
        table = self._latest(both, [*cursor, _READ, *map(quote, rest)]) if self.asked.key else both
        listed = ", ".join(
            quote(name) if typed else f"CAST(NULL AS VARCHAR) AS {quote(name)}"
            for name, typed in self.columns
        )
        order = [*cursor, *map(quote, self.asked.key), *map(quote, rest)]
        by = ", ".join(f"{each} ASC NULLS FIRST" for each in order) or "1"
        return f"SELECT {listed} FROM ({table}) ORDER BY {by}"

    def _earlier(self) -> str:
        """The earlier rows; without a key those that were not read again."""
        assert self.before is not None
        kind = self._type_in(self.before.relation)
        only = "" if self.asked.key or not kind else f" WHERE ({self._again(kind)}) IS NOT TRUE"
        return f"SELECT *, 0 AS {_READ} FROM {self.before.relation}{only}"

    def _latest(self, both: str, first: Sequence[str]) -> str:
        """Of each row the version that counts. Earlier rows whose keys are not among the new ones are not sorted."""
        of = ", ".join(map(quote, self.asked.key))
        by = ", ".join(f"{each} DESC NULLS LAST" for each in first)
        latest = f"QUALIFY row_number() OVER (PARTITION BY {of} ORDER BY {by}) = 1"
        if self.before is None or not self._same_key_types():
            return f"SELECT * FROM ({both}) {latest}"
        keys = f"(SELECT DISTINCT {of} FROM {self.new.relation})"
        earlier = f"FROM ({self._earlier()}) SEMI JOIN {keys} USING ({of})"
        touched = f"SELECT *, 1 AS {_READ} FROM {self.new.relation} UNION ALL BY NAME SELECT * {earlier}"
        untouched = f"SELECT * FROM ({self._earlier()}) ANTI JOIN {keys} USING ({of})"
        return f"(SELECT * FROM ({touched}) {latest}) UNION ALL BY NAME {untouched}"

    def _same_key_types(self) -> bool:
        """Whether keys can be compared as they are."""
        assert self.before is not None
        old, new = (
            dict(describe(self.connection, each)) for each in (self.before.relation, self.new.relation)
        )
        return all(name in old and old[name] == new.get(name) for name in self.asked.key)


def _exactly(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of exactly so many, and what is left."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        while count + batch.num_rows >= rows:
            first, batch = batch.slice(0, rows - count), batch.slice(rows - count)
            yield pa.Table.from_batches([*held, first]).combine_chunks()
            held, count = [], 0
        if batch.num_rows:
            held.append(batch)
            count += batch.num_rows
    if held:
        yield pa.Table.from_batches(held).combine_chunks()
