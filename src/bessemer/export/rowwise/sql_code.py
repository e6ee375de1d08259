"""A program on one row as one SQL query: each number a column, computed in as few steps as it takes.

A number that is NaN is NULL. Floats are doubles, rounded to float32 where the model's own are and the engine can.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bessemer.core.signature import Field
from bessemer.export.rowwise.program import Program, Statement, Value
from bessemer.export.rowwise.sql_statements import WRITERS, Place, needs
from bessemer.export.rowwise.sql_words import finite, literal, quoted, rounded, word

#: The columns and steps that the query makes: no table has such names.
_PREFIX, _STEP = "bsm_", "bsm_step_"
#: Longer expressions get a column of their own even where they are used once.
_SHORT = 240
#: Terms of a sum in one expression: engines go down expressions by recursion.
_TERMS = 16


@dataclass
class Query:
    """Writes the steps of a program.

    steps: by number, the columns that are computed in it: (name, expression).
    """

    program: Program
    dialect: str
    columns: list[tuple[str, str, int]] = field(default_factory=list)  # name, expression, step
    _texts: dict[Place, tuple[str, int]] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)
    _uses: Counter[Place] = field(default_factory=Counter)
    _values: dict[int, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wanted = self._wanted()
        for column, value in self.program.inputs:
            if (value.number, 0) in wanted:
                self._texts[value.number, 0] = self._column(self._input(column), 1)
        for statement in self.program.statements:
            for place in range(statement.out.size):
                if (statement.out.number, place) in wanted:
                    self._write(statement, place)
        for value in self.program.outputs.values():  # every output has a column
            for place in range(value.size):
                text, step = self._texts[value.number, place]
                if not any(name == text for name, _, _ in self.columns):
                    self._texts[value.number, place] = self._column(text, step + 1)

    @property
    def last_step(self) -> int:
        return max(step for _, _, step in self.columns)

    def output(self, name: str) -> list[str]:
        """The columns of an output."""
        value = self.program.outputs[name]
        return [self._texts[value.number, place][0] for place in range(value.size)]

    def text(self, keep: Sequence[str], table: str, answers: Sequence[tuple[str, str]]) -> str:
        """The query. keep: columns of the table that stay. answers: (expression of output columns, name)."""
        outputs = {column for name in self.program.outputs for column in self.output(name)}
        lasts = {**self._last, **dict.fromkeys(outputs, self.last_step + 1)}
        kept = [quoted(name, self.dialect) for name in keep]
        # PostgreSQL would put each step's expressions into the next one's, as often as they are used there
        once = "MATERIALIZED " if self.dialect == "postgres" else ""
        parts, source = [], table
        for step in range(1, self.last_step + 1):
            carried = [n for n, _, s in self.columns if s < step and lasts.get(n, 0) >= step]
            made = [f"{text} AS {name}" for name, text, s in self.columns if s == step]
            parts.append(
                f"{_STEP}{step} AS {once}(\n  SELECT\n    " + ",\n    ".join([*kept, *carried, *made])
            )
            parts[-1] += f"\n  FROM {source}\n)"
            source = f"{_STEP}{step}"
        said = [*kept, *(f"{text} AS {quoted(name, self.dialect)}" for text, name in answers)]
        return f"WITH {', '.join(parts)}\nSELECT\n  " + ",\n  ".join(said) + f"\nFROM {source}\n"

    @property
    def widest(self) -> int:
        """The columns of the widest step."""
        return max(
            sum(s <= step and (s == step or self._last.get(n, step) >= step) for n, _, s in self.columns)
            for step in range(1, self.last_step + 1)
        )

    def _wanted(self) -> set[Place]:
        """The elements that the outputs need, and how often each is used."""
        wanted = {(v.number, i) for v in self.program.outputs.values() for i in range(v.size)}
        for statement in reversed(self.program.statements):
            for place in range(statement.out.size):
                if (statement.out.number, place) in wanted:
                    for used in needs(statement, place):
                        self._uses[used] += 1
                        wanted.add(used)
        return wanted

    def _column(self, text: str, step: int) -> tuple[str, int]:
        name = f"{_PREFIX}{len(self.columns) + 1}"
        self.columns.append((name, text, step))
        return name, step

    def _write(self, statement: Statement, place: int) -> None:
        text, steps, whole = WRITERS[type(statement)](self, statement, place)
        key = (statement.out.number, place)
        step = max(steps, default=1)
        plain = text.isidentifier() or not steps
        short = len(text) <= _SHORT and self._uses[key] == 1 and not whole
        self._texts[key] = (text, step) if plain or short else self._new(text, step)

    def _new(self, text: str, step: int) -> tuple[str, int]:
        for name in _names(text):
            self._last[name] = max(self._last.get(name, 0), step + 1)
        return self._column(text, step + 1)

    def take(self, value: Value, place: int) -> tuple[str, int]:
        """The expression of an element, and the step after which it can be used; 0 of constants."""
        if value.data is not None:
            return literal(value.data[place], value.type, self.dialect), 0
        return self._texts[value.number, place]

    def summed(self, terms: list[str], step: int, start: str) -> tuple[str, list[int], bool]:
        """A sum; a long one in columns of its own."""
        while len(terms) > _TERMS:
            made = [
                self._new(self._plus(terms[i : i + _TERMS]), step)[0] for i in range(0, len(terms), _TERMS)
            ]
            terms, step = made, step + 1
        return self._plus([*terms, start]), [step], True

    def _plus(self, terms: list[str]) -> str:
        zero = word("CAST(0 AS DOUBLE)", self.dialect)
        return f"({' + '.join([zero, *terms])})"

    def _input(self, column: Field) -> str:
        name = quoted(column.name, self.dialect)
        if column.tensor == "string":
            return f"COALESCE({name}, '')"
        if column.dtype == "timestamp":
            return f"COALESCE({word('micros', self.dialect, name)}, {literal(-(2**63), 'i64', self.dialect)})"
        if column.dtype == "boolean":
            return f"CASE WHEN {name} THEN 1e0 WHEN NOT {name} THEN 0e0 END"
        number = word("CAST({0} AS DOUBLE)", self.dialect, name)
        return finite(number) if column.tensor == "float64" else rounded(number, self.dialect)


def _names(text: str) -> Iterator[str]:
    """The columns of ours in an expression."""
    return (found[0] for found in re.finditer(rf"\b{_PREFIX}[0-9]+\b", re.sub(r"'(?:[^']|'')*'", "", text)))
