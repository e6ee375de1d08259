"""A project's sources at an engine, and what is selected from them there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bessemer.core.errors import DataError
from bessemer.engines.binding import Schema, bind
from bessemer.engines.columns import canonical
from bessemer.engines.transpile import transpile

if TYPE_CHECKING:
    from bessemer.engines.protocol import Engine


@dataclass(frozen=True)
class Query:
    """A SELECT in the engine's dialect; its columns have the five types."""

    sql: str
    columns: tuple[tuple[str, str], ...]


class Remote:
    """The tables that the project's SQL may name.

    name: how errors name the engine.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine, self.name = engine, name
        self.tables: dict[str, tuple[str, Schema]] = {}

    def add(self, name: str, relation: str, schema: Schema | None = None) -> None:
        """Make a relation of the engine known as table `name`; its columns are asked for unless they are given."""
        columns = self.engine.describe(relation) if schema is None else schema
        kept = [(column, kind) for column, kind in columns if canonical(column, kind) is not None]
        if not kept:
            raise DataError(f"source '{name}' has no columns that {self.name} and DuckDB both know")
        self.tables[name] = (relation, kept)

    def query(self, sql: str, *, exact: bool = True) -> Query:
        """The project's SQL for the engine.

        Args:
            exact: whether floats as texts are refused.

        Raises:
            DataError: it is no SELECT over these tables, or cannot be carried over.
        """
        statement, columns = bind(sql, {name: schema for name, (_, schema) in self.tables.items()})
        engine = self.engine
        native = transpile(
            statement,
            self.tables,
            columns,
            engine=self.name,
            dialect=engine.dialect,
            corrections=engine.corrections(),
            exact=exact,
        )
        landed = [(name, canonical(name, kind)) for name, kind in columns]
        return Query(native, tuple((name, column.dtype) for name, column in landed if column is not None))
