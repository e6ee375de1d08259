"""Shapes of queries that DuckDB has and others do not: GROUP BY ALL, UNION BY NAME."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp


def plain(tree: Any, annotate: Callable[[Any], Any]) -> Any:
    """The resolved tree without them.

    Args:
        annotate: finds the types again after a change.
    """
    changed = False
    for group in list(tree.find_all(exp.Group)):
        if group.args.get("all"):
            _keys(group)
            changed = True
    for union in reversed(list(tree.find_all(exp.SetOperation))):
        if union.args.get("by_name"):
            _by_name(union)
            changed = True
    return annotate(tree) if changed else tree


def _keys(group: exp.Group) -> None:
    """GROUP BY the expressions that hold no aggregate."""
    select = group.parent
    assert isinstance(select, exp.Select)
    keys = [each.unalias() for each in select.expressions if not _aggregates(each)]
    group.set("all", None)
    group.set("expressions", [key.copy() for key in keys if not isinstance(key, exp.Literal)])
    if not group.expressions:
        group.pop()


def _aggregates(node: exp.Expr) -> bool:
    """Whether an aggregate stands in it that is not a window's."""
    return any(not isinstance(each.parent, exp.Window) for each in node.find_all(exp.AggFunc))


def _by_name(union: exp.SetOperation) -> None:
    """Both sides with all columns in one order; what a side lacks is NULL."""
    left, right = union.this, union.expression
    types = {
        select.alias_or_name: select.type
        for side in (right, left)
        for select in side.selects
        if select.type is not None
    }
    names = list(dict.fromkeys([*left.named_selects, *right.named_selects]))
    for key, side in (("this", left), ("expression", right)):
        there = set(side.named_selects)
        alias = exp.to_identifier("bessemer_side", quoted=True)
        listed = []
        for name in names:
            inner: exp.Expr = exp.column(exp.to_identifier(name, quoted=True), table=alias.copy())
            if name not in there:
                inner = exp.Cast(this=exp.Null(), to=types[name].copy())
            listed.append(exp.alias_(inner, name, quoted=True))
        wrapped = exp.select(*listed).from_(
            exp.Subquery(this=side.copy(), alias=exp.TableAlias(this=alias.copy()))
        )
        union.set(key, wrapped)
    union.set("by_name", None)
