"""Hold data to its contract: what stops at once, which rows break it, and the two files they go to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import ContractError, DataError, nearest
from bessemer.core.parquet import write_parquet
from bessemer.core.sql import literal, quote
from bessemer.validate.contract import DUCKDB, WORDS, Contract
from bessemer.validate.rules import RowRule, row_rules

if TYPE_CHECKING:
    from bessemer.core.stage import Context

#: Changes of type that lose nothing.
_WIDENING = {("BIGINT", "DOUBLE"), ("BIGINT", "VARCHAR")}
_ROW = '"row number"'
_GROUP = 400
_SAMPLES = 3
REASON = "_rule"


@dataclass
class Outcome:
    """What enforcement found: the rows' number, how many broke each rule, and how many broke any."""

    rows: int
    by_rule: dict[str, int] = field(default_factory=dict)
    broken: int = 0
    mask: list[RowRule] = field(default_factory=list)


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
        self.casts = self._structure()
        self.types = [(name, self.casts.get(name, kind)) for name, kind in self.columns]

    # the shape of the data ------------------------------------------------------------------------------
    def _structure(self) -> dict[str, str]:
        """Columns to cast; a missing column or another type stops the run, all of them named at once."""
        types, casts, faults = dict(self.columns), {}, []
        if REASON in {name.lower() for name in types}:
            raise DataError(
                f"a column is named '{REASON}'", fix="that name is the quarantine's: rename the column"
            )
        for name, rules in self.contract.columns.items():
            wanted = DUCKDB[rules.type]
            if name not in types:
                near = nearest(name, types)
                faults.append((name, "column", "missing" + (f" (there is '{near}')" if near else "")))
            elif types[name] != wanted:
                if (types[name], wanted) in _WIDENING or self._all_missing(name):
                    casts[name] = wanted
                else:
                    faults.append((name, "type", f"{WORDS[types[name]]}, the contract says {rules.type}"))
        if faults:
            raise _stopped(faults)
        extra = [name for name in types if name not in self.contract.columns]
        if extra:
            shown = ", ".join(extra[:10]) + (f" and {len(extra) - 10} more" if len(extra) > 10 else "")
            self.ctx.warn(f"not in the contract, taken as they are: {shown}")
        return casts

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
        number = f", row_number() OVER () AS {_ROW}" if numbered else ""
        return f"(SELECT {replaced}{number} FROM {self.source})"

    # the whole snapshot -----------------------------------------------------------------------------------
    def check_whole(self, statistics: dict[str, dict[str, Any]], rows: int) -> None:
        """Rules that are not about single rows: number of rows, share of missing values, age.

        Raises:
            ContractError: naming all that are broken.
        """
        faults: list[tuple[str, str, str]] = []
        limits = self.contract.rows
        if limits.min is not None and rows < limits.min:
            faults.append(("", "rows: min", f"{rows:,} rows, the contract says at least {limits.min:,}"))
        if limits.max is not None and rows > limits.max:
            faults.append(("", "rows: max", f"{rows:,} rows, the contract says at most {limits.max:,}"))
        for name, rules in self.contract.columns.items():
            missing = statistics[name]["missing_share"]
            if rules.max_missing is not None and missing > rules.max_missing:
                faults.append(
                    (name, "max_missing", f"{missing:.2%}, the contract says {rules.max_missing:.2%}")
                )
            newest = statistics[name]["max"]
            if rules.newest_within is not None and (age := self._age(newest)) > rules.newest_within:
                told = (
                    f"the newest is of {newest}, {age / 86400:,.1f} days old" if newest else "there is none"
                )
                faults.append((name, "newest_within", told))
        if faults:
            raise _stopped(faults)

    def _age(self, newest: str | None) -> float:
        import datetime as dt

        if newest is None:
            return float("inf")
        return (self.ctx.now() - dt.datetime.fromisoformat(newest).replace(tzinfo=dt.UTC)).total_seconds()

    # rows ---------------------------------------------------------------------------------------------------
    def count(self) -> Outcome:
        """How many rows break which rule: one pass, in groups of rules so that wide tables fit."""
        outcome = Outcome(int(self._one(f"SELECT count(*) FROM {self.source}")))
        rules = row_rules(self.contract)
        with self.ctx.progress("checking the contract", len(rules)) as bar:
            for i in range(0, len(rules), _GROUP):
                group = rules[i : i + _GROUP]
                tests = ", ".join(f"count_if({rule.broken})" for rule in group)
                counts = self.connection.execute(f"SELECT {tests} FROM {self.relation()}").fetchone()
                for rule, count in zip(group, counts, strict=True):
                    if count:
                        outcome.by_rule[rule.name] = count
                        outcome.mask.append(rule)
                bar.advance(len(group))
        for rule, count in self._repeats():
            outcome.by_rule[rule.name] = count
            outcome.mask.append(rule)
        if outcome.mask:
            outcome.broken = int(
                self._one(f"SELECT count_if({_any(outcome.mask)}) FROM {self.relation(numbered=True)}")
            )
        return outcome

    def _repeats(self) -> Iterable[tuple[RowRule, int]]:
        """Rows whose value of a unique column stands in an earlier row already."""
        unique = [name for name, rules in self.contract.columns.items() if rules.unique]
        for number, name in enumerate(unique):
            c, table = quote(name), f'"repeats {number}"'
            if self._one(f"SELECT count({c}) = count(DISTINCT {c}) FROM {self.relation()}"):
                continue
            twice = f"SELECT {c} FROM {self.relation()} WHERE {c} IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
            ranked = (
                f"SELECT {_ROW}, row_number() OVER (PARTITION BY {c} ORDER BY {_ROW}) AS nth "
                f"FROM {self.relation(numbered=True)} WHERE {c} IN ({twice})"
            )
            self.connection.execute(
                f"CREATE TEMP TABLE {table} AS SELECT {_ROW} FROM ({ranked}) WHERE nth > 1"
            )
            count = int(self._one(f"SELECT count(*) FROM {table}"))
            yield RowRule(f"{name}: unique", name, f"{_ROW} IN (SELECT {_ROW} FROM {table})"), count

    def split(self, mask: Sequence[RowRule], kept: Path, quarantine: Path) -> None:
        """Write the rows that keep the contract, and those that break it with the rules they broke."""
        broken = _any(mask)
        texts = ", ".join(f"CASE WHEN {rule.broken} THEN {literal(rule.name)} END" for rule in mask)
        relation = self.relation(numbered=True)
        write_parquet(
            self.connection,
            f"SELECT * EXCLUDE ({_ROW}), concat_ws('; ', {texts}) AS {quote(REASON)} FROM {relation} WHERE {broken}",
            quarantine,
        )
        write_parquet(
            self.connection,
            f"SELECT * EXCLUDE ({_ROW}) FROM {relation} WHERE NOT coalesce({broken}, false)",
            kept,
        )

    def empty_quarantine(self, path: Path) -> None:
        relation = self.relation()
        write_parquet(self.connection, f"SELECT *, '' AS {quote(REASON)} FROM {relation} WHERE false", path)

    def table(self, outcome: Outcome) -> tuple[dict[str, object], ...]:
        """One row a rule, the most broken first: rule, column, rows, share, samples of values that break it."""
        rows = []
        for rule in sorted(outcome.mask, key=lambda rule: (-outcome.by_rule[rule.name], rule.name)):
            query = f"SELECT CAST({quote(rule.column)} AS VARCHAR) FROM {self.relation(numbered=True)}"
            found = self.connection.execute(f"{query} WHERE {rule.broken} LIMIT {_SAMPLES}").fetchall()
            count = outcome.by_rule[rule.name]
            rows.append(
                {
                    "rule": rule.name.rpartition(": ")[2],
                    "column": rule.column,
                    "rows": count,
                    "share": count / outcome.rows,
                    "samples": [value for (value,) in found],
                }
            )
        return tuple(rows)


def _any(mask: Sequence[RowRule]) -> str:
    """Balanced, so that thousands of rules do not nest too deeply."""
    if len(mask) == 1:
        return f"({mask[0].broken})"
    half = len(mask) // 2
    return f"({_any(mask[:half])} OR {_any(mask[half:])})"


def _stopped(faults: list[tuple[str, str, str]]) -> ContractError:
    shown = [f"{name or 'the data'}: {what}" for name, _, what in faults[:10]]
    more = [f"and {len(faults) - 10} more"] if len(faults) > 10 else []
    return ContractError(
        f"the data is not what the contract says: {len(faults)} difference{'s' * (len(faults) != 1)}",
        why="; ".join(shown + more),
        fix="correct the data or `acquire.sql`; if the change is meant, edit the contract",
        broken=tuple(
            {"rule": rule, "column": name, "rows": None, "share": None, "samples": [what]}
            for name, rule, what in faults
        ),
    )
