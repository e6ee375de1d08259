"""From sqlglot's syntax tree to the typed tree: names looked up, types checked, what is not known refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from sqlglot import exp

from bessemer.core.errors import did_you_mean
from bessemer.prepare.expressions import coerce, functions, moments, operators, patterns, syntax
from bessemer.prepare.expressions.tree import Node, Refusal, constant, finite, walk

#: What to write instead of syntax that is not accepted.
_INSTEAD = {
    "ILike": "regexp_matches(x, '(?i)pattern') ignores case",
    "RegexpLike": "write regexp_full_match(x, 'pattern') or regexp_matches(x, 'pattern')",
    "SimilarTo": "write regexp_full_match(x, 'pattern')",
    "Glob": "write LIKE",
    "Window": "a window looks at many rows; compute it in acquire.sql",
    "Subquery": "a feature is made from one row; join in acquire.sql",
    "Select": "a feature is one value, not a query; queries go into acquire.sql",
    "AtTimeZone": "times are UTC; convert them in acquire.sql",
    "Alias": "leave out what follows the first expression; the key in the project file is the feature's name",
    "Interval": "an interval is added to or subtracted from a timestamp",
}
_VOLATILE = {
    "CurrentDate",
    "CurrentTimestamp",
    "CurrentTime",
    "CurrentDatetime",
    "Localtime",
    "Localtimestamp",
}
_COMPARISONS = {exp.EQ: "eq", exp.NEQ: "ne", exp.LT: "lt", exp.LTE: "le", exp.GT: "gt", exp.GTE: "ge"}
_INTEGERS = {"BIGINT": 64, "INT": 32, "SMALLINT": 16, "TINYINT": 8}
_CASTS = "cast goes to double, bigint, integer, boolean, varchar, timestamp and date"


class Resolver:
    """Makes typed trees of syntax trees. `names` maps the lower-case names that may be used to their nodes."""

    def __init__(self, names: Mapping[str, Node], shown: tuple[str, ...]) -> None:
        self._names, self._shown = names, shown

    def node(self, tree: Any) -> Node:
        """The typed tree of a syntax tree.

        Raises:
            Refusal: a name that is not known, types that do not go together, or syntax that is not accepted.
        """
        if (comparison := _COMPARISONS.get(type(tree))) is not None:
            return self._comparison(comparison, tree)
        handler = self._HANDLERS.get(type(tree))
        if handler is None:
            raise _not_accepted(tree)
        return handler(self, tree)

    def _both(self, tree: Any) -> tuple[Node, Node]:
        return self.node(tree.this), self.node(tree.args["expression"])

    # leaves -----------------------------------------------------------------------------------------
    def _column(self, tree: Any) -> Node:
        if tree.args.get("table"):
            raise Refusal(f"'{syntax.shown(tree)}' names a table", f"write {tree.name} alone")
        node = self._names.get(tree.name.lower())
        if node is None:
            hint = did_you_mean(tree.name, self._shown)
            raise Refusal(f"there is no column '{tree.name}'", hint)
        return node

    def _literal(self, tree: Any) -> Node:
        if tree.is_string:
            if not tree.this:
                raise Refusal("'' is NULL here: an empty text counts as missing", "write IS NULL or NULL")
            return constant(tree.this, "string")
        value = float(tree.this)
        whole = tree.this.isdigit()
        if not math.isfinite(value) or (whole and int(tree.this) != value):
            raise Refusal(f"{tree.this} cannot be held exactly", "integers are exact up to 9007199254740992")
        return constant(value, "integer" if whole else "number")

    def _boolean(self, tree: Any) -> Node:
        return constant(bool(tree.this), "boolean")

    def _null(self, _: Any) -> Node:
        return constant(None, "null")

    def _inner(self, tree: Any) -> Node:
        return self.node(tree.this)

    # arithmetic -------------------------------------------------------------------------------------
    def _add(self, tree: Any) -> Node:
        """A sum; constant intervals in it move the timestamp."""
        terms = syntax.operands(tree)
        nodes = [self.node(term) for term in terms if not isinstance(term, exp.Interval)]
        microseconds = sum(_interval(term) for term in terms if isinstance(term, exp.Interval))
        if len(nodes) == len(terms):
            return operators.add(nodes)
        if len(nodes) != 1:
            raise Refusal("an interval is added to one timestamp", "write timestamp + INTERVAL '90 minutes'")
        return operators.shift(nodes[0], microseconds)

    def _subtract(self, tree: Any) -> Node:
        right = tree.args["expression"]
        if isinstance(right, exp.Interval):
            return operators.shift(self.node(tree.this), -_interval(right))
        left, other = self._both(tree)
        if "timestamp" in {left.kind, other.kind}:
            fix = "write date_diff('day', start, end), or date_diff('second', start, end) / 3600.0"
            raise Refusal("the difference of timestamps has no type in a model's graph", fix)
        return operators.arithmetic("subtract", "-", left, other)

    def _multiply(self, tree: Any) -> Node:
        return operators.arithmetic("multiply", "*", *self._both(tree))

    def _divide(self, tree: Any) -> Node:
        return operators.arithmetic("divide", "/", *self._both(tree))

    def _integer_divide(self, tree: Any) -> Node:
        return operators.integer_divide(*self._both(tree))

    def _remainder(self, tree: Any) -> Node:
        return operators.remainder(*self._both(tree))

    def _power(self, tree: Any) -> Node:
        return functions.call("pow", self._both(tree))

    def _negate(self, tree: Any) -> Node:
        return operators.negate(self.node(tree.this))

    def _absolute(self, tree: Any) -> Node:
        return functions.call("abs", [self.node(tree.this)])

    # logic ------------------------------------------------------------------------------------------
    def _comparison(self, op: str, tree: Any) -> Node:
        if {type(tree.this), type(tree.args["expression"])} & set(_COMPARISONS):
            raise Refusal(f"'{syntax.shown(tree)}' chains comparisons", "join them with AND, or use brackets")
        return operators.compare(op, *self._both(tree))

    def _logical(self, tree: Any) -> Node:
        op = "and" if isinstance(tree, exp.And) else "or"
        return operators.logical(op, [self.node(term) for term in syntax.operands(tree)])

    def _not(self, tree: Any) -> Node:
        return operators.logical_not(self.node(tree.this))

    def _is(self, tree: Any) -> Node:
        right = tree.args["expression"]
        if isinstance(right, exp.Null):
            return operators.is_null(self.node(tree.this))
        if isinstance(right, exp.Boolean):
            return operators.is_truth(self.node(tree.this), bool(right.this))
        raise _not_accepted(tree)

    def _same(self, tree: Any) -> Node:
        return operators.same(*self._both(tree))

    def _distinct(self, tree: Any) -> Node:
        return operators.logical_not(operators.same(*self._both(tree)))

    def _between(self, tree: Any) -> Node:
        if tree.args.get("symmetric"):
            raise _not_accepted(tree)
        return operators.between(*(self.node(tree.args[part]) for part in ("this", "low", "high")))

    def _in(self, tree: Any) -> Node:
        candidates = tree.args.get("expressions")
        if not candidates:
            raise Refusal(f"'{syntax.shown(tree)}' needs a list of values", "write x IN ('a', 'b')")
        return operators.member(self.node(tree.this), [self.node(candidate) for candidate in candidates])

    def _case(self, tree: Any) -> Node:
        default = self.node(tree.args["default"]) if tree.args.get("default") else constant(None, "null")
        branches = [(self.node(branch.this), self.node(branch.args["true"])) for branch in tree.args["ifs"]]
        if tree.this is not None:
            return operators.switch(self.node(tree.this), branches, default)
        return operators.case(branches, default)

    def _if(self, tree: Any) -> Node:
        parts = [tree.this, tree.args.get("true"), tree.args.get("false")]
        return functions.call("if", [self.node(part) for part in parts if part is not None])

    # text, time, types ------------------------------------------------------------------------------
    def _join(self, tree: Any) -> Node:
        return operators.concatenate([self.node(term) for term in syntax.operands(tree)], "||")

    def _like(self, tree: Any) -> Node:
        escaped_by = ""
        if isinstance(tree, exp.Escape):
            escaped_by, tree = tree.args["expression"].name, tree.this
        pattern = tree.args.get("expression")
        if not isinstance(tree, exp.Like) or not isinstance(pattern, exp.Literal) or not pattern.is_string:
            raise Refusal(f"'{syntax.shown(tree)}' is not accepted", "write x LIKE 'a constant pattern%'")
        patterns.like(pattern.this, escaped_by)  # refuses an escape that escapes nothing
        checked = patterns.checked("LIKE", pattern.this)
        node = operators.match("like", self.node(tree.this), checked, escaped_by)
        return operators.logical_not(node) if tree.args.get("negate") else node

    def _extract(self, tree: Any) -> Node:
        return functions.part(tree.this.name, self.node(tree.args["expression"]))

    def _call(self, tree: Any) -> Node:
        name = tree.name.lower()
        if name in functions.FUNCTIONS:
            return functions.call(tree.name, [self.node(arg) for arg in tree.expressions])
        return functions.call(tree.name, [])  # refused with the reason before its arguments are looked at

    def _cast(self, tree: Any) -> Node:
        to = tree.args["to"]
        name = getattr(to.this, "name", str(to.this))
        if to.args.get("expressions"):
            raise Refusal(
                f"cast to {to.sql('duckdb')} is not accepted", f"{_CASTS}; round(x, 2) keeps digits"
            )
        return cast(self.node(tree.this), name, to.sql("duckdb"))

    _HANDLERS: ClassVar[dict[type, Callable[[Resolver, Any], Node]]] = {
        exp.Column: _column, exp.Literal: _literal, exp.Boolean: _boolean, exp.Null: _null, exp.Paren: _inner,
        exp.Add: _add, exp.Sub: _subtract, exp.Mul: _multiply, exp.Div: _divide, exp.IntDiv: _integer_divide,
        exp.Mod: _remainder, exp.Pow: _power, exp.Neg: _negate, exp.Abs: _absolute,
        exp.And: _logical, exp.Or: _logical, exp.Not: _not, exp.Is: _is,
        exp.NullSafeEQ: _same, exp.NullSafeNEQ: _distinct, exp.Between: _between, exp.In: _in,
        exp.Case: _case, exp.If: _if, exp.DPipe: _join, exp.Like: _like, exp.Escape: _like,
        exp.Extract: _extract, exp.Anonymous: _call, exp.Cast: _cast, exp.TryCast: _cast,
    }  # fmt: skip


def cast(node: Node, name: str, shown: str) -> Node:
    """A cast between the five types where it is exact; NULL where the value does not fit, as TRY_CAST."""
    where = f"cast to {shown.lower()}"
    if name == "DOUBLE":
        node = coerce.number(coerce.condition_as_number(node), where)
        return Node("as_number", (node,), "number", finite=node.finite)
    if name in _INTEGERS:
        node = coerce.finite_number(coerce.condition_as_number(node), where)
        return Node("as_integer", (node,), "integer", value=_INTEGERS[name])
    if name == "BOOLEAN":
        return (
            node
            if node.kind == "boolean"
            else Node("nonzero", (coerce.finite_number(node, where),), "boolean")
        )
    if name in {"VARCHAR", "TEXT"}:
        return coerce.text(node, where)
    if name in {"TIMESTAMP", "TIMESTAMPNTZ", "DATETIME"}:
        return coerce.timestamp(node, where)
    if name == "DATE":
        node = coerce.timestamp(node, where)
        return functions.call("date_trunc", [constant("day", "string"), node])
    raise Refusal(f"cast to {shown} is not accepted", _CASTS)


def _interval(tree: Any) -> int:
    """The microseconds of a constant interval."""
    amount, unit = tree.this, tree.args.get("unit")
    negative = isinstance(amount, exp.Neg)
    amount = amount.this if negative else amount
    while isinstance(amount, exp.Paren):
        amount = amount.this
    if not isinstance(amount, exp.Literal):
        raise Refusal(f"'{syntax.shown(tree)}' is not a constant interval", "write INTERVAL '90 minutes'")
    microseconds = moments.parse_interval(f"{amount.this} {unit.name}" if unit is not None else amount.this)
    return -microseconds if negative else microseconds


def _not_accepted(tree: Any) -> Refusal:
    kind = type(tree).__name__
    if kind in _VOLATILE:
        return Refusal(
            f"{syntax.shown(tree)} gives another value each time: a feature must be the same for the same row",
            "give the moment as a column of the data",
        )
    return Refusal(f"'{syntax.shown(tree)}' is not accepted in a derived feature", _INSTEAD.get(kind, ""))


def settled(node: Node) -> Node:
    """The root of an expression, checked and with NaN and infinity made NULL."""
    if not any(part.op == "column" for part in walk(node)):
        raise Refusal("it is a constant: it uses no column", "leave the feature out")
    return finite(node)
