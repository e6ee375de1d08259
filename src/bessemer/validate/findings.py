"""What was found against a contract: a rule, where, how many rows, some of them, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bessemer.core.errors import ContractError

#: What a broken rule does: stop the run, set the rows aside (and stop above `validate.quarantine`), or only be told.
Severity = Literal["stop", "quarantine", "warn"]
#: What a rule is about, in the order in which these are judged: columns, their rows, the data as a whole.
Part = Literal["shape", "rows", "whole"]
PARTS: tuple[Part, ...] = ("shape", "rows", "whole")
_ORDER = {"stop": 0, "quarantine": 1, "warn": 2}


@dataclass(frozen=True)
class Finding:
    """A rule that is broken.

    name: the rule with what it is on, as the quarantine has it: "age: min". rule: without that: "min". column: the
    column, or '' where it is on several or on the data. rows, share: how many rows break it, and of all rows; None
    where it is not about rows. samples: some values that do. says: what was found, in words, where there are no rows
    to count. part: what it is about.
    """

    name: str
    rule: str
    column: str
    severity: Severity
    rows: int | None = None
    share: float | None = None
    samples: tuple[str | None, ...] = ()
    says: str = ""
    part: Part = "rows"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "samples": list(self.samples)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Finding:
        return cls(**{**value, "samples": tuple(value["samples"])})

    def row(self) -> dict[str, Any]:
        """The row of the table that is shown where a run stops."""
        samples = [self.says] if self.says else list(self.samples)
        return {
            "rule": self.rule,
            "column": self.column,
            "rows": self.rows,
            "share": self.share,
            "samples": samples,
            "severity": self.severity,
        }

    def sentence(self) -> str:
        """The finding as one line of a message.

        >>> Finding("age: min", "min", "age", "quarantine", 2, 0.5, ("-1",)).sentence()
        "age: min broken by 2 rows (50.0%), such as ['-1']"
        """
        if self.rows is None:
            return f"{self.column or 'the data'}: {self.says}"
        of = f" (of {self.column})" if self.column and not self.name.startswith(f"{self.column}: ") else ""
        return (
            f"{self.name} broken by {self.rows:,} rows ({self.share:.1%}), such as {list(self.samples)}{of}"
        )


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The gravest first, and of equal ones those with the most rows; those without rows as they come."""
    return tuple(sorted(findings, key=_rank))


def _rank(finding: Finding) -> tuple[int, int, str]:
    by_rows = finding.rows is not None
    return _ORDER[finding.severity], -(finding.rows or 0), finding.name if by_rows else ""


class BrokenContract(ContractError):
    """The run stops because of what was found. rows: of the snapshot; aside: of those, how many break a rule.

    judged: how far it came; the parts behind that one were not looked at.
    """

    def __init__(
        self,
        what: str,
        *,
        why: str,
        fix: str,
        findings: Iterable[Finding],
        rows: int,
        aside: int,
        judged: Part = "whole",
    ) -> None:
        self.findings = ranked(findings)
        self.rows, self.aside, self.judged = rows, aside, judged
        super().__init__(what, why=why, fix=fix, broken=tuple(finding.row() for finding in self.findings))
