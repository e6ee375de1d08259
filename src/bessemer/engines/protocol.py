"""What an engine is: a system that holds tables and runs SELECTs of its own dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from bessemer.core.spec import Spec

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlglot import exp

    from bessemer.core.stage import Context

#: From the class of an expression to the function that writes it for an engine. It gets the expression with its
#: operands already rewritten and its type (and theirs) known, and gives the expression, changed or another one.
Corrections = Mapping["type[exp.Expr]", "Callable[[exp.Expr], exp.Expr]"]


class Engine(Protocol):
    """A system that runs SQL. All texts that it gets and gives are of its own dialect, names quoted.

    It is made with its settings and connects when it is first asked; who made it closes it. It never sees the
    project's SQL: `transpile` makes it. Each method raises `DataError` with the system's own words, `EnvironmentFault`
    where the system cannot be reached.

    Settings: what the project file may say: `engine: {NAME: {...}}`. Credentials come from the environment.
    dialect: sqlglot's name of the dialect.
    """

    Settings: ClassVar[type[Spec]]
    dialect: ClassVar[str]

    def __init__(self, settings: Any, ctx: Context) -> None: ...

    def corrections(self) -> Corrections:
        """What sqlglot does not carry over as DuckDB means it; applied after what all engines share (`shared`)."""
        ...

    def find(self, kind: str, options: Any) -> str | None:
        """The relation (what stands after FROM) that a source of the project is at this engine.

        None where the source is elsewhere and its rows have to be brought.

        Args:
            kind: of the source, as `parquet`. options: its options, an object of that kind's class.
        """
        ...

    def load(self, name: str, files: Sequence[Path]) -> str:
        """Bring a source's rows, Parquet files of equal schemas on this machine; gives the relation.

        The types: those of Parquet without nested ones; times with and without zone in microseconds. The table may
        end with the connection.
        """
        ...

    def describe(self, relation: str) -> list[tuple[str, str]]:
        """A relation's columns: names as the system has them, types in DuckDB's words, as `DECIMAL(8,2)`,
        `TIMESTAMP WITH TIME ZONE`. Types that DuckDB does not have are `VARCHAR` if they compare as texts, else `BLOB`,
        which nobody learns from."""
        ...

    def keep(self, name: str, sql: str) -> str:
        """Store a SELECT's rows as table `name`, which outlives the connection; an earlier one is replaced. Gives the
        relation."""
        ...

    def kept(self, name: str) -> str | None:
        """The relation of a table that `keep` stored, also from another process; None where it is no longer there."""
        ...

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a SELECT with a small result, as Python values: bool, int, float, str, datetime without a zone
        (UTC), Decimal, None."""
        ...

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The rows of a SELECT of any size, as a stream that is never held as a whole. The columns are of the five
        types: bool, int64, float64, string, timestamp[us] without a zone (UTC)."""
        ...

    def close(self) -> None:
        """Let the connection go; asked twice it does nothing."""
        ...
