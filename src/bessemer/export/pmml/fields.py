"""A program on one row as derived fields: each element that is needed is one, but for what is only moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from bessemer.core.signature import Field
from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.pmml.words import (
    DATA_TYPES,
    FLOATS,
    TEXTS,
    TRUTHS,
    WHOLES,
    apply,
    constant,
    element,
    looked_up,
    reference,
    told,
    when,
)
from bessemer.export.readers.encoder import ELEMENTS
from bessemer.export.rowwise.program import (
    Dense,
    Each,
    Fold,
    Operand,
    Program,
    Rows,
    Statement,
    Take,
    Trees,
    Type,
    Value,
)
from bessemer.export.rowwise.sql_statements import Place, needs
from bessemer.export.rowwise.to_json import labels
from bessemer.export.rowwise.types import TYPES

#: Derived fields of a document: engines hold all of them in memory.
MOST_FIELDS = 20_000
_LEAST = -(2**31)


@dataclass(frozen=True)
class Term:
    """An element: a field's name, or '' and its constant.

    finite: whether it is never infinite. late: whether trees have a part in it.
    """

    kind: Type
    name: str = ""
    constant: Any = None
    finite: bool = False
    late: bool = False

    @property
    def expression(self) -> Element:
        if not self.name:
            return constant(self.constant, self.kind)
        return reference(self.name, "" if self.kind == "str" else None)


@dataclass(frozen=True)
class Sum:
    """One output of trees: the field that gets it, and the fields of the features."""

    name: str
    trees: Trees
    place: int
    features: Mapping[int, str]


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
                    self._terms[statement.out.number, place] = _WRITERS[type(statement)](
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
            expression = when(reference(column.name), one, none)
            return self.add((value.number, 0), value.type, expression, (), finite=True)
        return Term(value.type, column.name, finite=True)


def _taken(operand: Operand, fields: Fields, at: int) -> Term:
    return fields.take(operand.value, int(operand.places[at]))


def _each(fields: Fields, s: Each, place: int) -> Term:
    takes = [_taken(operand, fields, place) for operand in s.operands]
    key = (s.out.number, place)
    if s.operator in _OTHERS:
        return _OTHERS[s.operator](fields, s, takes, key)
    kind = s.operands[0].value.type
    table = {"bool": TRUTHS, "str": TEXTS, "i64": WHOLES, "i32": WHOLES}.get(kind, FLOATS)
    if s.operator not in table:
        raise UncarriedError(f"the operator {s.operator} on {kind} has no form in PMML")
    word, (first, *others) = table[s.operator], [term.expression for term in takes]
    made = first if others else word(first)
    for other in others:
        made = word(made, other)
    return fields.add(key, s.out.type, made, takes)


def _cast(fields: Fields, s: Each, takes: list[Term], key: Place) -> Term:
    (x,) = takes
    to = TYPES[np.dtype(ELEMENTS[s.said["to"]]).name]
    if x.kind == to:
        return x
    if "str" in (x.kind, to):
        raise UncarriedError("a text that becomes a number has no form in PMML")
    made = x.expression
    if to == "bool":
        made = apply("notEqual", made, constant(0.0, "f64"), missing="true")
    elif x.kind == "bool":
        made = when(made, constant(1, to), constant(0, to))
    elif to in ("i64", "i32") and x.kind in ("f32", "f64"):
        below = apply("lessThan", made, constant(0.0, "f64"), missing="false")
        whole = apply("floor", made, missing=str(_LEAST))
        made = when(below, apply("ceil", made), whole)
    return fields.add(key, to, made, takes, finite=x.finite and to != "f32")


def _clip(fields: Fields, s: Each, takes: list[Term], key: Place) -> Term:
    (x,) = takes
    made = x.expression
    for name, function in (("low", "lessThan"), ("high", "greaterThan")):
        if name in s.said:
            bound = constant(s.said[name], "f64")
            made = when(apply(function, x.expression, bound), bound, made)
    return fields.add(key, s.out.type, made, takes)


def _is_infinite(fields: Fields, s: Each, takes: list[Term], key: Place) -> Term:
    (x,) = takes
    if x.finite:
        return Term("bool", constant=False)
    largest = constant(float(np.finfo(np.float32).max), "f64")
    return fields.add(
        key, "bool", apply("greaterThan", apply("abs", x.expression), largest, missing="false"), takes
    )


def _where(fields: Fields, s: Each, takes: list[Term], key: Place) -> Term:
    asked, yes, no = takes
    if not asked.name:
        return yes if asked.constant else no
    made = when(asked.expression, yes.expression, no.expression)
    return fields.add(key, s.out.type, made, takes, finite=yes.finite and no.finite)


def _labels(fields: Fields, s: Each, takes: list[Term], key: Place) -> Term:
    (x,), said = takes, labels(s)
    if not x.name:
        raise UncarriedError("a constant that is looked up has no form in PMML")
    table, default = dict(said["table"]), str(said["default"])
    # what is missing is '' in the model, and '' is missing in PMML
    missing = str(table.pop("", default)) if x.kind == "str" else None
    rows = {told(code, x.kind): str(value) for code, value in table.items()}
    return fields.add(key, s.out.type, looked_up(x.name, rows, s.out.type, default, missing), takes)


_OTHERS: Mapping[str, Callable[[Fields, Each, list[Term], Place], Term]] = {
    "Cast": _cast,
    "Clip": _clip,
    "IsInf": _is_infinite,
    "LabelEncoder": _labels,
    "Where": _where,
}


def _take(fields: Fields, s: Take, place: int) -> Term:
    for operand in s.operands:
        if place < len(operand.places):
            return _taken(operand, fields, place)
        place -= len(operand.places)
    raise AssertionError("a place beyond the value")


def _rows(fields: Fields, s: Rows, place: int) -> Term:
    """A look-up of the rows that have another value than most."""
    row, column = divmod(place, s.table.shape[1])
    asked = _taken(s.operands[0], fields, row)
    values = [told(value, s.out.type) for value in s.table[:, column]]
    usual = Counter(values).most_common(1)[0][0]
    rows = {i: value for i, value in enumerate(values) if value != usual}
    if not asked.name or not rows:
        at = 0 if asked.name else int(asked.constant)
        return Term(s.out.type, constant=s.table[at, column], finite=True)
    made = looked_up(asked.name, rows, s.out.type, usual, None)
    return fields.add((s.out.number, place), s.out.type, made, [asked], finite=True)


def _dense(fields: Fields, s: Dense, place: int) -> Term:
    """A sum of products: what goes into one is never missing, for the graph imputes before."""
    (operand,), (k, m) = s.operands, s.weights.shape[1:]
    weights = s.weights[place // (s.rows * m), :, place % m]
    takes, terms = [], []
    for at, weight in enumerate(weights):
        if weight:
            takes.append(_taken(operand, fields, place // m * k + at))
            terms.append(apply("*", takes[-1].expression, constant(float(weight), "f64")))
    made = apply("sum", *terms) if terms else constant(0.0, s.out.type)
    return fields.add((s.out.number, place), s.out.type, made, takes)


def _fold(fields: Fields, s: Fold, place: int) -> Term:
    takes = [_taken(s.operands[0], fields, place * s.run + i) for i in range(s.run)]
    made = apply("sum" if s.operator == "Add" else "max", *(term.expression for term in takes))
    return fields.add((s.out.number, place), s.out.type, made, takes)


def _trees(fields: Fields, s: Trees, place: int) -> Term:
    (operand,) = s.operands
    features: dict[int, str] = {}
    for at in sorted(set(s.arrays["feature"][s.arrays["left"] >= 0].tolist())):
        term = _taken(operand, fields, at)
        if term.late:
            raise UncarriedError("its trees take what other trees say")
        features[at] = term.name or fields.constant((s.out.number, s.out.size + at), term).name
    name = fields.named((s.out.number, place))
    fields.sums.append(Sum(f"{name}_sum", s, place, features))
    return Term(s.out.type, f"{name}_sum", late=True)


_WRITERS: Mapping[type[Statement], Callable[[Fields, Any, int], Term]] = {
    Each: _each,
    Take: _take,
    Rows: _rows,
    Dense: _dense,
    Fold: _fold,
    Trees: _trees,
}
