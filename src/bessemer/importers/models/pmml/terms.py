"""What a field of a document is for one row: a number, or one of finitely many values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from bessemer.importers.models.pmml.budget import spend_cells

_TRUTHS = {"true": 1.0, "false": 0.0}
#: Codes that are compared one by one, and not looked up.
_FEW = 4


class Other:
    """A text that the document does not know: it equals none of those that it does."""

    def __repr__(self) -> str:
        return "(other)"


OTHER = Other()


@dataclass(frozen=True, eq=False)
class Node:
    """A number, a truth (0 or 1) or a code, of each row; NaN where it is missing. Compared by identity.

    op: a function of `args`, see `emit`. value: what else it needs to know.
    dtype: `float` where the document counts in float32, `integer` where in whole numbers, else `double`; `truth`.
    late: whether a tree or a layer has a part in it. columns: the raw ones that it looks at.
    """

    op: str
    args: tuple[Node, ...] = ()
    value: Any = None
    dtype: str = "double"
    late: bool = field(init=False)
    columns: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        late = self.op in ("tree", "layer") or any(arg.late for arg in self.args)
        object.__setattr__(self, "late", late)
        own = frozenset({self.value[0]} if self.op == "column" else ())
        object.__setattr__(self, "columns", own.union(*(arg.columns for arg in self.args)))


@dataclass(frozen=True, eq=False)
class Table:
    """One of finitely many values, by the code of each row.

    codes: a `codes` node. values: of each code, None for missing; the last two are of a missing and of another value.
    origin: the number that its values are, where they are a column's. indicators: tables of it by the value that they
        tell, so that equal ones are one feature.
    """

    codes: Node
    values: tuple[Any, ...]
    dtype: str = "string"
    origin: Node | None = None
    indicators: dict[tuple[str, bool], Node] = field(default_factory=dict)

    def __post_init__(self) -> None:
        spend_cells(len(self.values))

    @cached_property
    def places(self) -> Mapping[Any, list[int]]:
        """The codes of each value; a number and a truth are the same where they are equal."""
        found: dict[Any, list[int]] = {}
        for i, value in enumerate(self.values):
            found.setdefault(value, []).append(i)
        return found

    def gone(self) -> frozenset[int]:
        """The codes of missing values."""
        return frozenset(self.places.get(None, ()))

    def codes_of(self, text: str) -> frozenset[int]:
        """The codes of the values that are what a text of the document says."""
        return frozenset(i for key in (text, *numbers_of(text)) for i in self.places.get(key, ()))

    @cached_property
    def number(self) -> Node:
        """Its values as numbers, always the same node.

        Raises:
            ValueError: one is a text.
        """
        if self.origin is not None:
            return self.origin
        if any(isinstance(value, (str, Other)) for value in self.values):
            raise ValueError("a text where a number belongs")
        return lookup(self.codes, np.array([as_number(value) for value in self.values]), self.dtype)


@dataclass(frozen=True)
class Const:
    """The same value for every row; None for missing."""

    value: Any
    dtype: str = "string"


Term = Node | Table | Const


def number(value: float, dtype: str = "double") -> Node:
    return Node("constant", (), float(value), dtype)


def codes(argument: Node, keys: Sequence[Any]) -> Node:
    """The place of a value among `keys`; len(keys) for a missing one, len(keys) + 1 for another."""
    return Node("codes", (argument,), tuple(keys))


def lookup(place: Node, values: np.ndarray, dtype: str) -> Node:
    """The value of each code."""
    spend_cells(len(values))
    return Node("lookup", (place,), values, dtype)


def member(place: Node, size: int, true: frozenset[int], unknown: frozenset[int], dtype: str) -> Node:
    """1 for the codes of a set, 0 for others, NaN for those that are unknown; small sets need no table."""
    if len(true) + len(unknown) <= _FEW:
        return Node("member", (place,), (tuple(sorted(true)), tuple(sorted(unknown))), dtype)
    values = np.zeros(size)
    values[list(true)] = 1.0
    values[list(unknown)] = np.nan
    return lookup(place, values, dtype)


def numbers_of(text: str) -> tuple[float, ...]:
    """The number that a text is, as PMML writes numbers and truths; () where it is none."""
    try:
        return (_TRUTHS[text] if text in _TRUTHS else float(text),)
    except ValueError:
        return ()


def retyped(term: Term, dtype: str) -> Term:
    """The same values, as another type of the document."""
    return term if term.dtype == dtype else replace(term, dtype=dtype)


def as_number(value: Any) -> float:
    """A value of a table as a number, NaN where it is missing.

    Raises:
        ValueError: it is a text that is no number.
    """
    if value is None:
        return float("nan")
    if isinstance(value, bool):
        return float(value)
    return float(value)


def numeric(term: Term) -> Node:
    """A term as a number.

    Raises:
        ValueError: it is a text.
    """
    if isinstance(term, Const):
        return number(
            as_number(term.value), term.dtype if term.dtype in ("float", "integer", "truth") else "double"
        )
    if isinstance(term, Table):
        return term.number
    return term


def mapped(tables: Iterable[Term], by: Callable[..., Any], dtype: str) -> Term | None:
    """A function of tables of the same codes and of constants, value by value; None where they are anything else."""
    given = list(tables)
    if any(isinstance(one, Node) for one in given):
        return None
    found = [one for one in given if isinstance(one, Table)]
    if not found:
        return Const(by(*(one.value for one in given if isinstance(one, Const))), dtype)
    if any(one.codes is not found[0].codes for one in found):
        return None
    size = len(found[0].values)
    columns = [one.values if isinstance(one, Table) else (one.value,) * size for one in given]
    return Table(found[0].codes, tuple(by(*row) for row in zip(*columns, strict=True)), dtype)
