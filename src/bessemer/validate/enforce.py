"""Hold data to its contract: which rows break it, and the two files they go to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import ContractError
from bessemer.core.parquet import write_parquet
from bessemer.core.sql import literal, quote
from bessemer.validate.contract import DUCKDB, Contract
from bessemer.validate.findings import Finding
from bessemer.validate.protocol import ROW, RowExpectation, Subject
from bessemer.validate.repeats import repeats
from bessemer.validate.rules import RowRule, any_of, row_rules
from bessemer.validate.shape import REASON, Shape, shape_of

if TYPE_CHECKING:
    from bessemer.core.stage import Context

#: Below so many rows many columns are counted in one query, whose making takes longer than its running then.
_FEW_ROWS = 200_000
_GROUP = 100
#: Texts are of few values where so many of the first rows have no more than so many.
_FIRST, _FEW_VALUES = 20_000, 1_000
_SAMPLES = 3


@dataclass
class Outcome:
    """What enforcement found: the rows' number, how many broke each rule that sets them aside, and how many any.

    mask: the rules that set rows aside and are broken. findings: all that is broken, rows or not.
    elsewhere: where the data is a sample of what an engine keeps, how many of all rows break a rule of a column.
    sampled: of how many rows the sample is. expected: expectations of `mask`, which only the sample was held to.
    """

    rows: int
    by_rule: dict[str, int] = field(default_factory=dict)
    broken: int = 0
    mask: list[RowRule] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    elsewhere: int | None = None
    sampled: int = 0
    expected: list[RowRule] = field(default_factory=list)

    def scaled(self, count: int) -> int:
        """How many of all rows it may be, where it is so many of the sample."""
        return round(count * self.rows / max(self.sampled, 1))


class Enforcement:
    """One snapshot against one contract. `columns` are the data's names and DuckDB types."""

    def __init__(
        self,
        connection: Any,
        parquet: Path,
        columns: Sequence[tuple[str, str]],
        contract: Contract,
        ctx: Context,
    ) -> None:
        self.connection, self.contract, self.ctx = connection, contract, ctx
        self.columns = list(columns)
        self.source = f"read_parquet({literal(parquet)})"
        self.shape: Shape = shape_of(dict(self.columns), contract, self._all_missing)
        self.types = [(name, self.casts.get(name, kind)) for name, kind in self.columns]
        there = dict(self.types)
        fit = {n: r for n, r in contract.columns.items() if there.get(n) == DUCKDB[r.type]}
        #: The contract of the columns that are there, and of its types.
        self.present = contract.model_copy(update={"columns": fit})

    @property
    def casts(self) -> Mapping[str, str]:
        return self.shape.casts

    def _all_missing(self, name: str) -> bool:
        return bool(self._one(f"SELECT count({quote(name)}) = 0 FROM {self.source}"))

    def _one(self, query: str) -> Any:
        return self.connection.execute(query).fetchone()[0]

    def relation(self, *, numbered: bool = False) -> str:
        """The data with the contract's types; `numbered` adds the row's number."""
        if not self.casts and not numbered:
            return self.source
        casts = ", ".join(f"CAST({quote(n)} AS {kind}) AS {quote(n)}" for n, kind in self.casts.items())
        replaced = f"* REPLACE ({casts})" if casts else "*"
        number = f", row_number() OVER () AS {ROW}" if numbered else ""
        return f"(SELECT {replaced}{number} FROM {self.source})"

    # rows ---------------------------------------------------------------------------------------------------
    def count(self, subject: Subject, expectations: Sequence[RowExpectation] = ()) -> Outcome:
        """How many rows break which rule: a query a column, so that only that column is read."""
        outcome = Outcome(subject.rows)
        rules = row_rules(self.present)
        broken: list[tuple[RowRule, int]] = []
        with self.ctx.progress("checking the contract", len(rules) + len(expectations)) as bar:
            for group in self._groups(rules, subject.rows):
                counts = self._counts(group, subject.rows)
                broken += [(rule, count) for rule, count in zip(group, counts, strict=True) if count]
                bar.advance(len(group))
            for rule in (*self._repeats(subject.rows), *_asked(expectations, subject)):
                numbered = ROW in rule.broken
                count = self._computed(rule, self.relation(numbered=numbered))
                broken += [(rule, count)] if count else []
                bar.advance()
        for rule, count in broken:
            if rule.severity != "warn":
                outcome.by_rule[rule.name] = count
                outcome.mask.append(rule)
        outcome.findings = [self._finding(rule, int(count), outcome.rows) for rule, count in broken]
        return outcome

    def _counts(self, group: Sequence[RowRule], rows: int) -> Sequence[int]:
        """How many rows break each rule. Of texts with few values each value is looked at once, not each row."""
        relation, test = self.relation(), "count_if({})"
        if rows >= _FEW_ROWS and self._few_texts(group[0].column):
            c = quote(group[0].column)
            relation = f"(SELECT {c}, count(*) AS {ROW} FROM {relation} GROUP BY {c})"
            test = f"coalesce(sum({ROW}) FILTER ({{}}), 0)"
        tests = ", ".join(test.replace("{}", rule.broken) for rule in group)
        found: Sequence[int] = self.connection.execute(f"SELECT {tests} FROM {relation}").fetchone()
        return found

    def _few_texts(self, name: str) -> bool:
        """Whether a column has texts of few values, as its first rows have them."""
        if dict(self.types)[name] != "VARCHAR":
            return False
        c = quote(name)
        first = f"SELECT {c} FROM {self.relation()} LIMIT {_FIRST}"
        return bool(self._one(f"SELECT count(DISTINCT {c}) FROM ({first})") <= _FEW_VALUES)

    def _computed(self, rule: RowRule, relation: str) -> int:
        """How many rows break a rule of the user's, who may compute what some values do not allow."""
        import duckdb

        try:
            return int(self._one(f"SELECT count_if({rule.broken}) FROM {relation}"))
        except (
            duckdb.ConversionException,
            duckdb.OutOfRangeException,
            duckdb.InvalidInputException,
        ) as error:
            raise ContractError(
                f"the expectation '{rule.name}' cannot be computed",
                why=str(error).strip().partition("\n")[0],
                fix="correct it in the contract; `try(...)` gives NULL where an expression fails",
            ) from error

    def _groups(self, rules: Sequence[RowRule], rows: int) -> Iterable[list[RowRule]]:
        """The rules of one column together; of many columns where there are few rows."""
        columns: dict[str, list[RowRule]] = {}
        for rule in rules:
            columns.setdefault(rule.column, []).append(rule)
        together = _GROUP if rows < _FEW_ROWS else 1
        parts = list(columns.values())
        for i in range(0, len(parts), together):
            yield [rule for part in parts[i : i + together] for rule in part]

    def _repeats(self, rows: int) -> Iterable[RowRule]:
        """Rows whose value of a unique column stands in an earlier row already."""
        unique = [name for name, rules in self.present.columns.items() if rules.unique]
        for number, name in enumerate(unique):
            relation, numbered = self.relation(), self.relation(numbered=True)
            if test := repeats(self.connection, relation, numbered, [name], f"repeats {number}", rows):
                yield RowRule(f"{name}: unique", name, test)

    def _finding(self, rule: RowRule, count: int, rows: int) -> Finding:
        shown = rule.shown or quote(rule.column)
        numbered = ROW in rule.broken
        query = f"SELECT CAST({shown} AS VARCHAR) FROM {self.relation(numbered=numbered)} WHERE {rule.broken}"
        found = self.connection.execute(f"{query} LIMIT {_SAMPLES}").fetchall()
        name = rule.rule or rule.name.rpartition(": ")[2]
        samples = tuple(None if value is None else value[:200] for (value,) in found)
        return Finding(rule.name, name, rule.column, rule.severity, count, count / rows, samples)

    def split(self, outcome: Outcome, kept: Path, quarantine: Path, allowed: float) -> bool:
        """Write the rows that break the contract, with the rules they break, and if they are few enough the others.

        Args:
            allowed: the greatest share of rows that may be set aside.

        Returns:
            whether they were few enough. `outcome.broken` has their number then.
        """
        broken = any_of(outcome.mask)
        texts = ", ".join(f"CASE WHEN {rule.broken} THEN {literal(rule.name)} END" for rule in outcome.mask)
        relation = self.relation(numbered=True)
        set_aside = write_parquet(
            self.connection,
            f"SELECT * EXCLUDE ({ROW}), concat_ws('; ', {texts}) AS {quote(REASON)} FROM {relation} WHERE {broken}",
            quarantine,
        )
        outcome.broken = set_aside
        if outcome.elsewhere is not None:
            outcome.broken = min(
                outcome.rows, outcome.elsewhere + outcome.scaled(self._expected_alone(outcome))
            )
        if outcome.broken > allowed * outcome.rows:
            return False
        write_parquet(self.connection, f"SELECT * FROM {self.keeping(outcome)}", kept)
        return True

    def _expected_alone(self, outcome: Outcome) -> int:
        """How many rows of the sample break an expectation and no rule of a column."""
        if not outcome.expected:
            return 0
        names = {rule.name for rule in outcome.expected}
        rules = [rule for rule in outcome.mask if rule.name not in names]
        no_rule = f"NOT coalesce({any_of(rules)}, false)" if rules else "true"
        relation = self.relation(numbered=True)
        return int(
            self._one(f"SELECT count_if({any_of(outcome.expected)} AND {no_rule}) FROM {relation}") or 0
        )

    def keeping(self, outcome: Outcome) -> str:
        """The rows that keep the contract, as a relation."""
        if not outcome.mask:
            return self.relation()
        kept = f"NOT coalesce({any_of(outcome.mask)}, false)"
        return f"(SELECT * EXCLUDE ({ROW}) FROM {self.relation(numbered=True)} WHERE {kept})"

    def empty_quarantine(self, path: Path) -> None:
        relation = self.relation()
        write_parquet(self.connection, f"SELECT *, '' AS {quote(REASON)} FROM {relation} WHERE false", path)


def _asked(expectations: Sequence[RowExpectation], subject: Subject) -> Iterable[RowRule]:
    """The expectations about rows as rules."""
    for expectation in expectations:
        if test := expectation.broken(subject):
            named = expectation.columns()
            yield RowRule(
                expectation.name,
                named[0] if len(named) == 1 else "",
                test,
                expectation.settings.severity,
                expectation.name,
                expectation.shown(),
            )
