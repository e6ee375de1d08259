"""Rules that are not about single rows: how many there are, shares of missing values, ages, and expectations."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bessemer.validate.contract import Contract
from bessemer.validate.findings import Finding
from bessemer.validate.protocol import Subject, WholeExpectation


def whole_findings(
    contract: Contract, subject: Subject, expectations: Sequence[WholeExpectation]
) -> Iterator[Finding]:
    """What the data as a whole breaks. `contract` has only columns that are there."""
    limits, rows = contract.rows, subject.rows
    if limits.min is not None and rows < limits.min:
        yield _on("", "rows: min", f"{rows:,} rows, the contract says at least {limits.min:,}")
    if limits.max is not None and rows > limits.max:
        yield _on("", "rows: max", f"{rows:,} rows, the contract says at most {limits.max:,}")
    for name, rules in contract.columns.items():
        facts = subject.statistics[name]
        if rules.max_missing is not None and facts["missing_share"] > rules.max_missing:
            says = f"{facts['missing_share']:.2%}, the contract says {rules.max_missing:.2%}"
            yield _on(name, "max_missing", says)
        if rules.newest_within is not None and _age(facts, subject) > rules.newest_within:
            newest = facts["max"]
            told = f"the newest is of {newest}, {_age(facts, subject) / 86400:,.1f} days old"
            yield _on(name, "newest_within", told if newest else "there is none")
    for expectation in expectations:
        for breach in expectation.breaches(subject):
            name = expectation.name + (
                f" ({breach.column})"
                if breach.column and not expectation.name.endswith(f": {breach.column}")
                else ""
            )
            yield Finding(
                name,
                expectation.name,
                breach.column,
                expectation.settings.severity,
                says=breach.says,
                part="whole",
            )


def _on(column: str, rule: str, says: str) -> Finding:
    return Finding(f"{column}: {rule}" if column else rule, rule, column, "stop", says=says, part="whole")


def _age(facts: Mapping[str, Any], subject: Subject) -> float:
    """Seconds from the newest value to now; infinite where there is none."""
    if facts["max"] is None:
        return float("inf")
    newest = dt.datetime.fromisoformat(facts["max"]).replace(tzinfo=dt.UTC)
    return (subject.ctx.now() - newest).total_seconds()
