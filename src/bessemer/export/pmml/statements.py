"""What each kind of statement is in PMML: the term of one element of its result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.pmml.terms import Sum, Term
from bessemer.export.pmml.words import (
    FLOATS,
    TEXTS,
    TRUTHS,
    WHOLES,
    apply,
    constant,
    known,
    looked_up,
    test,
    told,
    when,
)
from bessemer.export.readers.encoder import ELEMENTS
from bessemer.export.rowwise.program import Dense, Each, Fold, Operand, Rows, Statement, Take, Trees
from bessemer.export.rowwise.sql_statements import Place
from bessemer.export.rowwise.to_json import labels
from bessemer.export.rowwise.types import TYPES

if TYPE_CHECKING:
    from bessemer.export.pmml.fields import Fields

_LEAST = -(2**31)


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
        below = test("lessThan", made, constant(0.0, "f64"))
        whole = apply("floor", made, missing=str(_LEAST))
        made = when(below, apply("ceil", made), whole)
    return fields.add(key, to, made, takes, finite=x.finite and to != "f32")


def _clip(fields: Fields, s: Each, takes: list[Term], key: Place) -> Term:
    (x,) = takes
    made = x.expression
    for name, function in (("low", "lessThan"), ("high", "greaterThan")):
        if name in s.said:
            bound = constant(s.said[name], "f64")
            made = when(test(function, x.expression, bound), bound, made)
    return fields.add(key, s.out.type, made, takes)


def _is_infinite(fields: Fields, s: Each, takes: list[Term], key: Place) -> Term:
    (x,) = takes
    if x.finite:
        return Term("bool", constant=False)
    largest = constant(float(np.finfo(np.float64 if x.kind == "f64" else np.float32).max), "f64")
    return fields.add(key, "bool", test("greaterThan", known("abs")(x.expression), largest), takes)


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


WRITERS: Mapping[type[Statement], Callable[[Fields, Any, int], Term]] = {
    Each: _each,
    Take: _take,
    Rows: _rows,
    Dense: _dense,
    Fold: _fold,
    Trees: _trees,
}
