"""PMML's built-in functions, as terms.

https://dmg.org/pmml/v4-4-1/BuiltinFunctions.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bessemer.core.errors import did_you_mean
from bessemer.importers.models.pmml.terms import OTHER, Const, Node, Table, Term, mapped, number, numeric
from bessemer.importers.models.pmml.xml import Element

_COMPARED = ("equal", "notEqual", "lessThan", "lessOrEqual", "greaterThan", "greaterOrEqual")
_OVER = ("sum", "product", "min", "max", "avg")
_OF_ONE = (
    "abs", "exp", "ln", "log10", "sqrt", "floor", "ceil", "rint", "sin", "cos", "tan", "asin", "acos", "atan", "sinh",
    "cosh", "tanh", "expm1", "ln1p", "erf", "stdNormalCDF",
)  # fmt: skip
#: What stays a whole number of whole numbers.
_WHOLE = ("+", "-", "*", "abs", "min", "max", "sum", "product", "pow")
#: What makes a whole number of any.
_ROUNDED = ("floor", "ceil", "round")
_TRUTHS = ("and", "or", "not")
_MISSING = ("isMissing", "isNotMissing", "isValid", "isNotValid")
KNOWN = (
    *_COMPARED, *_OVER, *_OF_ONE, *_TRUTHS, *_MISSING, "isIn", "isNotIn", "if", "+", "-", "*", "/", "pow", "threshold",
    "concat", "round",
)  # fmt: skip


def applied(element: Element, arguments: Sequence[Term]) -> Term:
    """What an Apply says of its arguments.

    Raises:
        FormatError: an unknown function, or one of other arguments.
    """
    name = element.need("function")
    if name not in KNOWN:
        element.refuse(
            f"uses the function '{name[:40]}'", "which is not taken over", did_you_mean(name, KNOWN, limit=30)
        )
    if element.get("invalidValueTreatment", "returnInvalid") not in ("returnInvalid", "asMissing"):
        element.refuse("says what stands for an invalid value")
    try:
        found = _applied(name, list(arguments), element)
    except ValueError as error:
        element.refuse(f"has {error}")
    if "mapMissingTo" in element.attributes:
        found = _unless_missing(found, arguments, element.get("mapMissingTo"), element)
    if "defaultValue" in element.attributes:
        found = coalesced(found, element.get("defaultValue"), element)
    return found


def _unless_missing(found: Term, arguments: Sequence[Term], stands: str, element: Element) -> Term:
    """A function with a value where any of its arguments is missing."""
    value: Any = stands if found.dtype == "string" else _plain(stands, found.dtype, element)
    exact = mapped([found, *arguments], lambda said, *given: value if None in given else said, found.dtype)
    if exact is not None:
        return exact
    gone = tuple(
        Node("isMissing", (numeric(one),), dtype="truth") for one in arguments if not isinstance(one, Const)
    )
    gone = tuple(test for test in gone if not test.args[0].late)
    if not gone:
        return found
    said = numeric(found)
    test = Node("or", gone, dtype="truth") if len(gone) > 1 else gone[0]
    return Node("if", (test, number(value), said), dtype=said.dtype)


def _applied(name: str, given: list[Term], element: Element) -> Term:
    _check_count(name, given, element)
    if name in _EXACT and _exact(name, given):
        found = mapped(given, _EXACT[name], _dtype(name, given))
        if found is not None:
            return found
    if name in ("isIn", "isNotIn"):
        return _is_in(name, given)
    if name in ("equal", "notEqual") and any(_textual(one) for one in given):
        element.refuse("compares texts of different columns", "which has no form here")
    if name == "concat":
        element.refuse("joins texts of different columns, or of one with more values than the document lists")
    if name == "if":
        return _if(given)
    nodes, whole = tuple(numeric(one) for one in given), all(one.dtype == "integer" for one in given)
    if name in ("isMissing", "isNotValid"):
        return Node("isMissing", nodes, dtype="truth")
    if name in ("isNotMissing", "isValid"):
        return Node("not", (Node("isMissing", nodes, dtype="truth"),), dtype="truth")
    if name in _COMPARED or name in _TRUTHS:
        return Node(name, nodes, dtype="truth")
    if name == "threshold":
        return Node("greaterThan", nodes)
    if name == "-" and len(nodes) == 1:
        return Node("*", (nodes[0], number(-1.0)), dtype="integer" if whole else "double")
    if whole and name == "/":
        element.refuse(
            "divides a whole number by a whole number",
            "evaluators drop what is left over",
            "multiply one of them by 1.0 before, or make it a derived field of dataType='double'",
        )
    dtype = "integer" if name in _ROUNDED or (whole and name in _WHOLE) else "double"
    return _weighted(nodes, dtype) if name == "sum" else Node(name, nodes, dtype=dtype)


def _weighted(nodes: tuple[Node, ...], dtype: str) -> Node:
    """A sum, of which the factors of its parts are taken out: a layer of a network is hundreds of those."""
    parts, factors = [], []
    for node in nodes:
        sides = (
            sorted(node.args, key=lambda one: one.op == "constant") if node.op == "*" else [node, number(1.0)]
        )
        weighed = sides[1].op == "constant"
        parts.append(sides[0] if weighed else node)
        factors.append(float(sides[1].value) if weighed else 1.0)
    return Node("dot", tuple(parts), np.array(factors), dtype)


def _check_count(name: str, given: list[Term], element: Element) -> None:
    exact = dict.fromkeys((*_OF_ONE, *_MISSING, "round", "not"), 1)
    exact |= dict.fromkeys((*_COMPARED, "/", "pow", "threshold"), 2)
    least = {"if": 2, "-": 1, "isIn": 2, "isNotIn": 2}.get(name, exact.get(name, 1))
    most = {"if": 3, "-": 2, "+": 2, "*": 2}.get(name, exact.get(name, len(given)))
    if not least <= len(given) <= most:
        element.refuse(f"gives {len(given)} arguments to '{name}'")


def _textual(term: Term) -> bool:
    values = term.values if isinstance(term, Table) else (term.value,) if isinstance(term, Const) else ()
    return any(isinstance(value, str) or value is OTHER for value in values)


def _dtype(name: str, given: Sequence[Term]) -> str:
    if name == "if":
        return given[1].dtype
    return "string" if name == "concat" else "truth"


def _exact(name: str, given: Sequence[Term]) -> bool:
    """Whether values of tables say what the function says: texts that no one knows cannot be joined."""
    if name == "concat":
        return not any(value is OTHER for one in given if isinstance(one, Table) for value in one.values)
    return True


def _equal(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return None
    if isinstance(a, str) != isinstance(b, str) and OTHER not in (a, b):
        a, b = str(a), str(b)
    return bool(a is not OTHER and b is not OTHER and a == b)


def _and(*values: Any) -> Any:
    if any(value is not None and not value for value in values):
        return False
    return None if None in values else True


def _or(*values: Any) -> Any:
    if any(values):
        return True
    return None if None in values else False


def _negated(value: Any) -> Any:
    return None if value is None else not value


def _choose(condition: Any, yes: Any, no: Any = None) -> Any:
    return None if condition is None else yes if condition else no


_EXACT: Mapping[str, Callable[..., Any]] = {
    "equal": _equal,
    "notEqual": lambda a, b: _negated(_equal(a, b)),
    "isMissing": lambda a: a is None,
    "isNotMissing": lambda a: a is not None,
    "isValid": lambda a: a is not None,
    "isNotValid": lambda a: a is None,
    "isIn": lambda a, *among: None if a is None else any(_equal(a, b) for b in among),
    "isNotIn": lambda a, *among: None if a is None else not any(_equal(a, b) for b in among),
    "and": _and,
    "or": _or,
    "not": _negated,
    "if": _choose,
    "concat": lambda *parts: None if None in parts else "".join(map(str, parts)),
}


def _is_in(name: str, given: Sequence[Term]) -> Term:
    x, *among = (numeric(one) for one in given)
    tests = tuple(Node("equal", (x, one), dtype="truth") for one in among)
    found = Node("or", tests, dtype="truth") if len(tests) > 1 else tests[0]
    return found if name == "isIn" else Node("not", (found,), dtype="truth")


def _if(given: Sequence[Term]) -> Term:
    condition, yes, *rest = given
    test = numeric(condition)
    no = rest[0] if rest else Const(None, yes.dtype)
    taken, other = numeric(yes), numeric(no)
    if _needless(test, taken, other):
        return taken
    return Node("if", (test, taken, other), dtype=taken.dtype if taken.dtype == other.dtype else "double")


def _needless(test: Node, yes: Node, no: Node) -> bool:
    """Whether a test asks if something is there that always is, or whose absence the value tells anyway."""
    if test.op != "not" or test.args[0].op != "isMissing":
        return False
    asked = test.args[0].args[0]
    missing = no.op == "constant" and no.value != no.value
    return asked.late or (missing and _passes_on(yes, asked))


def _passes_on(node: Node, missing: Node) -> bool:
    """Whether a node is missing wherever another one is, as a short chain of functions says it."""
    waiting, left = [node], 50
    while waiting and left:
        at, left = waiting.pop(), left - 1
        if at is missing:
            return True
        if at.op in (*_OF_ONE, "+", "-", "*", "/", "pow", "float", "round"):
            waiting += at.args
    return False


def coalesced(term: Term, stands: str, element: Element) -> Term:
    """A term with a value where it is missing."""
    if isinstance(term, Table):
        texts = any(isinstance(value, str) for value in term.values)
        value: Any = stands if texts else _plain(stands, term.dtype, element)
        return Table(term.codes, tuple(value if one is None else one for one in term.values), term.dtype)
    if isinstance(term, Const):
        return Const(stands, term.dtype) if term.value is None else term
    return Node("coalesce", (term, number(_plain(stands, term.dtype, element))), dtype=term.dtype)


def _plain(text: str, dtype: str, element: Element) -> float:
    from bessemer.importers.models.pmml.columns import truth

    if dtype == "truth" or text in ("true", "false"):
        return truth(element, text)
    return element.as_number(text, "what stands for a missing value")
