"""The contract's rules on rows as SQL: each is a condition that is true for a row that breaks it.

Plain SQL and no validation library: the engine that has the data counts the rules of a column in one pass over that
column alone, which takes the least time and memory (see `benchmarks/validation.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bessemer.core.sql import literal, quote
from bessemer.validate.contract import ColumnRules, Contract, Scalar, instant
from bessemer.validate.findings import Severity


@dataclass(frozen=True)
class RowRule:
    """A rule on rows. name: as it is shown, "age: min". broken: SQL that is true where it is broken.

    column: '' where it is on several. rule: its name without the column, by default what follows "age: ". shown: SQL of
    what is shown of a row that breaks it, by default the column.
    """

    name: str
    column: str
    broken: str
    severity: Severity = "quarantine"
    rule: str = ""
    shown: str = ""


def row_rules(contract: Contract) -> list[RowRule]:
    """All rules that can be decided from one row (`unique` cannot)."""
    return [
        RowRule(f"{name}: {rule}", name, broken)
        for name, rules in contract.columns.items()
        for rule, broken in _of_column(quote(name), rules)
    ]


def _of_column(c: str, rules: ColumnRules) -> Iterator[tuple[str, str]]:
    finite = f"isfinite({c}) AND " if rules.type == "number" else ""
    if not rules.nullable:
        yield "nullable", f"{c} IS NULL"
    if rules.finite and rules.type == "number":
        yield "finite", f"isinf({c})"
    if rules.min is not None:
        yield "min", f"{finite}{c} < {_sql(rules.min, rules.type)}"
    if rules.max is not None:
        yield "max", f"{finite}{c} > {_sql(rules.max, rules.type)}"
    if rules.values is not None:
        allowed = ", ".join(_sql(value, rules.type) for value in rules.values)
        yield "values", f"{c} NOT IN ({allowed})" if allowed else f"{c} IS NOT NULL"
    if rules.pattern is not None:
        yield "pattern", f"NOT regexp_full_match({c}, {literal(rules.pattern)})"


def _sql(value: Scalar, kind: str) -> str:
    if kind == "timestamp":
        # not every form of ISO 8601 that the contract takes is one that engines cast
        return f"CAST({literal(str(instant(str(value))))} AS TIMESTAMP)"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, int):
        return f"CAST('{value}' AS HUGEINT)" if abs(value) >= 2**63 else str(value)
    return f"CAST('{value!r}' AS DOUBLE)"


def any_of(mask: Sequence[RowRule]) -> str:
    """The test for rows that break one of some rules; balanced, so that thousands of rules do not nest too deeply."""
    if len(mask) == 1:
        return f"({mask[0].broken})"
    half = len(mask) // 2
    return f"({any_of(mask[:half])} OR {any_of(mask[half:])})"
