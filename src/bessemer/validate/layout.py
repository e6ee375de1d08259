"""How a group of columns stands in the queries that describe it: beside one another, or below.

Where rows are few and columns many, the time of a query is that of its making, which grows with its expressions.
`Below` therefore puts all columns of a type below one another, in one long table, and asks each question once for
all of them, by group. Both layouts add the same values in the same order, so that both give the same facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from bessemer.core.sql import quote

T = TypeVar("T")
Column = tuple[str, str]  # name, DuckDB type

#: Columns of a group, and how many more are below one another where rows are few.
GROUP = 200
_MOST = 1_000
#: A table is wide above so many columns: a query on the whole of it would bind them all.
_WIDE = 2 * GROUP
#: Up to so many rows a query's making is most of its time.
_FEW_ROWS = 5_000
_CELLS = 2_000_000  # in a long table, for the sake of memory


class Question(NamedTuple):
    """What is asked of a column: fact -> SQL, in which `{c}` is the column and other names are `constants`."""

    facts: Mapping[str, str]
    constants: Mapping[str, float | Sequence[float]] = {}


Questions = Callable[[str, str], Question]  # of a column's name and type
Answers = Iterator[tuple[str, dict[str, Any]]]  # a column's name, its facts by name


class Layout(Protocol):
    def ask(
        self, columns: Sequence[Column], questions: Questions, at_once: int, taken: int | None = None
    ) -> Answers:
        """The facts of each column, in any order.

        Args:
            at_once: so many columns' questions can stand in one query.
            taken: how many rows of 2**32 are enough, where all rows would be too many.
        """

    def source(self, name: str) -> str:
        """What a query on one column alone selects it from."""


class Beside:
    """The columns as they are in the relation: each question is asked of each column."""

    def __init__(self, connection: Any, relation: str) -> None:
        self.connection, self.relation = connection, relation

    def ask(
        self, columns: Sequence[Column], questions: Questions, at_once: int, taken: int | None = None
    ) -> Answers:
        asked = [(name, questions(name, kind)) for name, kind in columns]
        for part in _groups([(name, question) for name, question in asked if question.facts], at_once):
            listed = ", ".join(
                self._filled(name, question, sql)
                for name, question in part
                for sql in question.facts.values()
            )
            relation = self.relation if taken is None else self._sample([name for name, _ in part], taken)
            values = iter(self.connection.execute(f"SELECT {listed} FROM {relation}").fetchone())
            for name, question in part:
                yield name, {fact: next(values) for fact in question.facts}

    def source(self, name: str) -> str:
        return self.relation

    def _sample(self, names: Sequence[str], taken: int) -> str:
        """Rows that are spread evenly: one is taken by its number (multiplicative hash, Knuth 6.4)."""
        listed = ", ".join(quote(name) for name in names)
        numbered = f'SELECT {listed}, row_number() OVER () AS "row number" FROM {self.relation}'
        return f'(SELECT * FROM ({numbered}) WHERE ("row number" * 2654435761) % 4294967296 < {taken})'

    @staticmethod
    def _filled(name: str, question: Question, sql: str) -> str:
        constants = {word: _constant(value) for word, value in question.constants.items()}
        return sql.format(c=quote(name), **constants)


class Below:
    """The columns of each type below one another: a question is asked once, of all the columns it is the same for."""

    def __init__(self, connection: Any, relation: str, columns: Sequence[Column]) -> None:
        self.connection = connection
        self.names: dict[str, list[str]] = {}
        for name, kind in columns:
            self.names.setdefault(kind, []).append(name)
        for kind, names in self.names.items():
            listed = ", ".join(map(quote, names))
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {_long(kind)} AS "
                f"SELECT unnest(range({len(names)})) AS number, unnest([{listed}]) AS v FROM {relation}"
            )

    def close(self) -> None:
        for kind in self.names:
            self.connection.execute(f"DROP TABLE {_long(kind)}")

    def ask(
        self, columns: Sequence[Column], questions: Questions, at_once: int, taken: int | None = None
    ) -> Answers:
        alike: dict[tuple[str, tuple[tuple[str, str], ...]], dict[str, Question]] = {}
        for name, kind in columns:
            question = questions(name, kind)
            if question.facts:
                alike.setdefault((kind, tuple(question.facts.items())), {})[name] = question
        for (kind, facts), asked in alike.items():
            names = self.names[kind]
            for at, *values in self._query(kind, dict(facts), asked):
                yield names[at], dict(zip(dict(facts), values, strict=True))

    def source(self, name: str) -> str:
        kind = next(kind for kind, names in self.names.items() if name in names)
        at = self.names[kind].index(name)
        return f"(SELECT v AS {quote(name)} FROM {_long(kind)} WHERE number = {at})"

    def _query(self, kind: str, facts: Mapping[str, str], asked: Mapping[str, Question]) -> Any:
        names = self.names[kind]
        words = next(iter(asked.values())).constants
        constants = {
            word: f"{_constant([asked[name].constants[word] if name in asked else None for name in names])}[number + 1]"
            for word in words
        }
        listed = ", ".join(sql.format(c="v", **constants) for sql in facts.values())
        some = ", ".join(str(at) for at, name in enumerate(names) if name in asked)
        where = f" WHERE number IN ({some})" if len(asked) < len(names) else ""
        return self.connection.execute(
            f"SELECT number, {listed} FROM {_long(kind)}{where} GROUP BY number"
        ).fetchall()


def laid_out(
    connection: Any, relation: str, columns: Sequence[Column], rows: int
) -> Iterator[tuple[Sequence[Column], Layout]]:
    """The columns in groups, each with the layout that suits the table; it holds until the next one is asked for."""
    if len(columns) <= _WIDE:
        yield from ((group, Beside(connection, relation)) for group in _groups(columns, GROUP))
    elif 0 < rows <= _FEW_ROWS:  # of no rows there are no groups either
        for group in _groups(columns, min(_MOST, _CELLS // rows)):
            below = Below(connection, relation, group)
            yield group, below
            below.close()
    else:
        copy = quote("narrow part")
        for group in _groups(columns, GROUP):
            listed = ", ".join(quote(name) for name, _ in group)
            connection.execute(f"CREATE OR REPLACE TEMP TABLE {copy} AS SELECT {listed} FROM {relation}")
            yield group, Beside(connection, copy)
            connection.execute(f"DROP TABLE {copy}")


def _long(kind: str) -> str:
    return quote(f"long {kind}")


def _constant(value: Any) -> str:
    """A number, or numbers in lists of any depth, as SQL of the very same value."""
    depth, inner = 0, value
    while isinstance(inner, list):
        depth, inner = depth + 1, next((one for one in inner if one is not None), None)
    return f"CAST('{value}' AS DOUBLE{'[]' * depth})".replace("None", "NULL")


def _groups(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[i : i + size] for i in range(0, len(items), size))
