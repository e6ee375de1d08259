"""From text to sqlglot's syntax tree, within bounds.

sqlglot would translate function names between SQL dialects; here every function call stays as it was written,
so that a wrong name can be answered with the nearest right one.
"""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError

from bessemer.prepare.expressions.tree import MAX_CHARACTERS, MAX_DEPTH, Refusal

#: sqlglot's parser is recursive: it takes about 17 Python calls for one bracket.
MAX_BRACKETS = 40

#: Operators that join many terms without nesting.
CHAINS = (exp.And, exp.Or, exp.Add, exp.DPipe)

_KEPT = ("CAST", "TRY_CAST", "EXTRACT")
_TOO_DEEP = f"its brackets, calls or prefixes are nested too deeply: about {MAX_BRACKETS} is the most"
_SPLIT = "split it into several features"


@functools.cache
def _dialect() -> Any:
    """DuckDB's grammar without its table of functions."""
    base: Any = DuckDB.Parser

    class Parser(base):  # type: ignore[misc]
        FUNCTIONS: dict[str, Any] = {}  # noqa: RUF012 - sqlglot's own way to configure a parser
        FUNCTION_PARSERS = {k: v for k, v in base.FUNCTION_PARSERS.items() if k in _KEPT}  # noqa: RUF012

    return type("Expressions", (DuckDB,), {"Parser": Parser})


def read(text: str) -> Any:
    """The syntax tree of one scalar expression.

    Raises:
        Refusal: it is empty, too long, nested too deeply, not valid SQL, or more than one expression.
    """
    if not text.strip():
        raise Refusal("the expression is empty")
    if len(text) > MAX_CHARACTERS:
        raise Refusal(f"it has {len(text)} characters; at most {MAX_CHARACTERS} are accepted", _SPLIT)
    try:
        _check_tokens(text)
        with ThreadPoolExecutor(
            1
        ) as fresh:  # its stack is empty, so that the bound is the same for every caller
            trees = fresh.submit(sqlglot.parse, text, dialect=_dialect()).result()
    except RecursionError:
        raise Refusal(_TOO_DEEP, _SPLIT) from None
    except SqlglotError as error:
        raise Refusal(_syntax_error(error), _quoting_hint()) from None
    if len(trees) != 1 or trees[0] is None:
        raise Refusal("it is not one expression", "leave out ';'")
    _check_depth(trees[0])
    return trees[0]


def operands(tree: Any) -> list[Any]:
    """The terms of a chain such as a + b + c, in order; brackets end a chain."""
    kind, terms = type(tree), []
    while type(tree) is kind:
        terms.append(tree.args["expression"])
        tree = tree.this
    return [tree, *reversed(terms)]


def shown(tree: Any) -> str:
    """A short text of a part of the expression, for messages."""
    text: str = tree.sql(dialect=_dialect(), comments=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _check_tokens(text: str) -> None:
    depth = prefixes = 0
    for token in sqlglot.tokenize(text, dialect=_dialect()):
        kind = token.token_type.name
        if kind == "SEMICOLON":
            raise Refusal("it is not one expression", "leave out ';'")
        prefixes = prefixes + 1 if kind in {"DASH", "NOT", "PLUS", "TILDE", "TILDA"} else 0
        if kind in {"L_PAREN", "L_BRACKET", "L_BRACE", "CASE"}:
            depth += 1
        elif kind in {"R_PAREN", "R_BRACKET", "R_BRACE", "END"}:
            depth -= 1
        if max(depth, prefixes) > MAX_BRACKETS:
            raise Refusal(_TOO_DEEP, _SPLIT)


def _check_depth(root: Any) -> None:
    """Bound the recursion over the tree; a chain of one operator is one level."""
    todo = [(root, 1)]
    while todo:
        tree, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise Refusal(f"it is nested deeper than {MAX_DEPTH} operations", _SPLIT)
        below = operands(tree) if isinstance(tree, CHAINS) else tree.iter_expressions()
        todo.extend((child, depth + 1) for child in below if isinstance(child, exp.Expression))


def _syntax_error(error: Any) -> str:
    details = getattr(error, "errors", None)
    if not details:
        return f"it is not a valid SQL expression: {str(error).splitlines()[0]}"
    first = details[0]
    near = f"{first.get('start_context', '')}{first.get('highlight', '')}".strip()[-40:]
    what = "an operand is missing" if "missing for" in first["description"] else first["description"].lower()
    return f"it is not a valid SQL expression: {what} near '{near}'"


def _quoting_hint() -> str:
    return "text stands in 'single quotes', a column's name with blanks or signs in \"double quotes\""
