"""Rows that stay at an engine: what is asked of all of them, and the sample that travels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import DataError
from bessemer.core.sql import literal, quote
from bessemer.engines.plugins import ENGINES
from bessemer.engines.remote import Query, Remote

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context
    from bessemer.engines.protocol import Engine

#: What the table is called in questions about it.
TABLE = "data"
#: The column that a sample's rows carry: the hash that chose them.
HASH = "bessemer_hash"
_DIGITS = 12


@dataclass(frozen=True)
class Table:
    """A table that an engine keeps.

    name: of the engine, for errors. kept: the table's name there. relation: what stands after FROM in its dialect.
    columns: names and types, the five. rows: how many.
    """

    engine: Engine
    name: str
    kept: str
    relation: str
    columns: tuple[tuple[str, str], ...]
    rows: int

    def query(self, sql: str, *, exact: bool = True) -> Query:
        """A SELECT of DuckDB's dialect from the table `data`, for the engine."""
        remote = Remote(self.engine, self.name)
        remote.add(TABLE, self.relation, self.columns)
        return remote.query(sql, exact=exact)

    def ask(self, sql: str, *, exact: bool = True) -> list[tuple[Any, ...]]:
        """The rows of a SELECT from the table `data`, with a small result: bool, int, float, str, datetime (UTC), None.

        Raises:
            DataError: it cannot be carried over, or the engine fails.
        """
        return self.engine.ask(self.query(sql, exact=exact).sql)

    def one(self, sql: str) -> Any:
        """The only value of a SELECT."""
        return self.ask(sql)[0][0]

    def part(self, rows: int, seed: int) -> str:
        """SQL that is true for about so many rows: those whose hash is small. The same rows each time.

        It holds texts of floats: ask with `exact=False`.
        """
        if rows >= self.rows:
            return "true"
        limit = int(rows / self.rows * 16**_DIGITS)
        return f"{self.hash(seed)} < {literal(f'{limit:0{_DIGITS}x}')}"

    def hash(self, seed: int) -> str:
        """The MD5 of a row's values and a seed, as SQL: 32 hexadecimal digits."""
        texts = ", '|', ".join(f"coalesce(CAST({quote(name)} AS VARCHAR), '~')" for name, _ in self.columns)
        return f"md5(concat({literal(f'{seed}|')}, {texts}))"

    def sample(self, rows: int, seed: int) -> Iterator[pa.RecordBatch]:
        """About `rows` rows, with their hash in a last column; in any order."""
        names = ", ".join(quote(name) for name, _ in self.columns)
        sql = f"SELECT {names}, {self.hash(seed)} AS {HASH} FROM {TABLE} WHERE {self.part(rows, seed)}"
        return self.engine.batches(self.query(sql, exact=False).sql)

    def to_json(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What an artifact says of it, for `reopened`. settings: the engine's, as the project file has them."""
        return {
            "engine": self.name,
            "settings": dict(settings),
            "table": self.kept,
            "rows": self.rows,
            "columns": [{"name": name, "dtype": kind} for name, kind in self.columns],
        }


def opened(name: str, settings: Mapping[str, Any], ctx: Context) -> Engine:
    """An engine that is not DuckDB, by its name and what the project file says of it."""
    kind = ENGINES.load(name)
    made: Engine = kind(kind.Settings.model_validate(settings), ctx)
    return made


def keep(engine: Engine, name: str, kept: str, query: Query) -> Table:
    """Store a query's rows at the engine, and count them."""
    relation = engine.keep(kept, query.sql)
    table = Table(engine, name, kept, relation, query.columns, 0)
    return Table(
        engine, name, kept, relation, query.columns, int(table.one(f"SELECT count(*) AS n FROM {TABLE}"))
    )


def reopened(told: Mapping[str, Any], ctx: Context) -> Table:
    """The table of an earlier stage or run. Whoever asks closes its engine.

    Raises:
        DataError: it is no longer there.
    """
    name = told["engine"]
    engine = opened(name, told["settings"], ctx)
    relation = engine.kept(told["table"])
    if relation is None:
        engine.close()
        raise DataError(
            f"the table '{told['table']}' is no longer at {name}",
            why="an earlier run kept the whole result there",
            fix="change `acquire.version` to make it again",
        )
    columns = tuple((column["name"], column["dtype"]) for column in told["columns"])
    return Table(engine, name, told["table"], relation, columns, told["rows"])
