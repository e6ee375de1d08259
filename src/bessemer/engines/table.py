"""Rows that stay at an engine: what is asked of all of them, and the sample that travels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
#: The column that is kept with each row: the hash that chooses a sample.
HASH = "bessemer_hash"
#: Hexadecimal digits of the hash, and of what it is compared with.
_KEPT, _DIGITS = 16, 12
#: Stands in a text for the rows that are to be kept.
_ROWS = "bessemer_rows"


@dataclass(frozen=True)
class Table:
    """A table that an engine keeps.

    name: of the engine, for errors. kept: the table's name there. relation: what stands after FROM in its dialect.
    columns: names and types, the five. rows: how many.
    sampled: about how many rows travelled; 0 where none has yet.
    """

    engine: Engine
    name: str
    kept: str
    relation: str
    columns: tuple[tuple[str, str], ...]
    rows: int
    sampled: int = 0

    def remote(self) -> Remote:
        """The engine with the table `data`, which has the column HASH too; others may be added."""
        made = Remote(self.engine, self.name)
        made.add(TABLE, self.relation, [*self.columns, (HASH, "VARCHAR")])
        return made

    def query(self, sql: str, *, exact: bool = True) -> Query:
        """A SELECT of DuckDB's dialect from the table `data`, for the engine."""
        return self.remote().query(sql, exact=exact)

    def ask(self, sql: str, *, exact: bool = True) -> list[tuple[Any, ...]]:
        """The rows of a SELECT from the table `data`, with a small result: bool, int, float, str, datetime (UTC), None.

        Raises:
            DataError: it cannot be carried over, or the engine fails.
        """
        return self.engine.ask(self.query(sql, exact=exact).sql)

    def one(self, sql: str) -> Any:
        """The only value of a SELECT."""
        return self.ask(sql)[0][0]

    def part(self, rows: int) -> str:
        """SQL that is true for about so many rows: those whose hash is small. The same rows each time."""
        if rows >= self.rows:
            return "true"
        limit = int(rows / self.rows * 16**_DIGITS)
        return f"{HASH} < {literal(f'{limit:0{_DIGITS}x}')}"

    def apart(self) -> str:
        """SQL that is true for the rows that did not travel with the sample."""
        return f"NOT ({self.part(self.sampled)})"

    def sample(self, rows: int) -> Iterator[pa.RecordBatch]:
        """About `rows` rows, with their hash in a last column; in any order."""
        names = ", ".join(quote(name) for name, _ in self.columns)
        sql = f"SELECT {names}, {HASH} FROM {TABLE} WHERE {self.part(rows)}"
        return self.engine.batches(self.query(sql).sql)

    def to_json(self, settings: Mapping[str, Any], sampled: int) -> dict[str, Any]:
        """What an artifact says of it, for `reopened`.

        Args:
            settings: the engine's, as the project file has them. sampled: what `sample` was called with.
        """
        return {
            "engine": self.name,
            "settings": dict(settings),
            "table": self.kept,
            "rows": self.rows,
            "sampled": sampled,
            "columns": [{"name": name, "dtype": kind} for name, kind in self.columns],
        }


def opened(name: str, settings: Mapping[str, Any], ctx: Context) -> Engine:
    """An engine that is not DuckDB, by its name and what the project file says of it."""
    kind = ENGINES.load(name)
    made: Engine = kind(kind.Settings.model_validate(settings), ctx)
    return made


def keep(engine: Engine, name: str, kept: str, query: Query, seed: int) -> Table:
    """Store a query's rows at the engine, each with a hash of its values and the seed, and count them."""
    relation = engine.keep(kept, _hashed(engine, name, query, seed))
    table = Table(engine, name, kept, relation, query.columns, 0)
    return replace(table, rows=int(table.one(f"SELECT count(*) AS n FROM {TABLE}")))


def _hashed(engine: Engine, name: str, query: Query, seed: int) -> str:
    """The query with the MD5 of its rows in a last column. Texts of floats are the engine's own."""
    from sqlglot import exp

    texts = ", '|', ".join(f"coalesce(CAST({quote(name)} AS VARCHAR), '~')" for name, _ in query.columns)
    digits = f"left(md5(concat({literal(f'{seed}|')}, {texts})), {_KEPT})"
    remote = Remote(engine, name)
    remote.add(TABLE, _ROWS, query.columns)
    outer = remote.query(f"SELECT *, {digits} AS {HASH} FROM {TABLE}", exact=False).sql
    rows = exp.to_identifier(_ROWS, quoted=True).sql(engine.dialect)
    return outer.replace(rows, f"({query.sql}) AS {rows}", 1)


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
    return Table(engine, name, told["table"], relation, columns, told["rows"], told["sampled"])


def typed(columns: Sequence[tuple[str, str]], casts: Mapping[str, str], where: str, of: str = TABLE) -> str:
    """Rows under other types that fulfil a condition on these, with their hash, as SQL that stands after FROM.

    >>> typed([("a", "BIGINT"), ("b", "VARCHAR")], {"a": "DOUBLE"}, "a > 0.5")
    '(SELECT * FROM (SELECT CAST("a" AS DOUBLE) AS "a", "b", bessemer_hash FROM data) WHERE a > 0.5)'
    """
    listed = ", ".join(
        f"CAST({quote(name)} AS {casts[name]}) AS {quote(name)}" if name in casts else quote(name)
        for name, _ in columns
    )
    return f"(SELECT * FROM (SELECT {listed}, {HASH} FROM {of}) WHERE {where})"
