"""The shape of the data against that of the contract: which columns there are and of which types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bessemer.core.errors import DataError, nearest
from bessemer.validate.contract import DUCKDB, WORDS, Contract
from bessemer.validate.findings import Finding, Severity

#: Changes of type that lose nothing.
_WIDENING = {("BIGINT", "DOUBLE"), ("BIGINT", "VARCHAR")}
#: The quarantine's own column.
REASON = "_rule"


@dataclass(frozen=True)
class Shape:
    """casts: columns to the type they are to have. findings: what is otherwise than the contract says."""

    casts: Mapping[str, str]
    findings: tuple[Finding, ...]


def shape_of(types: Mapping[str, str], contract: Contract, empty: Callable[[str], bool]) -> Shape:
    """Hold names and DuckDB types of the data's columns to a contract.

    Args:
        empty: whether a column has no value at all.

    Raises:
        DataError: a column has the name that is the quarantine's.
    """
    if REASON in {name.lower() for name in types}:
        raise DataError(
            f"a column is named '{REASON}'", fix="that name is the quarantine's: rename the column"
        )
    casts: dict[str, str] = {}
    findings: list[Finding] = []
    changes = contract.changes
    for name, rules in contract.columns.items():
        wanted, fixed = DUCKDB[rules.type], name in changes.fixed
        if name not in types:
            near = nearest(name, types)
            says = "missing" + (f" (there is '{near}')" if near else "")
            findings += _as("stop" if fixed else changes.removed, name, "removed", says)
        elif types[name] != wanted:
            says = f"{WORDS[types[name]]}, the contract says {rules.type}"
            if (types[name], wanted) in _WIDENING or empty(name):
                casts[name] = wanted
                findings += _as("stop" if fixed else changes.widened, name, "type", says)
            else:
                findings += _as("stop", name, "type", says)
    for name in types:
        if name not in contract.columns:
            findings += _as(changes.added, name, "added", "not in the contract, taken as it is")
    return Shape(casts, tuple(findings))


def _as(what: str, column: str, rule: str, says: str) -> Iterator[Finding]:
    if what != "allow":
        severity: Severity = "stop" if what == "stop" else "warn"
        yield Finding(f"{column}: {rule}", rule, column, severity, says=says, part="shape")
