"""A learner's parameters: a table of names, types and ranges, and one check for all learners."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bessemer.core.errors import did_you_mean


@dataclass(frozen=True)
class Tune:
    """Where a search looks for a parameter's value: a range, on a logarithmic scale or not, or a few words."""

    low: float = 0
    high: float = 0
    log: bool = False
    words: tuple[str | bool, ...] = ()


@dataclass(frozen=True)
class Param:
    """One parameter.

    default: the value where none is given; None means that it is chosen from the data.
    low, high: the range, both ends allowed.
    choices: the allowed words, for a parameter that is a word; those allowed beside numbers, for one that is not.
    tune: where a search looks; None for a parameter that is not searched.
    check: says what is wrong with a value, or '', for a parameter whose values are of their own kind.
    """

    default: int | float | str | bool | None
    kind: type
    meaning: str
    low: float = float("-inf")
    high: float = float("inf")
    choices: tuple[str, ...] = ()
    tune: Tune | None = None
    check: Callable[[Any], str] | None = None

    def fault(self, value: Any) -> str:
        """What is wrong with the value, or ''."""
        if self.check is not None:
            return self.check(value)
        if self.choices and (self.kind is str or isinstance(value, str)):
            known = ", ".join(self.choices)
            return "" if value in self.choices else f"{value!r} is not one of {known}"
        wanted: Any = (int, float) if self.kind is float else self.kind
        if not isinstance(value, wanted) or (isinstance(value, bool) and self.kind is not bool):
            return f"{value!r} is not {'a number' if self.kind is float else f'of type {self.kind.__name__}'}"
        if not self.low <= value <= self.high:
            return f"{value!r} is not between {self.low:g} and {self.high:g}"
        return ""


def faults_of(table: Mapping[str, Param], given: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(name, what is wrong, fix) of every given parameter that the table does not allow.

    >>> table = {"num_leaves": Param(31, int, "leaves of a tree", 2, 4096)}
    >>> faults_of(table, {"num_leafs": 8})
    [('num_leafs', 'no such parameter', "did you mean 'num_leaves'?")]
    >>> faults_of(table, {"num_leaves": 1})
    [('num_leaves', '1 is not between 2 and 4096', '')]
    """
    found = []
    for name, value in given.items():
        if name not in table:
            found.append((name, "no such parameter", did_you_mean(name, table, limit=40)))
        elif what := table[name].fault(value):
            found.append((name, what, ""))
    return found


def resolved(table: Mapping[str, Param], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter of the table with the given value or the default, in the table's order."""
    return {name: given.get(name, param.default) for name, param in table.items()}
