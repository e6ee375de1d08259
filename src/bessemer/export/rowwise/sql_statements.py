"""What each kind of statement is in SQL: the expression of one element of its result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.readers.encoder import ELEMENTS
from bessemer.export.rowwise.branches import Branches, branches_of
from bessemer.export.rowwise.program import Dense, Each, Fold, Rows, Statement, Take, Trees
from bessemer.export.rowwise.sql_words import (
    FLOATS,
    TEXTS,
    TRUTHS,
    WHOLES,
    leaf,
    literal,
    rounded,
    threshold,
    word,
)
from bessemer.export.rowwise.to_json import labels
from bessemer.export.rowwise.types import TYPES

if TYPE_CHECKING:
    from bessemer.export.rowwise.sql_code import Query

#: An element of a value: its number and a position.
Place = tuple[int, int]
#: Levels of a tree: engines go down expressions by recursion.
_DEEPEST = 64


def needs(s: Statement, place: int) -> Iterator[Place]:
    """The elements that one element of a statement is made of."""
    for operand in s.operands:
        if operand.value.data is None:
            yield from ((operand.value.number, int(operand.places[i])) for i in _turns(s, place, operand))


def _turns(s: Statement, place: int, operand: Any) -> Sequence[int]:
    if isinstance(s, Each):
        return [place]
    if isinstance(s, Take):
        found, at = _owner(s, place)
        return [at] if found is operand else []
    if isinstance(s, Rows):
        return [place // s.table.shape[1]]
    if isinstance(s, Fold):
        return range(place * s.run, (place + 1) * s.run)
    if isinstance(s, Dense):
        return _line(s, place)
    branches = branches_of(s.arrays)
    return sorted(set(branches.feature.tolist()))


def _owner(s: Take, place: int) -> tuple[Any, int]:
    for operand in s.operands:
        if place < len(operand.places):
            return operand, place
        place -= len(operand.places)
    raise AssertionError("a place beyond the value")


def _line(s: Dense, place: int) -> range:
    """The operand's elements that one element of a product takes."""
    k, m = s.weights.shape[1:]
    row = place // m
    return range(row * k, (row + 1) * k)


_Written = tuple[str, list[int], bool]


def _each(q: Query, s: Each, place: int) -> _Written:
    takes = [q.take(o.value, int(o.places[place])) for o in s.operands]
    texts, steps = [text for text, _ in takes], [step for _, step in takes]
    kind = s.operands[0].value.type
    table = {"bool": TRUTHS, "str": TEXTS, "i64": WHOLES, "i32": WHOLES}.get(kind, FLOATS)
    if s.operator in _OTHERS:
        return _OTHERS[s.operator](q, s, texts), steps, False
    if s.operator not in table or (s.operator == "Mod" and table is FLOATS and not s.said.get("fmod")):
        raise UncarriedError(f"the operator {s.operator} on {kind} has no form in SQL")
    made = texts[0]
    for other in texts[1:] or [""]:
        made = word(table[s.operator], q.dialect, made, other)
    return made, steps, False


def _where(q: Query, s: Each, texts: list[str]) -> str:
    if texts[0] in ("TRUE", "FALSE"):
        return texts[1] if texts[0] == "TRUE" else texts[2]
    return f"(CASE WHEN {texts[0]} THEN {texts[1]} ELSE {texts[2]} END)"


_BOUNDS = (("low", "<"), ("high", ">"))


def _clip(q: Query, s: Each, texts: list[str]) -> str:
    bounds = [(sign, literal(s.said[name], "f64", q.dialect)) for name, sign in _BOUNDS if name in s.said]
    cases = [f"WHEN {texts[0]} {sign} {bound} THEN {bound}" for sign, bound in bounds]
    return f"(CASE {' '.join(cases)} ELSE {texts[0]} END)" if cases else texts[0]


def _cast(q: Query, s: Each, texts: list[str]) -> str:
    kind, (x,) = s.operands[0].value.type, texts
    to = TYPES[np.dtype(ELEMENTS[s.said["to"]]).name]
    if kind == to or (kind, to) == ("f32", "f64"):
        return x
    if (kind, to) == ("f64", "f32"):
        return f"({rounded(x, q.dialect)})"
    if to == "bool":
        return f"COALESCE({x} <> 0, TRUE)"
    if kind == "bool":
        return (
            f"(CASE WHEN {x} THEN 1 ELSE 0 END)"
            if to in ("i64", "i32")
            else f"(CASE WHEN {x} THEN 1e0 ELSE 0e0 END)"
        )
    if kind in ("f32", "f64"):
        lowest = literal(-(2**63), "i64", q.dialect)
        return f"COALESCE({word('CAST(TRUNC({0}) AS BIGINT)', q.dialect, x)}, {lowest})"
    return word("CAST({0} AS DOUBLE)", q.dialect, x)


def _looked_up(q: Query, s: Each, texts: list[str]) -> str:
    told, kind = labels(s), s.operands[0].value.type
    cases = [f"WHEN {literal(key, kind, q.dialect)} THEN {value}" for key, value in told["table"]]
    return f"(CASE {texts[0]} {' '.join(cases)} ELSE {told['default']} END)"


def _change_case(q: Query, s: Each, texts: list[str]) -> str:
    lower, upper = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    pair = {"LOWER": (upper, lower), "UPPER": (lower, upper)}.get(str(s.said.get("case_change_action")))
    if pair is None or s.said.get("stopwords"):
        raise UncarriedError("a StringNormalizer that does more than change letters' case has no form in SQL")
    return f"TRANSLATE({texts[0]}, '{pair[0]}', '{pair[1]}')"


_OTHERS: Mapping[str, Callable[[Query, Each, list[str]], str]] = {
    "Cast": _cast,
    "Clip": _clip,
    "IsInf": lambda q, s, texts: "FALSE",  # what is infinite is NULL already
    "LabelEncoder": _looked_up,
    "StringNormalizer": _change_case,
    "Where": _where,
}


def _take(q: Query, s: Take, place: int) -> _Written:
    operand, at = _owner(s, place)
    text, step = q.take(operand.value, int(operand.places[at]))
    return text, [step], False


def _rows(q: Query, s: Rows, place: int) -> _Written:
    """The rows of a table that have another value than most."""
    row, column = divmod(place, s.table.shape[1])
    (asked,) = s.operands
    text, step = q.take(asked.value, int(asked.places[row]))
    values = [literal(v, s.out.type, q.dialect) for v in s.table[:, column]]
    usual = Counter(values).most_common(1)[0][0]
    cases = [f"WHEN {i} THEN {value}" for i, value in enumerate(values) if value != usual]
    return (f"(CASE {text} {' '.join(cases)} ELSE {usual} END)" if cases else usual), [step], False


def _dense(q: Query, s: Dense, place: int) -> _Written:
    (operand,), m = s.operands, s.weights.shape[2]
    weights = s.weights[place // (s.rows * m), :, place % m]
    terms, step = [], 1
    for weight, turn in zip(weights, _line(s, place), strict=True):
        if weight:
            text, after = q.take(operand.value, int(operand.places[turn]))
            terms.append(f"{text} * {literal(weight, 'f32', q.dialect)}")
            step = max(step, after)
    return q.summed(terms, step, "0e0")


def _fold(q: Query, s: Fold, place: int) -> _Written:
    (operand,) = s.operands
    takes = [q.take(operand.value, int(operand.places[t])) for t in _turns(s, place, operand)]
    texts, step = [text for text, _ in takes], max(step for _, step in takes)
    if s.operator == "Add":
        return q.summed(texts, max(step, 1), "0e0")
    return f"GREATEST({', '.join(texts)})", [step], False


def _trees(q: Query, s: Trees, place: int) -> _Written:
    branches = branches_of(s.arrays)
    (operand,), width = s.operands, int(s.arrays["width"])
    features = {f: q.take(operand.value, int(operand.places[f])) for f in set(branches.feature.tolist())}
    terms = []
    for root in branches.root.tolist():
        leaves = _leaves(branches, root)
        if width == 1 and not any(s.arrays["target"][leaf] == place for leaf in leaves):
            continue
        value = lambda leaf: s.arrays["value"][leaf * width + (place if width > 1 else 0)]  # noqa: E731
        terms.append(_tree(q, branches, root, features, value, 0))
    step = max((step for _, step in features.values()), default=1)
    return q.summed(terms, max(step, 1), literal(s.arrays["base"][place], "f32", q.dialect))


def _leaves(b: Branches, root: int) -> list[int]:
    found, todo = [], [root]
    while todo:
        at = todo.pop()
        if at < 0:
            found.append(-1 - at)
        else:
            todo += [int(b.left[at]), int(b.right[at])]
    return found


def _tree(
    q: Query, b: Branches, at: int, features: Mapping[int, tuple[str, int]], value: Any, depth: int
) -> str:
    """A tree as CASE in CASE: what is NULL is not below a threshold, and goes where the tree sends it."""
    if at < 0:
        return leaf(value(-1 - at))
    if depth > _DEEPEST:
        raise UncarriedError(f"its trees are deeper than {_DEEPEST} levels")
    x = features[int(b.feature[at])][0]
    asked = f"{x} <= {threshold(b.threshold[at], q.dialect)}"
    if b.missing_left[at]:
        asked += f" OR {x} IS NULL"
    left, right = (_tree(q, b, int(side[at]), features, value, depth + 1) for side in (b.left, b.right))
    return f"CASE WHEN {asked} THEN {left} ELSE {right} END"


WRITERS: Mapping[type[Statement], Callable[[Query, Any, int], _Written]] = {
    Each: _each,
    Take: _take,
    Rows: _rows,
    Dense: _dense,
    Fold: _fold,
    Trees: _trees,
}
