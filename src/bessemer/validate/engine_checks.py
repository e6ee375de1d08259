"""A contract's rules on the rows of a table that stays at an engine, of which the data here is a sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bessemer.core.sql import quote
from bessemer.engines.table import Table, reopened, typed
from bessemer.validate.contract import Contract
from bessemer.validate.enforce import Outcome
from bessemer.validate.engine_statistics import describe
from bessemer.validate.findings import Finding
from bessemer.validate.rules import RowRule, any_of, row_rules
from bessemer.validate.statistics import Statistics

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact
    from bessemer.core.stage import Context

_GROUP = 50
_SAMPLES = 3


@contextmanager
def whole_of(raw: Artifact, ctx: Context) -> Iterator[Whole | None]:
    """The table that `raw` is a sample of; None where it is no sample.

    Raises:
        DataError: it is no longer at the engine.
    """
    if (told := raw.meta.get("whole")) is None:
        yield None
        return
    table = reopened(told, ctx)
    with closing(table.engine):
        yield Whole(table, told)


class Whole:
    """All rows, under the contract's types."""

    def __init__(self, table: Table, told: Mapping[str, Any]) -> None:
        self.table, self.told = table, told
        self.casts: dict[str, str] = {}

    @property
    def columns(self) -> list[tuple[str, str]]:
        return [(name, self.casts.get(name, kind)) for name, kind in self.table.columns]

    def cast(self, casts: Mapping[str, str]) -> None:
        """Take columns as the types that the contract has for them."""
        self.casts = dict(casts)

    def relation(self, where: str = "true") -> str:
        """The rows that fulfil a condition, as SQL that stands after FROM."""
        return typed(self.table.columns, self.casts, where)

    def to_json(self, mask: Sequence[RowRule]) -> dict[str, Any]:
        """What an artifact says of the rows that break none of the rules: the table, their types and a condition."""
        return {**self.told, "casts": self.casts, "where": _none_of(mask)}

    def statistics(self, mask: Sequence[RowRule], ctx: Context) -> Statistics:
        """Of the rows that break none of the rules."""
        return describe(self.table, self.relation(_none_of(mask)), self.columns, ctx)

    def rows(self, mask: Sequence[RowRule]) -> int:
        """How many rows break none of the rules."""
        return int(self._ask(f"SELECT count(*) AS n FROM {self.relation(_none_of(mask))}")[0][0])

    def values(self, column: str, most: int) -> list[Any]:
        """The smallest different values of a column, no more than `most`."""
        c = quote(column)
        sql = f"SELECT DISTINCT {c} AS v, 0 AS last FROM {self.relation(f'{c} IS NOT NULL')} ORDER BY 1 LIMIT {most}"
        return [value for value, _ in self._ask(sql)]

    def judge(self, contract: Contract, outcome: Outcome) -> list[RowRule]:
        """Put what all rows break in place of what the sample breaks; gives the broken rules on single rows.

        Rows whose key stands twice are counted among those that break no other rule. What breaks an expectation is
        counted in the sample, and said as so many of all rows.
        """
        rules = row_rules(contract)
        counts = self._counts([rule.broken for rule in rules])
        broken = [(rule, count) for rule, count in zip(rules, counts, strict=True) if count]
        mask = [rule for rule, _ in broken]
        repeated = [(rule, count) for rule in _unique(contract) if (count := self._repeats(rule.column))]
        own = {rule.name for rule in (*rules, *_unique(contract))}
        outcome.sampled, outcome.rows = outcome.rows, self.table.rows
        expected = {name: outcome.scaled(n) for name, n in outcome.by_rule.items() if name not in own}
        outcome.expected = [rule for rule in outcome.mask if rule.name not in own]
        outcome.by_rule = {rule.name: count for rule, count in (*broken, *repeated)} | expected
        there = [rule for rule in outcome.mask if rule.name not in {r.name for r in mask}]
        seen = {rule.name for rule in there}
        # a key that stands twice, and once in the sample, sets none of its rows aside, and counts
        unseen = [replace(rule, broken="false") for rule, _ in repeated if rule.name not in seen]
        outcome.mask = [*mask, *there, *unseen]
        found = [self._finding(rule, count) for rule, count in (*broken, *repeated)]
        outcome.findings = found + [
            replace(each, rows=outcome.scaled(each.rows)) if each.rows is not None else each
            for each in outcome.findings
            if each.name not in own
        ]
        together = self._counts([any_of(mask)])[0] if mask else 0
        outcome.elsewhere = together + sum(self._repeats(rule.column, _none_of(mask)) for rule, _ in repeated)
        return mask

    def _counts(self, conditions: Sequence[str]) -> list[int]:
        counts: list[int] = []
        for start in range(0, len(conditions), _GROUP):
            group = conditions[start : start + _GROUP]
            listed = ", ".join(f"count_if({condition}) AS c{i}" for i, condition in enumerate(group))
            (row,) = self._ask(f"SELECT {listed}, 0 AS last FROM {self.relation()}")
            counts += [int(count or 0) for count in row[:-1]]
        return counts

    def _repeats(self, column: str, where: str = "true") -> int:
        c = quote(column)
        sql = f"SELECT count({c}) AS rows, count(DISTINCT {c}) AS kinds FROM {self.relation(where)}"
        ((rows, kinds),) = self._ask(sql)
        return int(rows - kinds)

    def _finding(self, rule: RowRule, count: int) -> Finding:
        samples: list[tuple[Any, ...]] = []
        if rule.broken:
            text = f"CAST({quote(rule.column)} AS VARCHAR)"
            sql = f"SELECT DISTINCT {text} AS shown, 0 AS last FROM {self.relation(rule.broken)}"
            samples = self._ask(f"{sql} ORDER BY 1 LIMIT {_SAMPLES}")
        name = rule.name.rpartition(": ")[2]
        shown = tuple(None if value is None else value[:200] for value, _ in samples)
        return Finding(rule.name, name, rule.column, rule.severity, count, count / self.table.rows, shown)

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self.table.ask(sql, exact=False)


def _none_of(mask: Sequence[RowRule]) -> str:
    return f"NOT coalesce({any_of(mask)}, false)" if mask else "true"


def _unique(contract: Contract) -> list[RowRule]:
    return [RowRule(f"{name}: unique", name, "") for name, rules in contract.columns.items() if rules.unique]
