"""A program on one row as derived fields: each element that is needed is one, but for what is only moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

from bessemer.core.signature import Field
from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.pmml.statements import WRITERS
from bessemer.export.pmml.terms import Sum, Term
from bessemer.export.pmml.words import DATA_TYPES, constant, element, reference, there, when
from bessemer.export.rowwise.program import Program, Type, Value
from bessemer.export.rowwise.sql_statements import Place, needs

#: Derived fields of a document: engines hold all of them in memory.
MOST_FIELDS = 20_000


@dataclass
class Fields:
    """early, late: derived fields without and with a part of trees. sums: what trees say, in between.

    given: the fields of a value that stands at the start, such as the features; else columns are what it starts from.
    """

    program: Program
    prefix: str
    given: Mapping[int, Sequence[str]] = field(default_factory=dict)
    early: list[Element] = field(default_factory=list)
    late: list[Element] = field(default_factory=list)
    sums: list[Sum] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    _terms: dict[Place, Term] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wanted = self._wanted()
        for number, names in self.given.items():
            for place, name in enumerate(names):
                self._terms[number, place] = Term("f32", name, finite=True)
                self.used |= {name} if (number, place) in wanted else set()
        for column, value in self.program.inputs:
            if (value.number, 0) in wanted:
                self.used.add(column.name)
                self._terms[value.number, 0] = self._column(column, value)
        for statement in self.program.statements:
            for place in range(statement.out.size):
                if (statement.out.number, place) in wanted:
                    self._terms[statement.out.number, place] = WRITERS[type(statement)](
                        self, statement, place
                    )

    def output(self, name: str) -> list[Term]:
        """The elements of an output; each is a field."""
        value = self.program.outputs[name]
        found = [self.take(value, place) for place in range(value.size)]
        return [
            term if term.name else self.constant((value.number, place), term)
            for place, term in enumerate(found)
        ]

    def take(self, value: Value, place: int) -> Term:
        if value.data is not None:
            return Term(value.type, constant=value.data[place], finite=True)
        return self._terms[value.number, place]

    def add(self, key: Place, kind: Type, expression: Element, takes: Sequence[Term], **said: Any) -> Term:
        """A derived field.

        Raises:
            UncarriedError: there are too many.
        """
        late = any(term.late for term in takes)
        name = self.named(key)
        numbers = "categorical" if kind in ("str", "bool") else "continuous"
        made = element(
            "DerivedField", {"name": name, "optype": numbers, "dataType": DATA_TYPES[kind]}, expression
        )
        (self.late if late else self.early).append(made)
        if len(self.early) + len(self.late) > MOST_FIELDS:
            raise UncarriedError(
                f"it would take more than {MOST_FIELDS:,} derived fields, which suits trees and linear models"
            )
        return Term(kind, name, late=late, **said)

    def constant(self, key: Place, term: Term) -> Term:
        """A field of a constant, once."""
        if key not in self._terms:
            self._terms[key] = self.add(key, term.kind, term.expression, ())
        return self._terms[key]

    def named(self, key: Place) -> str:
        return f"{self.prefix}{key[0]}_{key[1]}"

    def _wanted(self) -> set[Place]:
        wanted = {(v.number, i) for v in self.program.outputs.values() for i in range(v.size)}
        for statement in reversed(self.program.statements):
            for place in range(statement.out.size):
                if (statement.out.number, place) in wanted:
                    wanted |= set(needs(statement, place))
        return wanted

    def _column(self, column: Field, value: Value) -> Term:
        if column.dtype == "timestamp":
            raise UncarriedError("it has a column of moments")
        if column.tensor != "string" and column.dtype == "boolean":
            one, none = constant(1.0, value.type), constant(0.0, value.type)
            given = reference(column.name)
            expression = when(there(given), when(given, one, none))
            return self.add((value.number, 0), value.type, expression, (), finite=True)
        return Term(value.type, column.name, finite=True)
