"""How expressions are written in an SQL engine: small pieces in DuckDB's words, which sqlglot carries over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from functools import cache
from typing import Any

import numpy as np

from bessemer.export.rowwise.program import Type

DIALECTS = ("duckdb", "postgres", "bigquery", "snowflake")
#: Of these, those that have numbers of 32 bits: others compare with thresholds that were moved for it.
_ROUNDS = ("duckdb", "postgres")

#: What sqlglot has no word for, or one that is not exact: microseconds of a moment, whole quotients.
_OWN: Mapping[str, Mapping[str, str]] = {
    "micros": {
        "duckdb": "EPOCH_US({0})",
        "postgres": "CAST(EXTRACT(EPOCH FROM {0}) * 1000000 AS BIGINT)",
        "bigquery": "UNIX_MICROS(CAST({0} AS TIMESTAMP))",
        "snowflake": "DATE_PART(EPOCH_MICROSECOND, {0})",
    },
    "quotient": {
        "duckdb": "({0} // {1})",
        "postgres": "({0} / {1})",
        "bigquery": "DIV({0}, {1})",
        "snowflake": "CAST(({0} - MOD({0}, {1})) / {1} AS BIGINT)",  # a quotient has six digits there
    },
}
_TABLE = re.compile(r"[\w$-]+(\.[\w$-]+){0,2}")
_SMALLEST, _LARGEST = 1.1754944e-38, 3.4028234e38


@cache
def form(template: str, dialect: str) -> str:
    """An expression of {0}, {1}... in a dialect."""
    import sqlglot

    if template in _OWN:
        return _OWN[template][dialect]
    names = [f"x{i}_" for i in range(9)]
    made: str = sqlglot.transpile(template.format(*names), read="duckdb", write=dialect)[0]
    made = made.replace("{", "{{").replace("}", "}}")
    for i, name in enumerate(names):
        made = made.replace(name, f"{{{i}}}")
    return made


def word(template: str, dialect: str, *takes: str) -> str:
    return form(template, dialect).format(*takes)


def quoted(name: str, dialect: str) -> str:
    """An identifier, whatever its letters."""
    from sqlglot import exp

    return str(exp.to_identifier(name, quoted=True).sql(dialect=dialect))


def table_name(name: str, dialect: str) -> str:
    """A table, with its schema where it has one.

    Raises:
        ValueError: it is none.
    """
    from sqlglot import exp

    if not _TABLE.fullmatch(name):
        raise ValueError(f"'{name}' is no table's name: write table or schema.table")
    return str(exp.to_table(name, dialect=dialect).sql(dialect=dialect))


def literal(value: Any, kind: Type, dialect: str) -> str:
    """A constant; NaN is NULL."""
    from sqlglot import exp

    if kind == "str":
        return str(exp.Literal.string(str(value)).sql(dialect=dialect))
    if kind == "bool":
        return "TRUE" if value else "FALSE"
    if kind in ("i64", "i32"):
        return "(-9223372036854775807 - 1)" if int(value) == -(2**63) else _signed(str(int(value)))
    number = float(value)
    if not np.isfinite(number):
        return word("CAST(NULL AS DOUBLE)", dialect)
    told = repr(number)
    return _signed(told if "e" in told else f"{told}e0")  # a point alone is a decimal, not a float


def _signed(number: str) -> str:
    return f"({number})" if number.startswith("-") else number


def rounded(x: str, dialect: str) -> str:
    """As the nearest float32, NULL where there is none; as it is where the engine has only doubles."""
    if dialect in _ROUNDS:
        kept = word("CAST(CAST({0} AS REAL) AS DOUBLE)", dialect, x)
        small = f"WHEN ABS({x}) < {_SMALLEST} THEN 0e0 "
    else:
        kept, small = x, ""
    return f"CASE {small}WHEN ABS({x}) <= {_LARGEST} THEN {kept} END"


def finite(x: str) -> str:
    """NULL where it is no finite double."""
    return f"CASE WHEN ABS({x}) <= 1.7976931348623157e308 THEN {x} END"


def threshold(value: np.float32, dialect: str) -> str:
    """What a double is compared with, so that it goes where its float32 goes; in few digits where that is possible."""
    if not np.isfinite(value):
        return literal(value, "f32", dialect)
    above = np.nextafter(value, np.float32(np.inf), dtype=np.float32)
    if dialect in _ROUNDS:  # whatever is below the next float32 does
        return _signed(_shortest(float(value), float(np.nextafter(float(above), -np.inf))))
    middle = (float(value) + float(above)) / 2
    if np.float32(middle) != value:  # ties go to the even one
        middle = float(np.nextafter(middle, -np.inf))
    return literal(middle, "f64", dialect)


def _shortest(low: float, high: float) -> str:
    """The number with the fewest digits from low to high."""
    exact = Decimal(low)
    for digits in range(1, 18):
        step = Decimal((0, (1,), exact.adjusted() - digits + 1)) if low else Decimal(1)
        found = float(exact.quantize(step, rounding=ROUND_CEILING))
        if low <= found <= high:
            return repr(found)
    return repr(low)


def leaf(value: np.float32) -> str:
    """A number of a sum, to a float32's digits."""
    told = str(value)
    return _signed(told if "e" in told else f"{told}e0")


#: Of floats, which may be NULL.
FLOATS: Mapping[str, str] = {
    "Abs": "ABS({0})",
    "Add": "({0} + {1})",
    "Atan": "ATAN({0})",
    "Ceil": "CEIL({0})",
    "Cos": "COS({0})",
    "Div": "({0} / NULLIF({1}, 0))",
    "Equal": "COALESCE({0} = {1}, FALSE)",
    "Exp": "EXP(CASE WHEN {0} > 88 THEN 88 WHEN {0} < -88 THEN -88 ELSE {0} END)",
    "Floor": "FLOOR({0})",
    "Greater": "COALESCE({0} > {1}, FALSE)",
    "GreaterOrEqual": "COALESCE({0} >= {1}, FALSE)",
    "IsNaN": "({0} IS NULL)",
    "Less": "COALESCE({0} < {1}, FALSE)",
    "LessOrEqual": "COALESCE({0} <= {1}, FALSE)",
    "Log": "(CASE WHEN {0} > 0 THEN LN({0}) END)",
    "Max": "(CASE WHEN {0} >= {1} THEN {0} WHEN {0} < {1} THEN {1} END)",
    "Min": "(CASE WHEN {0} <= {1} THEN {0} WHEN {0} > {1} THEN {1} END)",
    "Mod": "({0} - {1} * TRUNC({0} / NULLIF({1}, 0)))",
    "Mul": "({0} * {1})",
    "Neg": "(- {0})",
    "Pow": "(CASE WHEN {0} > 0 OR {1} = FLOOR({1}) AND {1} >= 0 THEN POWER({0}, {1}) END)",
    "Relu": "(CASE WHEN {0} < 0 THEN 0e0 ELSE {0} END)",
    "Round": "(CASE WHEN ABS({0} - TRUNC({0})) = 0.5 THEN 2 * ROUND({0} / 2) ELSE ROUND({0}) END)",
    "Sigmoid": "(1e0 / (1e0 + EXP(CASE WHEN {0} > 88 THEN -88 WHEN {0} < -88 THEN 88 ELSE - {0} END)))",
    "Sign": "SIGN({0})",
    "Sin": "SIN({0})",
    "Sqrt": "(CASE WHEN {0} >= 0 THEN SQRT({0}) END)",
    "Sub": "({0} - {1})",
    "Tanh": "TANH({0})",
}
#: Of whole numbers, which are never NULL.
WHOLES: Mapping[str, str] = {
    "Abs": "ABS({0})",
    "Add": "({0} + {1})",
    "Div": "quotient",
    "Equal": "({0} = {1})",
    "Greater": "({0} > {1})",
    "GreaterOrEqual": "({0} >= {1})",
    "Less": "({0} < {1})",
    "LessOrEqual": "({0} <= {1})",
    "Mod": "((({0} % {1}) + {1}) % {1})",
    "Mul": "({0} * {1})",
    "Neg": "(- {0})",
    "Sub": "({0} - {1})",
}
TRUTHS: Mapping[str, str] = {
    "And": "({0} AND {1})",
    "Equal": "({0} = {1})",
    "Not": "(NOT {0})",
    "Or": "({0} OR {1})",
}
TEXTS: Mapping[str, str] = {"Equal": "({0} = {1})", "StringConcat": "({0} || {1})"}
