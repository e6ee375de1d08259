"""The typed tree as a DuckDB scalar expression.

Integers and numbers are DOUBLE throughout, as in the graph, whatever DuckDB's own rules for literals and
decimals would be. An operand that a template mentions twice is bound once, so that the text grows with the
expression and not with the powers of its depth.
"""

from __future__ import annotations

from collections.abc import Callable

from bessemer.core.sql import literal, quote
from bessemer.prepare.expressions.moments import write_moment
from bessemer.prepare.expressions.operators import COMPARISONS
from bessemer.prepare.expressions.tree import FIRST_MICROSECOND, LAST_MICROSECOND, Node, walk

#: A text this short may be written twice instead of being bound to a name.
SHORT = 120

_TYPES = {"boolean": "BOOLEAN", "string": "VARCHAR", "timestamp": "TIMESTAMP"}
_INTEGERS = {64: "BIGINT", 32: "INTEGER", 16: "SMALLINT", 8: "TINYINT"}
_UPPER, _LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"

#: Operations that are one template; {0} and {1} are the operands, each mentioned once.
_TEMPLATES = {
    "subtract": "({0} - {1})",
    "multiply": "({0} * {1})",
    "divide": "({0} / {1})",
    "remainder": "({0} % {1})",
    "negate": "(- {0})",
    "not": "(NOT {0})",
    "is_null": "({0} IS NULL)",
    "same": "({0} IS NOT DISTINCT FROM {1})",
    "between": "({0} BETWEEN {1} AND {2})",
    "boolean_number": "CAST({0} AS DOUBLE)",
    "boolean_text": "CAST({0} AS VARCHAR)",
    "integer_text": "CAST(TRY_CAST({0} AS BIGINT) AS VARCHAR)",
    "as_number": "{0}",
    "nonzero": "({0} <> 0e0)",
    "sign": "CAST(sign({0}) AS DOUBLE)",
    "lower": f"translate({{0}}, '{_UPPER}', '{_LOWER}')",
    "upper": f"translate({{0}}, '{_LOWER}', '{_UPPER}')",
    **{op: f"({{0}} {symbol} {{1}})" for op, symbol in COMPARISONS.items()},
    **{op: f"{op}({{0}})" for op in ("abs", "floor", "ceil", "trunc", "round", "exp", "sin", "cos", "tan", "atan")},
}  # fmt: skip

#: Operations that mention an operand more than once: every operand is bound.
_BOUND = {
    "finite": "CASE WHEN isfinite({0}) THEN {0} END",
    "null_if": "CASE WHEN {0} = {1} THEN NULL ELSE {0} END",
    "pow": "CASE WHEN isfinite(pow({0}, {1})) THEN pow({0}, {1}) END",
    "sqrt": "CASE WHEN {0} >= 0 THEN sqrt({0}) END",
    "ln": "CASE WHEN {0} > 0 THEN ln({0}) END",
    "log10": "CASE WHEN {0} > 0 THEN log10({0}) END",
    "log2": "CASE WHEN {0} > 0 THEN log2({0}) END",
    "asin": "CASE WHEN abs({0}) <= 1 THEN asin({0}) END",
    "acos": "CASE WHEN abs({0}) <= 1 THEN acos({0}) END",
    # a zero with a minus sign would turn the angle around
    "atan2": "atan2(CASE WHEN {0} = 0 THEN 0e0 ELSE {0} END, CASE WHEN {1} = 0 THEN 0e0 ELSE {1} END)",
}

_FIRST, _LAST = write_moment(FIRST_MICROSECOND), write_moment(LAST_MICROSECOND)
_IN_RANGE = f"CASE WHEN {{0}} >= {_FIRST} AND {{0}} <= {_LAST} THEN {{0}} END"


def to_sql(root: Node) -> str:
    """The SQL text of an expression: BOOLEAN for booleans, DOUBLE for integers and numbers, VARCHAR, TIMESTAMP.

    The result is NULL where it is missing; it is never NaN, infinite or an empty text.
    """
    return _Writer(root).write(root)


class _Writer:
    def __init__(self, root: Node) -> None:
        self._taken = {node.value.lower() for node in walk(root) if node.op == "column"}
        self._count = 0

    def write(self, node: Node) -> str:
        args = [self.write(arg) for arg in node.args]
        if template := _TEMPLATES.get(node.op):
            return template.format(*args)
        if template := _BOUND.get(node.op):
            return self._bind(template, args)
        return _SPECIAL[node.op](self, node, args)

    def _bind(self, template: str, args: list[str]) -> str:
        """Fill a template that mentions its operands more than once; long operands become a lambda's parameter."""
        names, values, filled = [], [], []
        for arg in args:
            if len(arg) <= SHORT:
                filled.append(arg)
                continue
            names.append(self._fresh())
            values.append(arg)
            filled.append(names[-1])
        body = template.format(*filled)
        for name, value in reversed(list(zip(names, values, strict=True))):
            body = f"list_transform([{value}], lambda {name}: {body})[1]"
        return body

    def _fresh(self) -> str:
        while True:
            self._count += 1
            if (name := f"value_{self._count}") not in self._taken:
                return name

    def _column(self, node: Node, _: list[str]) -> str:
        name = quote(node.value)
        if node.kind == "boolean":
            return name
        if node.kind == "string":
            return f"CASE WHEN {name} <> '' THEN {name} END"
        if node.kind == "timestamp":
            return _IN_RANGE.format(name)
        return f"CAST({name} AS DOUBLE)"

    def _constant(self, node: Node, _: list[str]) -> str:
        return _constant(node.value, node.kind)

    def _chain(self, node: Node, args: list[str]) -> str:
        symbol = {"add": " + ", "and": " AND ", "or": " OR ", "join": " || "}[node.op]
        return f"({symbol.join(args)})"

    def _is_truth(self, node: Node, args: list[str]) -> str:
        return f"({args[0]} IS {'TRUE' if node.value else 'FALSE'})"

    def _in(self, node: Node, args: list[str]) -> str:
        values, has_null = node.value
        texts = [_constant(value, node.args[0].kind) for value in values] + ["NULL"] * has_null
        return f"({args[0]} IN ({', '.join(texts)}))"

    def _case(self, node: Node, args: list[str]) -> str:
        branches = zip(args[:-1:2], args[1:-1:2], strict=True)
        whens = " ".join(f"WHEN {condition} THEN {value}" for condition, value in branches)
        return f"CASE {whens} ELSE {args[-1]} END"

    def _switch(self, node: Node, args: list[str]) -> str:
        """DuckDB repeats the subject for each branch, so it is bound first; the branches stay outside the binding."""
        branches = range(1, len(args) - 1, 2)
        whens = " ".join(f"WHEN {{0}} = {{{i}}} THEN {{{i + 1}}}" for i in branches)
        subject = args[0]
        if len(subject) > SHORT:
            name = self._fresh()
            body = f"CASE {whens} ELSE {{{len(args) - 1}}} END".format(name, *args[1:])
            return f"list_transform([{subject}], lambda {name}: {body})[1]"
        return f"CASE {whens} ELSE {{{len(args) - 1}}} END".format(*args)

    def _call(self, node: Node, args: list[str]) -> str:
        return f"{node.op}({', '.join(args)})"

    def _round_to(self, node: Node, args: list[str]) -> str:
        return f"round({args[0]}, {node.value})"

    def _as_integer(self, node: Node, args: list[str]) -> str:
        return f"CAST(TRY_CAST({args[0]} AS {_INTEGERS[node.value]}) AS DOUBLE)"

    def _concat(self, node: Node, args: list[str]) -> str:
        return self._bind("CASE WHEN {0} <> '' THEN {0} END", [f"concat({', '.join(args)})"])

    def _match(self, node: Node, args: list[str]) -> str:
        kind, text, escaped_by = node.value
        if kind == "like":
            return f"({args[0]} LIKE {literal(text)}{f' ESCAPE {literal(escaped_by)}' if escaped_by else ''})"
        return f"{kind}({args[0]}, {literal(text)})"

    def _shift(self, node: Node, args: list[str]) -> str:
        return self._bind(_IN_RANGE, [f"({args[0]} + to_microseconds(CAST({node.value} AS BIGINT)))"])

    def _part(self, node: Node, args: list[str]) -> str:
        return f"CAST(date_part('{node.value}', {args[0]}) AS DOUBLE)"

    def _date_trunc(self, node: Node, args: list[str]) -> str:
        return f"CAST(date_trunc('{node.value}', {args[0]}) AS TIMESTAMP)"

    def _difference(self, node: Node, args: list[str]) -> str:
        return f"CAST({node.op}('{node.value}', {args[0]}, {args[1]}) AS DOUBLE)"


_SPECIAL: dict[str, Callable[[_Writer, Node, list[str]], str]] = {
    "column": _Writer._column,
    "constant": _Writer._constant,
    **dict.fromkeys(("add", "and", "or", "join"), _Writer._chain),
    **dict.fromkeys(("coalesce", "greatest", "least"), _Writer._call),
    **dict.fromkeys(("date_diff", "date_sub"), _Writer._difference),
    "is_truth": _Writer._is_truth,
    "in": _Writer._in,
    "case": _Writer._case,
    "switch": _Writer._switch,
    "round_to": _Writer._round_to,
    "as_integer": _Writer._as_integer,
    "concat": _Writer._concat,
    "match": _Writer._match,
    "shift": _Writer._shift,
    "part": _Writer._part,
    "date_trunc": _Writer._date_trunc,
}


def _constant(value: object, kind: str) -> str:
    if value is None:
        return f"CAST(NULL AS {_TYPES.get(kind, 'DOUBLE')})"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return literal(value)
    if kind == "timestamp":
        assert isinstance(value, int)
        return write_moment(value)
    text = repr(float(value))  # type: ignore[arg-type]
    return f"({text if 'e' in text else text + 'e0'})"
