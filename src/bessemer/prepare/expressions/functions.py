"""The functions of the language: a table from names to what builds and checks a call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bessemer.prepare.expressions import coerce, moments, operators, patterns
from bessemer.prepare.expressions.tree import MAX_TERMS, Kind, Node, Refusal, constant, finite, is_constant
from bessemer.prepare.expressions.unsupported import unsupported

Args = Sequence[Node]


@dataclass(frozen=True)
class Function:
    """How a function is called, how many arguments it takes, and what builds its node."""

    usage: str
    least: int
    most: int
    build: Callable[[Args], Node]


def call(name: str, args: Args) -> Node:
    """The node of a function call.

    Raises:
        Refusal: no such function, one that cannot be in a model's graph, or wrong arguments.
    """
    function = FUNCTIONS.get(name.lower())
    if function is None:
        raise unsupported(name, sorted(FUNCTIONS))
    if not function.least <= len(args) <= function.most:
        raise Refusal(
            f"{name} has {len(args)} argument{'' if len(args) == 1 else 's'}", f"write {function.usage}"
        )
    return function.build(args)


# numbers ---------------------------------------------------------------------------------------------
def _keeping(op: str, args: Args) -> Node:
    """A function that gives the type it gets, and NaN or infinity for NaN or infinity."""
    arg = coerce.number(args[0], op)
    return Node(op, (arg,), arg.kind, finite=arg.finite)


def _smooth(op: str, args: Args) -> Node:
    """A function of finite numbers whose result may overflow or be undefined."""
    return Node(op, tuple(coerce.finite_number(arg, op) for arg in args), "number", finite=False)


def _bounded(op: str, args: Args) -> Node:
    """A function of finite numbers whose result is finite wherever it is defined."""
    return Node(op, tuple(coerce.finite_number(arg, op) for arg in args), "number")


def _sign(args: Args) -> Node:
    return Node("sign", (coerce.finite_number(args[0], "sign"),), "integer")


def _round(args: Args) -> Node:
    arg = coerce.number(args[0], "round")
    if len(args) == 1:
        return Node("round", (arg,), arg.kind, finite=arg.finite)
    digits = args[1].value if is_constant(args[1]) and args[1].kind == "integer" else None
    if digits is None or not -15 <= digits <= 15:
        raise Refusal("round needs its digits as a constant from -15 to 15", "write round(x, 2)")
    return Node("round_to", (finite(arg),), arg.kind, value=int(digits))


def _logarithm(args: Args) -> Node:
    """log(x) is to base 10; log(b, x) to base b, as the quotient of two of them."""
    if len(args) == 1:
        return _smooth("log10", args)
    base, x = _smooth("log10", args[:1]), _smooth("log10", args[1:])
    return Node("divide", (x, finite(base)), "number", finite=False)


def _scaled(factor: float, args: Args) -> Node:
    return operators.arithmetic("multiply", "*", args[0], constant(factor, "number"))


# conditions and choices ------------------------------------------------------------------------------
def _if(args: Args) -> Node:
    return operators.case([(args[0], args[1])], args[2])


def _match(kind: str, args: Args) -> Node:
    if not is_constant(args[1]) or args[1].kind != "string":
        raise Refusal(f"{kind} needs a constant text as its second argument", f"write {kind}(column, 'text')")
    return operators.match(kind, args[0], patterns.checked(kind, args[1].value))


# strings ---------------------------------------------------------------------------------------------
def _letters(op: str, args: Args) -> Node:
    return Node(op, (coerce.string(args[0], op),), "string")


# time ------------------------------------------------------------------------------------------------
def part(word: str, arg: Node, where: str = "extract") -> Node:
    """A part of a timestamp: an integer; epoch is a number of seconds."""
    name = moments.unit(word, tuple(dict.fromkeys(moments.PARTS.values())), where)
    kind: Kind = "number" if name == "epoch" else "integer"
    return Node("part", (coerce.timestamp(arg, where),), kind, value=name)


def _word(node: Node, usage: str) -> str:
    if not is_constant(node) or node.kind != "string":
        raise Refusal("the unit of time must be a constant text", f"write {usage}")
    return str(node.value)


def _date_part(args: Args) -> Node:
    return part(_word(args[0], "date_part('hour', x)"), args[1], "date_part")


def _date_trunc(args: Args) -> Node:
    name = moments.unit(_word(args[0], "date_trunc('day', x)"), moments.TRUNCATIONS, "date_trunc")
    return Node("date_trunc", (coerce.timestamp(args[1], "date_trunc"),), "timestamp", value=name)


def _difference(op: str, allowed: tuple[str, ...], args: Args) -> Node:
    name = moments.unit(_word(args[0], f"{op}('day', start, end)"), allowed, op)
    ends = coerce.timestamp(args[1], op), coerce.timestamp(args[2], op)
    return Node(op, ends, "integer", value=name)


def _table() -> dict[str, Function]:
    bind = functools.partial
    table = {
        "round": Function("round(x) or round(x, 2)", 1, 2, _round),
        "sign": Function("sign(x)", 1, 1, _sign),
        "log": Function("log(x), to base 10, or log(base, x)", 1, 2, _logarithm),
        "pi": Function("pi()", 0, 0, lambda _: constant(3.141592653589793, "number")),
        "degrees": Function("degrees(x)", 1, 1, bind(_scaled, 57.29577951308232)),
        "radians": Function("radians(x)", 1, 1, bind(_scaled, 0.017453292519943295)),
        "pow": Function("pow(x, y)", 2, 2, bind(_bounded, "pow")),
        "atan2": Function("atan2(y, x)", 2, 2, bind(_bounded, "atan2")),
        "mod": Function("mod(a, b)", 2, 2, lambda a: operators.remainder(a[0], a[1])),
        "coalesce": Function("coalesce(a, b, ...)", 1, MAX_TERMS, operators.coalesce),
        "ifnull": Function("ifnull(a, b)", 2, 2, operators.coalesce),
        "nullif": Function("nullif(a, b)", 2, 2, lambda a: operators.null_if(a[0], a[1])),
        "greatest": Function("greatest(a, b, ...)", 1, 100, bind(operators.extreme, "greatest")),
        "least": Function("least(a, b, ...)", 1, 100, bind(operators.extreme, "least")),
        "if": Function("if(condition, a, b)", 3, 3, _if),
        "concat": Function("concat(a, b, ...)", 1, 500, lambda a: operators.concatenate(a, "concat")),
        "lower": Function("lower(text)", 1, 1, bind(_letters, "lower")),
        "upper": Function("upper(text)", 1, 1, bind(_letters, "upper")),
        "date_part": Function("date_part('hour', x)", 2, 2, _date_part),
        "date_trunc": Function("date_trunc('day', x)", 2, 2, _date_trunc),
        "date_diff": Function(
            "date_diff('day', start, end)", 3, 3, bind(_difference, "date_diff", moments.DIFFERENCES)
        ),
        "date_sub": Function(
            "date_sub('day', start, end)", 3, 3, bind(_difference, "date_sub", moments.ELAPSED)
        ),
    }
    for op in ("abs", "floor", "ceil", "trunc"):
        table[op] = Function(f"{op}(x)", 1, 1, bind(_keeping, op))
    for op in ("sqrt", "ln", "log10", "log2", "exp", "tan"):
        table[op] = Function(f"{op}(x)", 1, 1, bind(_smooth, op))
    for op in ("sin", "cos", "asin", "acos", "atan"):
        table[op] = Function(f"{op}(x)", 1, 1, bind(_bounded, op))
    for op in patterns.KINDS:
        table[op] = Function(f"{op}(column, 'text')", 2, 2, bind(_match, op))
    for name in ("year", "quarter", "month", "day", "hour", "minute", "second", "dayofmonth", "dayofweek",
                 "weekday", "isodow", "dayofyear", "week", "weekofyear", "epoch"):  # fmt: skip
        table[name] = Function(f"{name}(timestamp)", 1, 1, lambda a, name=name: part(name, a[0], name))  # type: ignore[misc]
    same = {"power": "pow", "ceiling": "ceil", "datepart": "date_part", "datetrunc": "date_trunc", "lcase": "lower",
            "datediff": "date_diff", "datesub": "date_sub", "prefix": "starts_with", "suffix": "ends_with",
            "ucase": "upper"}  # fmt: skip
    table.update({alias: table[name] for alias, name in same.items()})
    return table


#: Every function by name, in lower case.
FUNCTIONS = _table()
