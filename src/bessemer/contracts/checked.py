"""A snapshot held to its contract: the outcome, with since when what is broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bessemer.validate.contract import Contract
from bessemer.validate.expect import made
from bessemer.validate.findings import Finding
from bessemer.validate.rules import row_rules


@dataclass(frozen=True)
class Checked:
    """What `bessemer validate` found.

    passed: whether a run goes on. inferred: the contract was written just now. rows: of the snapshot; aside: of those,
    how many break a rule that sets them aside; allowed: the share that may. rules: every rule, as `rule_names` gives
    them. since: rule -> {run, time, runs}. why, fix: what stops the run.
    """

    project: str
    run: str
    time: str
    contract: str
    passed: bool
    inferred: bool
    rows: int
    aside: int
    allowed: float
    rules: tuple[Mapping[str, str], ...]
    findings: tuple[Finding, ...]
    since: Mapping[str, Mapping[str, Any]]
    why: str = ""
    fix: str = ""

    def to_json(self) -> dict[str, Any]:
        """The outcome as plain JSON data; each finding with its `since`."""
        found = [{**f.to_json(), "since": dict(self.since.get(f.name, {}))} for f in self.findings]
        return {
            "project": self.project,
            "run": self.run,
            "time": self.time,
            "contract": self.contract,
            "passed": self.passed,
            "inferred": self.inferred,
            "rows": self.rows,
            "aside": self.aside,
            "allowed": self.allowed,
            "rules": [dict(rule) for rule in self.rules],
            "findings": found,
            "why": self.why,
            "fix": self.fix,
        }


def rule_names(contract: Contract) -> tuple[dict[str, str], ...]:
    """Every rule of a contract: name, column ('' where it is on several), rule, and what it says."""
    found = [_rule(f"{name}: type", name, "type", rules.type) for name, rules in contract.columns.items()]
    for rule in row_rules(contract):
        word = rule.name.removeprefix(f"{rule.column}: ")
        found.append(_rule(rule.name, rule.column, word, _said(contract, rule.column, word)))
    for name, rules in contract.columns.items():
        found += [_rule(f"{name}: unique", name, "unique", "true")] if rules.unique else []
        found += [
            _rule(f"{name}: {word}", name, word, _said(contract, name, word))
            for word in ("max_missing", "newest_within")
            if getattr(rules, word) is not None
        ]
    limits = contract.rows.model_dump(exclude_none=True)
    found += [_rule(f"rows: {word}", "", f"rows: {word}", f"{value:,}") for word, value in limits.items()]
    for expectation in made(contract.expect):
        found.append(_rule(expectation.name, "", expectation.name, expectation.settings.severity))
    return tuple(found)


def _rule(name: str, column: str, rule: str, says: str) -> dict[str, str]:
    return {"name": name, "column": column, "rule": rule, "says": says}


def _said(contract: Contract, column: str, word: str) -> str:
    value = getattr(contract.columns[column], word)
    if word == "max_missing":
        return f"{value:.4g}"
    if word == "newest_within":
        return f"{value / 86400:.4g} days"
    if isinstance(value, tuple):
        shown = ", ".join(map(str, value[:12]))
        return shown + (f" and {len(value) - 12} more" if len(value) > 12 else "")
    return str(value).lower() if isinstance(value, bool) else str(value)
