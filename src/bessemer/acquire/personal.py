"""Personal data at the door: columns are hashed, masked or dropped before anything of them is stored.

A source with such columns is landed at once, changed, in the stage's own folder; the project's SQL and all that
follows sees that file alone. Equal values have equal hashes in every source and run, so that hashed columns can be
joined.
"""

from __future__ import annotations

import hmac
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from bessemer.acquire.protocol import Relation
from bessemer.acquire.transfer.kept import forget_files
from bessemer.core.errors import BessemerError, DataError, Fault, ProjectError, UsageError, did_you_mean
from bessemer.core.parquet import write_parquet
from bessemer.core.secrets import secret
from bessemer.core.sql import literal, quote
from bessemer.engines.columns import describe

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from bessemer.core.stage import Context

Treatment = Literal["hash", "mask", "drop"]
#: Digits of the hash that are kept: 128 bits, so that no two of a table's values have one.
_DIGITS = 32
#: A shorter key could be guessed, and with it the values.
_SHORTEST = 16
_BLOCK = 64  # of SHA-256, in bytes


def key_mark(variable: str) -> str:
    """A text that tells keys apart and says nothing of them: with another key everything is read again."""
    return hmac.digest(_key(variable), b"bessemer: which key", "sha256").hex()[:16]


def _key(variable: str) -> bytes:
    key = secret(variable, "the key that personal data is hashed with").encode()
    if len(key) < _SHORTEST:
        raise UsageError(
            f"the key in {variable} has {len(key)} bytes, {_SHORTEST} are the least",
            fix=f"export {variable}=$(openssl rand -hex 32), and keep it: with another key the hashes are others",
        )
    return key


def _own(personal: Mapping[str, Treatment], source: str, columns: Sequence[str]) -> dict[str, Treatment]:
    """The treatment of each of a source's columns that has one; `source.column` is of that source alone."""
    wanted = {name.lower(): treatment for name, treatment in personal.items()}
    found = {c: wanted.get(f"{source}.{c}".lower(), wanted.get(c.lower())) for c in columns}
    return {column: treatment for column, treatment in found.items() if treatment is not None}


def _changed(column: str, treatment: Treatment) -> str:
    """SQL of the changed value; NULL stays NULL. The key's two blocks are variables of the connection."""
    text = f"CAST({quote(column)} AS VARCHAR)"
    if treatment == "hash":  # HMAC, RFC 2104
        inner = f"unhex(sha256(getvariable('bessemer_inner') || encode({text})))"
        return f"left(sha256(getvariable('bessemer_outer') || {inner}), {_DIGITS})"
    for letters, shown in ((r"[\p{Lu}\p{Lt}]", "X"), (r"[\p{Ll}\p{Lm}\p{Lo}]", "x"), (r"\p{N}", "9")):
        text = f"regexp_replace({text}, '{letters}', '{shown}', 'g')"
    return text


class Door:
    """What all sources of a run come through. `personal` maps columns, or `source.column`, to what is done to them."""

    def __init__(self, personal: Mapping[str, Treatment], variable: str) -> None:
        self.personal = personal
        self._variable = variable
        self._seen: set[str] = set()
        self._columns: set[str] = set()

    @contextmanager
    def kept_clean(self, ctx: Context) -> Iterator[Context]:
        """A context whose files go when the block fails, and that keeps no copies of sources between runs.

        Copies that were kept before the columns were personal go now.
        """
        if not self.personal:
            yield ctx
            return
        forget_files(ctx.cache)
        try:
            yield replace(ctx, kept=None)
        except BaseException:
            shutil.rmtree(ctx.workdir, ignore_errors=True)
            raise

    def through(self, name: str, relation: Relation, connection: Any, landed: Path) -> Relation:
        """The source as the rest of the stage may see it.

        Args:
            landed: the file a source with personal data is written to.

        Raises:
            DataError: it cannot be read; without DuckDB's reason, which quotes the data.
        """
        if not self.personal:
            return relation
        if relation.batches is not None:
            return replace(relation, batches=self.batches(name, relation.batches))
        import duckdb

        with self.unquoted(name):
            try:
                columns = [column for column, _ in describe(connection, f"({relation.query})")]
                own = self._known(name, columns)
                if not own:
                    return relation
                self._refuse_twice(own, relation.header)
                with self._keyed(connection, own):
                    write_parquet(connection, _select(columns, own, f"({relation.query})"), landed)
            except duckdb.Error as error:
                if isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException):
                    raise
                raise (relation.explain or _unexplained)(error) from None
        header = tuple(column for column in relation.header if own.get(column) != "drop")
        query = f"SELECT * FROM read_parquet({literal(landed)})"
        return Relation(query, direct=True, files=(landed,), header=header)

    def batches(self, name: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches of a source, changed as they come, before any of them is written."""
        import duckdb

        with self.unquoted(name):
            connection: Any = None
            try:
                for batch in batches:
                    own = self._known(name, batch.schema.names)
                    self._refuse_twice(own, batch.schema.names)
                    if own and batch.num_rows:
                        if connection is None:
                            connection = duckdb.connect(":memory:", config={"threads": 1})
                            connection.execute("SET TimeZone = 'UTC'")
                        yield self._batch(connection, batch, own)
                    else:
                        yield batch.select(
                            [i for i, c in enumerate(batch.schema.names) if own.get(c) != "drop"]
                        )
            finally:
                if connection is not None:
                    connection.close()

    def _batch(self, connection: Any, batch: pa.RecordBatch, own: Mapping[str, Treatment]) -> pa.RecordBatch:
        """Only the changed columns go through DuckDB: the others keep their Arrow types."""
        import pyarrow as pa

        changed = {c: t for c, t in own.items() if t != "drop"}
        kept = [
            (c, column)
            for c, column in zip(batch.schema.names, batch.columns, strict=True)
            if own.get(c) != "drop"
        ]
        if changed:
            connection.register("batch", pa.table([batch.column(c) for c in changed], list(changed)))
            with self._keyed(connection, own):
                query = ", ".join(f"{_changed(c, t)} AS {quote(c)}" for c, t in changed.items())
                made = connection.sql(f"SELECT {query} FROM batch").to_arrow_table().combine_chunks()
            connection.unregister("batch")
            kept = [(c, made.column(c).chunk(0) if c in changed else column) for c, column in kept]
        return pa.record_batch([column for _, column in kept], names=[c for c, _ in kept])

    def check(self) -> None:
        """Every column that is named was there; called when all sources are open.

        Raises:
            ProjectError: naming those that were not: a slip would let personal data in.
        """
        faults = [
            Fault(
                f"acquire.personal.{name}",
                None,
                f"no source has a column '{name}'",
                did_you_mean(name, sorted(self._columns)),
            )
            for name in self.personal
            if name.lower() not in self._seen
        ]
        if faults:
            raise ProjectError(faults)

    def _known(self, source: str, columns: Sequence[str]) -> dict[str, Treatment]:
        self._columns |= set(columns)
        self._seen |= {name.lower() for c in columns for name in (c, f"{source}.{c}")}
        return _own(self.personal, source, columns)

    def _refuse_twice(self, own: Mapping[str, Treatment], header: Sequence[str]) -> None:
        """Of two columns with one name the second is called otherwise, and would pass in clear."""
        lower = [name.lower() for name in header]
        for name in own:
            if lower.count(name.lower()) > 1:
                what = f"the column '{name}' stands twice in a source"
                raise ProjectError(
                    [Fault(f"acquire.personal.{name}", None, what, "rename one of them at the source")]
                )

    @contextmanager
    def _keyed(self, connection: Any, own: Mapping[str, Treatment]) -> Iterator[None]:
        """The connection knows the key for as long as the block lasts; it is in no text of a query."""
        if "hash" not in own.values():
            yield
            return
        import hashlib

        key = _key(self._variable)
        block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        connection.execute("SET VARIABLE bessemer_inner = $1", [bytes(b ^ 0x36 for b in block)])
        connection.execute("SET VARIABLE bessemer_outer = $1", [bytes(b ^ 0x5C for b in block)])
        try:
            yield
        finally:
            connection.execute("RESET VARIABLE bessemer_inner")
            connection.execute("RESET VARIABLE bessemer_outer")

    @contextmanager
    def unquoted(self, source: str, *, opening: bool = False) -> Iterator[None]:
        """Errors of reading quote what was read; with personal data they say only where it was.

        Args:
            opening: nothing but the error's reason can have a value in it yet.
        """
        try:
            yield
        except DataError as error:
            if not self.personal or (opening and not error.why):
                raise
            line = re.search(r"\b[Ll]ine:? (\d+)", f"{error.what} {error.why}")
            where = f", on line {line[1]}" if line else ""
            raise DataError(
                (error.what if opening else f"source '{source}' cannot be read") + where,
                why="the reason may quote the data, and `acquire.personal` keeps that from being shown",
                fix=_plain(error),
            ) from None


def _plain(error: BessemerError) -> str:
    """What to do about it, where that does not quote a value either."""
    return "" if re.search(r"['\"`]", error.fix) else error.fix


def _unexplained(error: Exception) -> DataError:
    return DataError(type(error).__name__)


def _select(columns: Sequence[str], own: Mapping[str, Treatment], relation: str) -> str:
    listed = [
        quote(c) if c not in own else f"{_changed(c, own[c])} AS {quote(c)}"
        for c in columns
        if own.get(c) != "drop"
    ]
    return f"SELECT {', '.join(listed)} FROM {relation}"
