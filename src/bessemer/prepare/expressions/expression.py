"""Reading the derived features of a project file: one expression, or all of them with their dependencies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any, cast

from sqlglot import exp

from bessemer.core.errors import Fault, ProjectError
from bessemer.core.signature import DType
from bessemer.prepare.expressions import syntax
from bessemer.prepare.expressions.resolve import Resolver, settled
from bessemer.prepare.expressions.to_sql import to_sql
from bessemer.prepare.expressions.tree import Node, Refusal, column, walk


@dataclass(frozen=True)
class Expression:
    """A derived feature, its names and types settled.

    name: the feature's name.
    text: what the project file says.
    dtype: the type of the result: boolean, integer, number, string or timestamp.
    columns: the raw columns it is computed from, in order of first use.
    """

    name: str
    text: str
    dtype: DType
    columns: tuple[str, ...]
    root: Node = field(repr=False, compare=False)

    @cached_property
    def sql(self) -> str:
        """A DuckDB scalar expression over the raw columns; NULL where the feature is missing.

        BOOLEAN, VARCHAR or TIMESTAMP by type; integers and numbers are DOUBLE, never NaN nor infinite.
        """
        return to_sql(self.root)


def parse(name: str, text: str, columns: Mapping[str, DType]) -> Expression:
    """Read one derived feature.

    Args:
        name: the feature's name, for messages.
        text: an SQL scalar expression.
        columns: the raw columns and their types; names are found in any case, as in DuckDB.

    Raises:
        ProjectError: the expression is not accepted; the fault says why and what to write instead.

    >>> expr = parse("speed", "distance / nullif(air_time, 0)", {"distance": "number", "air_time": "integer"})
    >>> expr.dtype, expr.columns
    ('number', ('distance', 'air_time'))
    """
    try:
        return _build(name, text, syntax.read(text), _raw(columns), tuple(columns))
    except Refusal as refusal:
        raise ProjectError([_fault(name, refusal)]) from None


def parse_all(derive: Mapping[str, str], columns: Mapping[str, DType]) -> dict[str, Expression]:
    """Read all derived features; one may use another, in any order.

    Returns:
        The expressions by name, in the order of `derive`.

    Raises:
        ProjectError: with every fault: expressions that are not accepted, names that clash with a column or with
            one another (in any case), and features that are made from themselves.

    >>> found = parse_all({"far": "km > 1000", "km": "miles * 1.609"}, {"miles": "number"})
    >>> found["far"].columns
    ('miles',)
    """
    faults = [_fault(name, refusal) for name, refusal in _clashes(derive, columns)]
    trees: dict[str, Any] = {}
    for name, text in derive.items():
        try:
            trees[name] = syntax.read(text)
        except Refusal as refusal:
            faults.append(_fault(name, refusal))
    names, shown = _raw(columns), (*columns, *derive)
    uses = _uses(trees, {name.lower(): name for name in derive if name.lower() not in names})
    order, cycles = _order(uses)
    faults += [_fault(name, refusal) for name, refusal in cycles]
    done: dict[str, Expression] = {}
    for name in order:
        if any(other not in done for other in uses[name]):
            continue  # what it is made from has a fault of its own
        try:
            done[name] = _build(name, derive[name], trees[name], names, shown)
        except Refusal as refusal:
            faults.append(_fault(name, refusal))
        else:
            names.setdefault(name.lower(), done[name].root)
    if faults:
        places = list(derive)
        raise ProjectError(sorted(faults, key=lambda f: places.index(f.path.removeprefix(_PATH))))
    return {name: done[name] for name in derive}


_PATH = "prepare.derive."


def _fault(name: str, refusal: Refusal) -> Fault:
    return Fault(f"{_PATH}{name}", None, refusal.what, refusal.fix)


def _raw(columns: Mapping[str, DType]) -> dict[str, Node]:
    return {name.lower(): column(name, dtype) for name, dtype in columns.items()}


def _build(name: str, text: str, tree: Any, names: Mapping[str, Node], shown: tuple[str, ...]) -> Expression:
    root = settled(Resolver(names, shown).node(tree))
    used = dict.fromkeys(node.value for node in walk(root) if node.op == "column")
    return Expression(name, text, cast(DType, root.kind), tuple(used), root)


def _clashes(derive: Mapping[str, str], columns: Mapping[str, DType]) -> Iterator[tuple[str, Refusal]]:
    taken = {name.lower(): f"the column '{name}'" for name in columns}
    for name in derive:
        if not name.strip():
            yield name, Refusal("a derived feature needs a name")
        elif (other := taken.get(name.lower())) is not None:
            yield (
                name,
                Refusal(f"the name is taken by {other}; SQL does not tell case apart", "choose another name"),
            )
        taken.setdefault(name.lower(), f"the derived feature '{name}'")


def _uses(trees: Mapping[str, Any], derived: Mapping[str, str]) -> dict[str, list[str]]:
    """The derived features (by lower-case name) that each syntax tree names."""
    found = {
        name: (derived.get(node.name.lower()) for node in tree.find_all(exp.Column))
        for name, tree in trees.items()
    }
    return {name: list(dict.fromkeys(u for u in used if u is not None)) for name, used in found.items()}


def _order(uses: Mapping[str, list[str]]) -> tuple[list[str], list[tuple[str, Refusal]]]:
    """The features so that each comes after those it uses, and a refusal for each one on a circle."""
    graph = {name: [u for u in used if u in uses] for name, used in uses.items()}
    cycles: list[tuple[str, Refusal]] = []
    while True:
        try:
            return list(TopologicalSorter(graph).static_order()), cycles
        except CycleError as error:
            circle = list(reversed(error.args[1]))
            refusal = Refusal(f"it is made from itself: {' -> '.join(circle)}", "break the circle")
            for name in dict.fromkeys(circle):
                cycles.append((name, refusal))
                del graph[name]
            graph = {name: [u for u in used if u in graph] for name, used in graph.items()}
