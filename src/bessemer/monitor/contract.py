"""The data contract in a package, counted over a window: in SQL, by the rules that training data is held to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bessemer.core.sql import quote
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Broken
from bessemer.validate.contract import DUCKDB, ColumnRules, Contract, read
from bessemer.validate.rules import RowRule, row_rules
from bessemer.validate.spec import ValidateSpec

if TYPE_CHECKING:
    from bessemer.package.model import Model

#: The share of rows that may break a rule, where the package does not say how many a run sets aside before it stops.
ALLOWED = float(ValidateSpec.model_fields["quarantine"].default)
_MEMBER = "contract.yaml"
#: Rules that are counted in one query.
_GROUP = 100


def contract_of(model: Model) -> Contract | None:
    """The contract in a package, without its expectations, which are about tables; None where it has none."""
    if _MEMBER not in model.contents:
        return None
    return read(model.contents.text(_MEMBER), _MEMBER, expectations=False)


def allowed(model: Model) -> float:
    """The share of rows that may break a rule: what a run of the project sets aside before it stops."""
    return float((model.provenance.get("contract") or {}).get("quarantine", ALLOWED))


def broken_rules(
    connection: Any, relation: str, model: Model, reference: Reference, rows: int
) -> tuple[Broken, ...]:
    """How many rows of a relation break each rule of the contract on the inputs that are there.

    A value that is not of the contract's type is missing here: it is told of elsewhere.
    """
    contract = contract_of(model)
    if contract is None or not rows:
        return ()
    there = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
    inputs = {field.name for field in model.signature.inputs} & there
    columns = {name: rules for name, rules in contract.columns.items() if name in inputs}
    return tuple(_counted(connection, relation, columns, reference, rows, allowed(model))) if columns else ()


def _counted(
    connection: Any,
    relation: str,
    columns: Mapping[str, ColumnRules],
    reference: Reference,
    rows: int,
    share: float,
) -> Iterator[Broken]:
    typed = ", ".join(
        f"TRY_CAST({quote(n)} AS {DUCKDB[rules.type]}) AS {quote(n)}" for n, rules in columns.items()
    )
    source = f"(SELECT {typed} FROM {relation})"
    rules = [(rule, share) for rule in row_rules(Contract(columns=dict(columns))) if _told(rule, reference)]
    rules += [
        (RowRule(f"{name}: max_missing", name, f"{quote(name)} IS NULL"), own.max_missing)
        for name, own in columns.items()
        if own.max_missing is not None
    ]
    for i in range(0, len(rules), _GROUP):
        group = rules[i : i + _GROUP]
        # of a column without any value DuckDB counts NULL, as a sum of nothing is
        counts = ", ".join(f"coalesce(count_if({rule.broken}), 0)" for rule, _ in group)
        found = connection.execute(f"SELECT {counts} FROM {source}").fetchone()
        for (rule, may), count in zip(group, found, strict=True):
            yield Broken(rule.column, rule.name.removeprefix(f"{rule.column}: "), int(count), rows, may)
    for name in (name for name, own in columns.items() if own.unique):
        c = quote(name)
        each = f"SELECT count(*) AS n FROM {source} WHERE {c} IS NOT NULL GROUP BY {c}"
        different, known = connection.execute(
            f"SELECT count(*), coalesce(sum(n), 0) FROM ({each})"
        ).fetchone()
        yield Broken(name, "unique", int(known) - int(different), rows, share)


def _told(rule: RowRule, reference: Reference) -> bool:
    """An empty text is a value to the contract, and missing to the model and its log: where training had such rows,
    none of them breaks `nullable`."""
    known = reference.columns.get(rule.column)
    return not (rule.name.endswith(": nullable") and known is not None and known.missing)
