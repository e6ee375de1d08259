"""What of a contract has to change so that a snapshot keeps it: as little as that, in the text of the user's file."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bessemer.core.errors import ContractError
from bessemer.core.sql import quote
from bessemer.validate.contract import DUCKDB, ColumnRules, Contract, instant, read
from bessemer.validate.edit import Edits
from bessemer.validate.enforce import Enforcement
from bessemer.validate.engine_checks import Whole
from bessemer.validate.findings import Finding
from bessemer.validate.statistics import Statistics

#: More values than these are no list that somebody reviews: the rule goes.
_MOST_VALUES = 200


@dataclass(frozen=True)
class Change:
    """A change of one rule. column: '' for the rows' number. rule: '' for the column as a whole. value: what it is set
    to; None where it is removed."""

    column: str
    rule: str
    value: Any


def changes(
    enforcement: Enforcement,
    findings: Collection[Finding],
    statistics: Statistics,
    inferred: Contract,
    only: Collection[str] = (),
    whole: Whole | None = None,
) -> list[Change]:
    """The changes after which the snapshot keeps the contract's own rules; expectations stay as they are.

    Args:
        findings: what all rows of the snapshot break. statistics: of all of them.
        inferred: the contract that they would be given. only: columns; by default all, and the number of rows.
        whole: the table that the snapshot is a sample of.
    """
    contract, found = enforcement.contract, list(_rows(enforcement.contract, statistics.rows, only))
    raw = dict(enforcement.columns)
    for name, rules in contract.columns.items():
        if only and name not in only:
            continue
        if name not in raw:
            found += [Change(name, "", None)] if contract.changes.removed == "stop" else []
        elif _other_type(name, rules, enforcement):
            found.append(Change(name, "", inferred.columns[name].model_dump(exclude_defaults=True)))
        else:
            broken = {f.rule for f in findings if f.column == name and f.rows is not None}
            found += _column(name, rules, broken, statistics.columns[name], enforcement, whole)
    for name in raw:
        if name not in contract.columns and (not only or name in only):
            rules = inferred.columns[name]
            shown = {"type": rules.type, "nullable": rules.nullable}
            found.append(Change(name, "", {**shown, **rules.model_dump(exclude_defaults=True)}))
    return found


def _rows(contract: Contract, rows: int, only: Collection[str]) -> Iterator[Change]:
    if only:
        return
    if contract.rows.min is not None and rows < contract.rows.min:
        yield Change("", "min", rows)
    if contract.rows.max is not None and rows > contract.rows.max:
        yield Change("", "max", rows)


def _other_type(name: str, rules: ColumnRules, enforcement: Enforcement) -> bool:
    wanted = DUCKDB[rules.type]
    return dict(enforcement.types)[name] != wanted or (
        name in enforcement.casts and name in enforcement.contract.changes.fixed
    )


def _column(
    name: str,
    rules: ColumnRules,
    broken: Collection[str],
    facts: Mapping[str, Any],
    enforcement: Enforcement,
    whole: Whole | None,
) -> Iterator[Change]:
    if "nullable" in broken:
        yield Change(name, "nullable", True)
    if rules.max_missing is not None and facts["missing_share"] > rules.max_missing:
        yield Change(name, "max_missing", f"{math.ceil(facts['missing_share'] * 1000) / 10:g}%")
    for rule in ("min", "max"):
        if rule in broken:
            yield Change(name, rule, facts[rule])
    if "values" in broken:
        new = _new_values(name, rules, enforcement, whole)
        value = None if len(new) > _MOST_VALUES else [*(rules.values or ()), *new]
        yield Change(name, "values", value)
    for rule in ("unique", "finite", "pattern"):
        if rule in broken:
            yield Change(name, rule, None)


def _new_values(name: str, rules: ColumnRules, enforcement: Enforcement, whole: Whole | None) -> list[Any]:
    c, allowed = quote(name), set[Any](rules.values or ())
    if rules.type == "timestamp":  # one time may be written in many ways
        allowed = {instant(str(value)) for value in allowed}
    most = _MOST_VALUES + len(allowed) + 1
    if whole is not None:
        there = whole.values(name, most)
    else:
        query = f"SELECT DISTINCT {c} FROM {enforcement.relation()} WHERE {c} IS NOT NULL ORDER BY 1"
        there = [v for (v,) in enforcement.connection.execute(f"{query} LIMIT {most}").fetchall()]
    return [
        value if not hasattr(value, "isoformat") else value.isoformat()
        for value in there
        if value not in allowed
    ]


def edited(text: str, file: str, contract: Contract, found: Collection[Change]) -> str:
    """The contract's text with the changes, and nothing else changed.

    Raises:
        ContractError: the text is written in a way that these edits do not know; it has to be changed by hand.
    """
    edits = Edits(text)
    for change in found:
        _apply(edits, change, contract)
    made = edits.text()
    wanted = _meant(contract, found)
    try:
        fits = read(made, file) == wanted
    except ContractError:
        fits = False
    if not fits:
        raise ContractError(
            f"{file} cannot be changed line by line, as it is written",
            why="; ".join(f"{c.column or 'rows'}: {c.rule or 'rules'}" for c in found),
            fix="change these by hand, or write the columns one a line, as `age: {type: integer}`",
        )
    return made


def _apply(edits: Edits, change: Change, contract: Contract) -> None:
    path: tuple[str, ...] = ("columns", change.column) if change.column else ("rows",)
    if not change.rule and change.value is None:
        edits.remove(("columns",), change.column)
    elif not change.rule and change.column in contract.columns:
        old = contract.columns[change.column].model_dump(exclude_unset=True)
        for rule in old:
            if rule not in change.value:
                edits.remove(path, rule)
        for rule, value in change.value.items():
            if old.get(rule) != value:
                edits.put(path, rule, value)
    elif not change.rule:
        edits.add(("columns",), change.column, change.value)
    elif change.value is None:
        edits.remove(path, change.rule)
    else:
        edits.put(path, change.rule, change.value)


def _meant(contract: Contract, found: Collection[Change]) -> Contract:
    """The contract that the changes make, as a model: what the edited text has to say."""
    value: dict[str, Any] = contract.model_dump(exclude_unset=True)
    columns: dict[str, Any] = dict(value["columns"])
    for change in found:
        target: Any = columns.setdefault(change.column, {}) if change.column else value.setdefault("rows", {})
        if not change.rule and change.value is None:
            columns.pop(change.column)
        elif not change.rule:
            columns[change.column] = dict(change.value)
        elif change.value is None:
            target.pop(change.rule, None)
        else:
            target[change.rule] = change.value
    return Contract.model_validate({**value, "columns": columns})


def described(found: Collection[Change]) -> list[Mapping[str, Any]]:
    """The changes as plain JSON data."""
    return [{"column": c.column, "rule": c.rule, "value": c.value} for c in found]
