"""The raw columns (`DataDictionary`), and what becomes of missing, invalid and far values (`MiningSchema`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bessemer.core.signature import DType
from bessemer.importers.models.pmml.terms import OTHER, Node, Table, Term, codes, lookup, number, numeric
from bessemer.importers.models.pmml.xml import Element

NUMBERS = ("double", "float", "integer")
_LARGEST = float(np.finfo(np.float32).max)
#: Whole numbers below are what float32 says they are.
_EXACT = 2**24
_INVALID = ("returnInvalid", "asIs", "asMissing", "asValue")


@dataclass(frozen=True)
class Raw:
    """A column that rows have. values: those that are valid, () where all are."""

    element: Element
    name: str
    kind: str
    values: tuple[Any, ...] = ()
    missing: tuple[Any, ...] = ()
    invalid: tuple[Any, ...] = ()

    @property
    def dtype(self) -> DType:
        known: Mapping[str, DType] = {"string": "string", "boolean": "boolean", "integer": "integer"}
        return known.get(self.kind, "number")

    def plain(self, value: str) -> Any:
        """A text of the document as a value of the column."""
        if self.kind == "boolean":
            return truth(self.element, value)
        return value if self.kind == "string" else self.element.as_number(value, "a value")


def numeric_of(term: Term, element: Element) -> Node:
    """A term as the number that an element asks for.

    Raises:
        FormatError: it is a text.
    """
    try:
        return numeric(term)
    except ValueError:
        element.refuse("takes a text for a number")


def truth(element: Element, value: str) -> float:
    """1 or 0 for a truth as PMML writes it.

    Raises:
        FormatError: it is none.
    """
    if value not in ("true", "false", "1", "0", "1.0", "0.0"):
        element.refuse(f"has '{value[:40]}' where a truth belongs")
    return float(value in ("true", "1", "1.0"))


def dictionary(root: Element) -> dict[str, Raw]:
    """The columns by name.

    Raises:
        FormatError: a column twice, or of a type that is not taken over.
    """
    found: dict[str, Raw] = {}
    for element in root.one("DataDictionary").all("DataField"):
        name, kind = (
            element.need("name"),
            element.choose("dataType", (*NUMBERS, "string", "boolean"), "string"),
        )
        if name in found:
            element.refuse("is there twice")
        raw = Raw(element, name, kind)
        by_property: dict[str, list[Any]] = {"valid": [], "missing": [], "invalid": []}
        for value in element.all("Value"):
            if kind != "string" and value.get("value") == "NaN":
                continue  # which is missing anyway
            kept = by_property[value.choose("property", tuple(by_property), "valid")]
            kept.append(raw.plain(value.need("value")))
        if "" in by_property["valid"]:
            element.refuse("has the empty text as a category", "that counts as a missing value here")
        found[name] = Raw(
            element,
            name,
            kind,
            tuple(by_property["valid"]),
            tuple(by_property["missing"]),
            tuple(by_property["invalid"]),
        )
    return found


@dataclass
class Columns:
    """The terms of the raw columns, as far as they were asked for.

    literals: the texts that each column is compared with. used: in the order of the dictionary.
    """

    known: Mapping[str, Raw]
    literals: Mapping[str, Mapping[str, None]]
    note: Callable[[str], None]
    used: dict[str, Raw] = field(default_factory=dict)
    _raw: dict[str, Term] = field(default_factory=dict)

    def raw(self, name: str) -> Term:
        """A column as rows have it."""
        if name not in self._raw:
            raw = self.known[name]
            self.used[name] = raw
            source = Node(
                "column",
                (),
                (name, raw.kind),
                {"boolean": "truth", "string": "double"}.get(raw.kind, raw.kind),
            )
            self._raw[name] = _coded(raw, source, tuple(self.literals.get(name, ())))
        return self._raw[name]

    def treated(self, name: str, field: Element) -> Term:
        """A column as a model takes it, by its MiningField.

        Raises:
            FormatError: a treatment that cannot be kept.
        """
        raw, term = self.known[name], self.raw(name)
        if isinstance(term, Table):
            return self._text(raw, term, field)
        assert isinstance(term, Node)
        return self._number(raw, term, field)

    def _text(self, raw: Raw, term: Table, field: Element) -> Table:
        treatment = _treatment(field)
        given = field.attributes.get("missingValueReplacement")
        replaced = None if given is None else raw.plain(given)
        stands = raw.plain(field.need("invalidValueReplacement")) if treatment == "asValue" else None
        if raw.values and treatment == "returnInvalid":
            self.note(_no_answer(raw.name))

        valid, missing, invalid = set(raw.values), set(raw.missing), set(raw.invalid)

        def one(value: Any) -> Any:
            bad = value in invalid or (bool(valid) and value not in valid)
            if value is None or value in missing:
                return replaced
            if bad and treatment != "asIs":
                return stands if treatment == "asValue" else replaced
            return value

        _refuse_missing(field, self.note, raw.name)
        values = tuple(map(one, term.values))
        return term if values == term.values else Table(term.codes, values, term.dtype)

    def _number(self, raw: Raw, term: Node, field: Element) -> Node:
        treatment = _treatment(field)
        x = term
        if raw.missing:
            x = _where(_among(x, raw.missing), number(float("nan")), x)
        valid = _valid(raw, x)
        if valid is not None and treatment != "asIs":
            if treatment == "returnInvalid":
                self.note(_no_answer(raw.name))
            stands = field.need("invalidValueReplacement") if treatment == "asValue" else ""
            instead = number(raw.plain(stands)) if stands else number(float("nan"))
            x = _where(valid, x, instead)
        x = _outliers(field, x)
        if "missingValueReplacement" in field.attributes:
            x = Node("coalesce", (x, number(raw.plain(field.get("missingValueReplacement")))), dtype=x.dtype)
        _refuse_missing(field, self.note, raw.name)
        return x


def _treatment(field: Element) -> str:
    return field.choose("invalidValueTreatment", _INVALID, "returnInvalid")


def _no_answer(name: str) -> str:
    return (
        f"the document has no answer to values of '{name}' that it does not list; here they count as missing"
    )


def _refuse_missing(field: Element, note: Callable[[str], None], name: str) -> None:
    if field.get("missingValueTreatment") == "returnInvalid":
        note(f"the document has no answer where '{name}' is missing")


def _coded(raw: Raw, source: Node, texts: tuple[str, ...]) -> Term:
    """A column of categories as the code of its value; another one as it is."""
    if raw.kind == "string":
        levels = tuple(text for text in texts if text)
        return Table(codes(source, levels), (*levels, None, OTHER))
    if raw.element.get("optype") != "categorical" or raw.kind == "boolean" or raw.element.first("Interval"):
        return source
    numbers = dict.fromkeys(value for value in map(_finite, texts) if value is not None)
    if not numbers or not all(value.is_integer() and abs(value) < _EXACT for value in numbers):
        return source
    return Table(codes(source, tuple(numbers)), (*numbers, None, OTHER), source.dtype, origin=source)


def _finite(text: str) -> float | None:
    """A text as a number; None where it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def _where(condition: Node, yes: Node, no: Node) -> Node:
    return Node("if", (condition, yes, no), dtype=no.dtype if yes.op == "constant" else yes.dtype)


def _among(x: Node, values: tuple[Any, ...]) -> Node:
    """1 where a number is one of some values; NaN where it is missing."""
    place = codes(x, values)
    return lookup(place, np.array([1.0] * len(values) + [np.nan, 0.0]), "truth")


def _valid(raw: Raw, x: Node) -> Node | None:
    """Whether a number is valid, NaN where it is missing; None where all are."""
    tests = [_inside(interval, x) for interval in raw.element.all("Interval")]
    if any(test is None for test in tests):
        tests = []
    found = [test for test in tests if test is not None] + ([_among(x, raw.values)] if raw.values else [])
    valid = Node("or", tuple(found), dtype="truth") if len(found) > 1 else found[0] if found else None
    if raw.invalid:
        listed = Node("not", (_among(x, raw.invalid),), dtype="truth")
        valid = listed if valid is None else Node("and", (valid, listed), dtype="truth")
    return valid


def _inside(interval: Element, x: Node) -> Node | None:
    """Whether a number is in an interval; None where every finite float32 is."""
    closure = interval.choose(
        "closure", ("openClosed", "openOpen", "closedOpen", "closedClosed"), "closedClosed"
    )
    low = interval.number("leftMargin", float("-inf"))
    high = interval.number("rightMargin", float("inf"))
    if low <= -_LARGEST and high >= _LARGEST:
        return None
    above = Node(
        "greaterOrEqual" if closure.startswith("closed") else "greaterThan", (x, number(low)), dtype="truth"
    )
    below = Node(
        "lessOrEqual" if closure.endswith("Closed") else "lessThan", (x, number(high)), dtype="truth"
    )
    return Node("and", (above, below), dtype="truth")


def _outliers(field: Element, x: Node) -> Node:
    """Far values as they are, as missing, or as the farthest that is allowed."""
    treatment = field.choose("outliers", ("asIs", "asMissingValues", "asExtremeValues"), "asIs")
    if treatment == "asIs":
        return x
    low, high = (number(field.number(name)) for name in ("lowValue", "highValue"))
    below = Node("lessThan", (x, low), dtype="truth")
    above = Node("greaterThan", (x, high), dtype="truth")
    missing = number(float("nan"))
    ends = (low, high) if treatment == "asExtremeValues" else (missing, missing)
    return _where(below, ends[0], _where(above, ends[1], x))


def replaced(term: Term, field: Element) -> Term:
    """A field of an outer model as an inner one takes it.

    Raises:
        FormatError: it is treated in a way that is meant for columns.
    """
    field.choose("outliers", ("asIs",), "asIs")
    if "missingValueReplacement" not in field.attributes:
        return term
    stands = field.get("missingValueReplacement")
    if isinstance(term, Table):
        values = tuple(stands if value is None else value for value in term.values)
        return Table(term.codes, values, term.dtype)
    node = numeric_of(term, field)
    return Node("coalesce", (node, number(field.as_number(stands))), dtype=node.dtype)
