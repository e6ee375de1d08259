"""Predicates as tests with three answers: true, false, and unknown where a value is missing.

https://dmg.org/pmml/v4-4-1/TreeModel.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bessemer.importers.models.pmml.columns import numeric_of, truth
from bessemer.importers.models.pmml.scope import Scope
from bessemer.importers.models.pmml.terms import Const, Node, Table, Term
from bessemer.importers.models.pmml.xml import Element, array

PREDICATES = ("True", "False", "SimplePredicate", "SimpleSetPredicate", "CompoundPredicate")
_MISSING = ("isMissing", "isNotMissing")
_ORDERED = ("lessThan", "lessOrEqual", "greaterThan", "greaterOrEqual")
_OPERATORS = ("equal", "notEqual", *_ORDERED, *_MISSING)
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class Always:
    """The same answer for every row."""

    answer: bool


@dataclass(frozen=True, eq=False)
class AtMost:
    """`x <= threshold` of a number x; unknown where it is missing."""

    x: Node
    threshold: float


@dataclass(frozen=True, eq=False)
class Gone:
    """Whether a number is missing."""

    x: Node


@dataclass(frozen=True, eq=False)
class Among:
    """Whether the code of a row is among some. unknown: codes that have no answer."""

    codes: Node
    size: int
    true: frozenset[int]
    unknown: frozenset[int]


@dataclass(frozen=True, eq=False)
class Not:
    inner: Predicate


@dataclass(frozen=True, eq=False)
class Both:
    """and, or, xor or surrogate of the first one and of all others."""

    operator: str
    first: Predicate
    rest: Predicate


Predicate = Always | AtMost | Gone | Among | Not | Both


@dataclass
class Predicates:
    """Reads the predicates of a model."""

    scope: Scope

    def of(self, holder: Element) -> Predicate:
        """The predicate of a node or a segment."""
        return self._read(holder.one(*PREDICATES))

    def _read(self, element: Element) -> Predicate:
        if element.tag in ("True", "False"):
            return Always(element.tag == "True")
        if element.tag == "CompoundPredicate":
            return self._compound(element)
        term = self.scope.term(element.need("field"), element)
        if element.tag == "SimpleSetPredicate":
            operator = element.choose("booleanOperator", ("isIn", "isNotIn"), "")
            found = self._in(term, array(element.one("Array")), element)
            return found if operator == "isIn" else Not(found)
        operator = element.choose("operator", _OPERATORS, "")
        if operator in _MISSING:
            found = self._gone(term)
            return found if operator == "isMissing" else Not(found)
        return self._compared(term, operator, element.need("value"), element)

    def _compound(self, element: Element) -> Predicate:
        operator = element.choose("booleanOperator", ("and", "or", "xor", "surrogate"), "")
        parts = [self._read(one) for one in element.all(*PREDICATES)]
        if not parts:
            element.refuse("has no predicates")
        found = parts[-1]
        for part in reversed(parts[:-1]):
            found = Both(operator, part, found)
        return found

    def _gone(self, term: Term) -> Predicate:
        if isinstance(term, Const):
            return Always(term.value is None)
        if isinstance(term, Node):
            return Gone(term)
        return Among(term.codes, len(term.values), term.gone(), frozenset())

    def _in(self, term: Term, values: tuple[str, ...], element: Element) -> Predicate:
        if isinstance(term, Table):
            return _among(term, values)
        if not values:
            return Always(False)
        found = self._compared(term, "equal", values[-1], element)
        for value in reversed(values[:-1]):
            found = Both("or", self._compared(term, "equal", value, element), found)
        return found

    def _compared(self, term: Term, operator: str, value: str, element: Element) -> Predicate:
        if isinstance(term, Table) and operator in ("equal", "notEqual"):
            found = _among(term, (value,))
            return found if operator == "equal" else Not(found)
        x = numeric_of(term, element)
        limit = truth(element, value) if x.dtype == "truth" else element.as_number(value, "a value")
        if operator in ("equal", "notEqual"):
            equal = Both(
                "and", AtMost(x, _floor(np.float32(limit))), Not(AtMost(x, _below(np.float32(limit))))
            )
            return equal if operator == "equal" else Not(equal)
        limit = float(np.float32(limit)) if x.dtype == "float" else limit
        strict = operator in ("lessThan", "greaterOrEqual")
        test = AtMost(x, _below(limit) if strict else _floor(limit))
        return test if operator.startswith("less") else Not(test)


def _among(term: Table, values: tuple[str, ...]) -> Among:
    true = frozenset(code for text in values for code in term.codes_of(text))
    return Among(term.codes, len(term.values), true, term.gone())


def _floor(value: Any) -> float:
    """The greatest float32 that is at most a number.

    >>> _floor(0.1) < 0.1, _floor(0.5), _floor(1e300) == _LARGEST
    (True, 0.5, True)
    """
    value = float(value)
    if value >= _LARGEST:
        return _LARGEST
    with np.errstate(over="ignore"):
        near = np.float32(value)
    return float(near if float(near) <= value else np.nextafter(near, np.float32(-np.inf)))


def _below(value: Any) -> float:
    """The greatest float32 that is less than a number."""
    found = np.float32(_floor(value))
    return float(found if float(found) < float(value) else np.nextafter(found, np.float32(-np.inf)))
