"""JSON over HTTP: the records of an address, page by page."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from bessemer.acquire.options import IncrementalOptions
from bessemer.acquire.protocol import Relation
from bessemer.acquire.rest.client import Pages
from bessemer.acquire.rest.columns import typed
from bessemer.acquire.rest.paging import RestPage, first
from bessemer.acquire.rest.records import Lines
from bessemer.acquire.served import ServedSource
from bessemer.acquire.transfer.http import Http
from bessemer.acquire.transfer.patience import Patience
from bessemer.core.errors import DataError, UsageError, did_you_mean
from bessemer.core.secrets import expanded, secret
from bessemer.core.spec import Duration
from bessemer.core.sql import literal, quote
from bessemer.core.store import explained

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context

_ROWS = 65_536
Value = str | int | float | bool


class RestSource(IncrementalOptions):
    rest: Annotated[str, Field(pattern=r"^(https?://|\$\{)")] = Field(
        description="The address. ${NAME} is taken from the environment, also in `params` and `headers`."
    )
    records: str = Field(
        default="",
        description="Where the list of records is in an answer, as data.items; the answer itself by default.",
    )
    params: dict[str, Value] = Field(default_factory=dict, description="Parameters of the address.")
    headers: dict[str, str] = Field(
        default_factory=dict, description="Headers of the request, as {X-Api-Key: '${API_KEY}'}."
    )
    token_env: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="The environment variable with a token, which is sent as a bearer token.",
    )
    page: RestPage | None = Field(
        default=None,
        description="How the pages follow, as {next: links.next}; one answer has all by default.",
    )
    since: str | None = Field(
        default=None,
        min_length=1,
        description="The parameter that takes the value of the cursor from which on to give; with `incremental`.",
    )
    rate: float | None = Field(default=None, gt=0, le=10_000, description="The most requests a second.")
    retries: int = Field(
        default=4, ge=0, le=100, description="How often in a row a page is asked for again when it fails."
    )
    timeout: Duration = Field(
        default=60.0, gt=0, le=3600, description="How long the server may be silent in an answer."
    )
    limit: int | None = Field(default=None, ge=1, description="The most records to read.")

    @model_validator(mode="after")
    def _asked_since(self) -> Self:
        if self.incremental and not self.since:
            raise ValueError("`incremental` needs `since`: the parameter that takes the value of the cursor")
        if self.incremental and self.limit:
            raise ValueError("with `incremental` a `limit` would leave out what comes after it for ever")
        return self


class Rest(ServedSource[RestSource]):
    """The records of an address. A server has no fingerprint.

    The records are written down as they come; then the types are those that fit all values of a column, as in files of
    JSON lines. Lists and objects are JSON text.
    """

    def uri(self) -> str:
        return self.options.rest

    def open(self, connection: Any, ctx: Context) -> Relation:
        file = self._file(ctx)
        lines = self._pulled(file, None, ctx)
        if not lines.count:
            raise DataError(
                f"'{self.uri()}' has no records",
                why="the answer's list is empty",
                fix="check the address and `params`",
            )
        return Relation(typed(connection, file), files=(file,), header=tuple(lines.names))

    def newer(self, after: Any, ctx: Context) -> Iterator[pa.RecordBatch]:
        """See `IncrementalSource`. The server is asked for what is new; what it gives beside that is left out."""
        file = self._file(ctx)
        lines = self._pulled(file, after, ctx)
        if not lines.count:
            return
        cursor = self.options.incremental.cursor if self.options.incremental else ""
        if cursor not in lines.names:
            raise DataError(
                f"'{self.uri()}' has no '{cursor}'",
                why="it is the cursor",
                fix=did_you_mean(cursor, lines.names),
            )
        connection = ctx.connect()
        try:
            query = typed(connection, file)
            if after is not None:
                ((kind,),) = connection.execute(
                    f"SELECT typeof({quote(cursor)}) FROM ({query}) LIMIT 1"
                ).fetchall()
                if kind == '"NULL"':
                    return  # rows without a cursor come with the first call alone
                start = after.isoformat() if isinstance(after, dt.datetime) else str(after)
                query = f"SELECT * FROM ({query}) WHERE {quote(cursor)} >= CAST({literal(start)} AS {kind})"
            yield from connection.sql(query).to_arrow_reader(_ROWS)
        finally:
            connection.close()

    def _file(self, ctx: Context) -> Path:
        return ctx.workdir / "rest" / f"{hashlib.sha256(self.name.encode()).hexdigest()[:16]}.jsonl"

    def _pulled(self, file: Path, after: Any, ctx: Context) -> Lines:
        """Write all records down."""
        options, lines = self.options, Lines(file, self.uri())
        patience = replace(Patience(), read=options.timeout, attempts=options.retries + 1, longest_wait=600.0)
        setting = f"acquire.sources.{self.name}"
        params = {name: expanded(_text(value), f"{setting}.params") for name, value in options.params.items()}
        if after is not None and options.since:
            params[options.since] = _text(after)
        with (
            closing(
                Http(expanded(options.rest, setting), self.uri(), patience, self._headers(setting))
            ) as http,
            explained("writing", file),
            lines.open() as out,
            ctx.progress(f"reading {self.name}") as bar,
        ):
            pages = Pages(http, self.uri(), options.page, options.records, options.rate, patience)
            for records in pages.read(first(options.page, http.url, params)):
                most = None if options.limit is None else options.limit - lines.count
                lines.add(out, records[:most])
                bar.advance(len(records))
                if lines.count == options.limit:
                    break
        return lines

    def _headers(self, setting: str) -> dict[str, str]:
        found = {"accept": "application/json"}
        for name, value in self.options.headers.items():
            found[name] = expanded(value, f"{setting}.headers")
        if self.options.token_env:
            found["authorization"] = f"Bearer {secret(self.options.token_env, 'the token of ' + self.uri())}"
        for name, value in found.items():
            if not (name + value).isascii() or not (name + value).isprintable():
                raise UsageError(
                    f"the header '{name}' for {self.uri()} has a character that no header may have",
                    why="only letters without accents, digits and signs are sent",
                    fix="look at the environment variable that it is from",
                )
        return found


def _text(value: Any) -> str:
    """A parameter as an address has it; a time in UTC.

    >>> _text(True), _text(1.5), _text(dt.datetime(2024, 1, 2, 3, 4, 5))
    ('true', '1.5', '2024-01-02T03:04:05Z')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None).isoformat() + "Z"
    return str(value)
