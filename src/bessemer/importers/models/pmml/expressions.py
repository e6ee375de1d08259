"""Expressions of derived fields, as terms.

https://dmg.org/pmml/v4-4-1/Transformations.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from bessemer.core.errors import did_you_mean
from bessemer.importers.models.pmml.budget import spend_steps
from bessemer.importers.models.pmml.columns import numeric_of, truth
from bessemer.importers.models.pmml.functions import applied, coalesced
from bessemer.importers.models.pmml.terms import (
    Const,
    Node,
    Table,
    Term,
    codes,
    mapped,
    member,
    number,
    numbers_of,
    numeric,
    retyped,
)
from bessemer.importers.models.pmml.xml import Element

_DEEPEST = 20
_TYPES = ("double", "float", "integer", "string", "boolean")


class Fields(Protocol):
    """What names of fields and of a document's own functions stand for."""

    def term(self, name: str, asker: Element) -> Term: ...

    def function(self, name: str) -> Element | None: ...


@dataclass(frozen=True)
class Parameters:
    """The arguments of a function that the document defines."""

    outer: Fields
    terms: Mapping[str, Term]
    depth: int = 0

    def term(self, name: str, asker: Element) -> Term:
        if name not in self.terms:
            asker.refuse(f"asks for '{name[:40]}', which is no parameter", fix=did_you_mean(name, self.terms))
        return self.terms[name]

    def function(self, name: str) -> Element | None:
        return self.outer.function(name)


def derived(field: Element, fields: Fields) -> Term:
    """A DerivedField, as its data type has it.

    Raises:
        FormatError: an expression that is not taken over.
    """
    kind = field.choose("dataType", _TYPES, "double")
    return typed(expression(field.one(*EXPRESSIONS), fields), kind, field)


def expression(element: Element, fields: Fields) -> Term:
    return EXPRESSIONS[element.tag](element, fields)


def typed(term: Term, kind: str, element: Element) -> Term:
    """A term as a data type of the document."""
    if kind == "string":
        if isinstance(term, Node):
            element.refuse("makes a text of a number")
        return term
    if isinstance(term, Table) and term.dtype == "string":
        return mapped([term], lambda value: _cast(value, kind, element), _dtype(kind)) or term
    if kind in ("integer", "double") and term.dtype in ("integer", "double"):
        return retyped(term, kind)
    if isinstance(term, (Table, Const)):
        return term
    return Node("float", (term,), dtype="float") if kind == "float" and term.dtype != "float" else term


def _dtype(kind: str) -> str:
    return {"float": "float", "integer": "integer", "boolean": "truth"}.get(kind, "double")


def _cast(value: Any, kind: str, element: Element) -> Any:
    if value is None:
        return None
    if kind == "boolean" and isinstance(value, str):
        return truth(element, value)
    try:
        found = float(value)
    except (TypeError, ValueError):
        element.refuse(f"makes a number of the text '{str(value)[:40]}'")
    return float(np.float32(found)) if kind == "float" else found


def _reference(element: Element, fields: Fields) -> Term:
    found = fields.term(element.need("field"), element)
    return (
        coalesced(found, element.get("mapMissingTo"), element)
        if "mapMissingTo" in element.attributes
        else found
    )


def _constant(element: Element, _: Fields) -> Term:
    kind = element.choose("dataType", _TYPES, _guessed(element.text))
    if element.get("missing") == "true":
        return Const(None, _dtype(kind) if kind != "string" else "string")
    if kind == "string":
        return Const(element.text)
    value = truth(element, element.text) if kind == "boolean" else element.as_number(element.text)
    return Const(float(np.float32(value)) if kind == "float" else value, _dtype(kind))


def _guessed(text: str) -> str:
    """The type of a constant that does not say it."""
    try:
        float(text)
    except ValueError:
        return "string"
    return "integer" if text.strip().lstrip("+-").isdigit() else "double"


def _norm_continuous(element: Element, fields: Fields) -> Term:
    """Straight lines between points."""
    x = numeric_of(fields.term(element.need("field"), element), element)
    points = [(one.number("orig"), one.number("norm")) for one in element.all("LinearNorm")]
    if len(points) < 2 or any(a[0] >= b[0] for a, b in pairwise(points)):
        element.refuse("has no two points in rising order")
    treatment = element.choose("outliers", ("asIs", "asMissingValues", "asExtremeValues"), "asIs")
    lines = [_line(x, a, b) for a, b in pairwise(points)]
    found = lines[-1]
    for end, line in zip(reversed(points[1:-1]), reversed(lines[:-1]), strict=True):
        found = Node("if", (Node("lessOrEqual", (x, number(end[0])), dtype="truth"), line, found))
    for end, test in ((points[0], "lessThan"), (points[-1], "greaterThan")):
        if treatment != "asIs":
            stands = number(end[1] if treatment == "asExtremeValues" else float("nan"))
            found = Node("if", (Node(test, (x, number(end[0])), dtype="truth"), stands, found))
    if "mapMissingTo" not in element.attributes:
        return found
    return Node("if", (Node("isMissing", (x,), dtype="truth"), number(element.number("mapMissingTo")), found))


def _line(x: Node, a: tuple[float, float], b: tuple[float, float]) -> Node:
    slope = (b[1] - a[1]) / (b[0] - a[0])
    return Node("+", (number(a[1]), Node("*", (Node("-", (x, number(a[0]))), number(slope)))))


def _norm_discrete(element: Element, fields: Fields) -> Term:
    """1 for one category, 0 for all others."""
    found = indicator(element, fields.term(element.need("field"), element), element.need("value"))
    return (
        coalesced(found, element.get("mapMissingTo"), element)
        if "mapMissingTo" in element.attributes
        else found
    )


def indicator(element: Element, term: Term, value: str, filled: bool = False) -> Node:
    """1 where a term is a value, 0 where it is another; missing where it is missing, or 0 where that is `filled`."""
    if isinstance(term, Table):
        if (value, filled) not in term.indicators:
            unknown = frozenset() if filled else term.gone()
            made = member(term.codes, len(term.values), term.codes_of(value), unknown, "double")
            term.indicators[value, filled] = made
        return term.indicators[value, filled]
    wanted = truth(element, value) if term.dtype == "truth" else element.as_number(value, "a value")
    found = Node("equal", (numeric(term), number(wanted, term.dtype)), dtype="truth")
    return Node("coalesce", (found, number(0.0)), dtype="truth") if filled else found


def _discretize(element: Element, fields: Fields) -> Term:
    """The value of the first interval that a number is in."""
    x = numeric_of(fields.term(element.need("field"), element), element)
    bins = element.all("DiscretizeBin")
    place: Node = number(float(len(bins) + 1))
    for i, one in reversed(list(enumerate(bins))):
        place = Node("if", (_in_bin(one.one("Interval"), x), number(float(i)), place))
    place = Node("coalesce", (place, number(float(len(bins)))))
    kind = element.get("dataType", "string")
    missing, default = (element.attributes.get(name) for name in ("mapMissingTo", "defaultValue"))
    said = (*(one.need("binValue") for one in bins), missing, default)
    numbers = kind in ("double", "float", "integer") or (kind == "string" and not _texts(said))
    values = tuple(
        None if v is None else _cast(v, kind if kind != "string" else "double", element) if numbers else v
        for v in said
    )
    return Table(place, values, _dtype(kind) if numbers else "string")


def _texts(values: tuple[str | None, ...]) -> bool:
    return any(_guessed(value) == "string" for value in values if value is not None)


def _in_bin(interval: Element, x: Node) -> Node:
    closure = interval.choose(
        "closure", ("openClosed", "openOpen", "closedOpen", "closedClosed"), "openClosed"
    )
    tests = []
    if "leftMargin" in interval.attributes:
        name = "greaterOrEqual" if closure.startswith("closed") else "greaterThan"
        tests.append(Node(name, (x, number(interval.number("leftMargin"))), dtype="truth"))
    if "rightMargin" in interval.attributes:
        name = "lessOrEqual" if closure.endswith("Closed") else "lessThan"
        tests.append(Node(name, (x, number(interval.number("rightMargin"))), dtype="truth"))
    if not tests:
        interval.refuse("has no margin")
    return Node("and", tuple(tests), dtype="truth") if len(tests) > 1 else tests[0]


def _map_values(element: Element, fields: Fields) -> Term:
    """A table of values of one field."""
    pairs = element.all("FieldColumnPair")
    if len(pairs) != 1:
        element.refuse(f"looks up {len(pairs)} fields at once", "tables of one field are taken over")
    term = fields.term(pairs[0].need("field"), pairs[0])
    rows = _rows(element, pairs[0].need("column"), element.need("outputColumn"))
    kind = element.get("dataType", "string")
    numbers = kind in ("double", "float", "integer")

    def said(text: str | None) -> Any:
        return None if text is None else _cast(text, kind, element) if numbers or kind == "boolean" else text

    missing, default = (said(element.attributes.get(name)) for name in ("mapMissingTo", "defaultValue"))
    dtype = _dtype(kind) if numbers or kind == "boolean" else "string"
    if isinstance(term, Node):
        keys = tuple(dict.fromkeys(element.as_number(key) for key in rows))
        values = {element.as_number(key): said(value) for key, value in reversed(rows.items())}
        return Table(codes(term, keys), (*(values[key] for key in keys), missing, default), dtype)

    by_value: dict[Any, str] = {n: key for key in reversed(rows) for n in numbers_of(key)}
    by_value |= {key: key for key in rows}

    def looked_up(value: Any) -> Any:
        if value is None:
            return missing
        return said(rows[by_value[value]]) if value in by_value else default

    found = mapped([term], looked_up, dtype)
    assert found is not None
    return found


def _rows(element: Element, key: str, value: str) -> dict[str, str]:
    """The rows of an inline table; the first of two with the same key counts."""
    found: dict[str, str] = {}
    key, value = key.rpartition(":")[2], value.rpartition(":")[2]
    for row in element.one("InlineTable").all("row"):
        cells = {cell.tag: cell.text for cell in row.children}
        if key not in cells or value not in cells:
            row.refuse(f"has no '{key}' or no '{value}'")
        found.setdefault(cells[key], cells[value])
    return found


def _apply(element: Element, fields: Fields) -> Term:
    arguments = [expression(one, fields) for one in element.all(*EXPRESSIONS)]
    own = fields.function(element.need("function"))
    return applied(element, arguments) if own is None else _defined(element, own, arguments, fields)


def _defined(element: Element, own: Element, arguments: Sequence[Term], fields: Fields) -> Term:
    """A function that the document defines."""
    names = [one.need("name") for one in own.all("ParameterField")]
    depth = fields.depth + 1 if isinstance(fields, Parameters) else 1
    if (
        len(names) != len(arguments)
        or depth > _DEEPEST
        or {"mapMissingTo", "defaultValue"} & set(element.attributes)
    ):
        element.refuse(
            f"does not fit the function '{element.get('function')[:40]}', or that one calls itself"
        )
    spend_steps(sum(1 for _ in own.walk()))
    inside = Parameters(fields, dict(zip(names, arguments, strict=True)), depth)
    return typed(expression(own.one(*EXPRESSIONS), inside), own.choose("dataType", _TYPES, "double"), own)


EXPRESSIONS: Mapping[str, Callable[[Element, Fields], Term]] = {
    "Apply": _apply,
    "Constant": _constant,
    "Discretize": _discretize,
    "FieldRef": _reference,
    "MapValues": _map_values,
    "NormContinuous": _norm_continuous,
    "NormDiscrete": _norm_discrete,
}
