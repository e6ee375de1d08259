"""The rows that broke the contract: by rule, with the values that broke it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact

#: Rows that are read for values, and the rules that are shown, the most broken first.
_READ, _RULES = 20_000, 100


def violations(quarantine: Artifact, samples: int) -> list[dict[str, Any]]:
    """[{rule, column, rows, values: [[value as text, rows among those read]]}]; no values where `samples` is 0."""
    by_rule: dict[str, int] = quarantine.meta["by_rule"]
    rules = sorted(by_rule, key=lambda rule: (-by_rule[rule], rule))[:_RULES]
    found = [
        {"rule": rule.rpartition(": ")[2], "column": rule.rpartition(": ")[0], "rows": by_rule[rule]}
        for rule in rules
    ]
    if not samples or not rules:
        return [{**facts, "values": []} for facts in found]
    counts = _broken(quarantine, rules)
    return [
        {**facts, "values": [list(pair) for pair in _most(counts[rule], samples)]}
        for facts, rule in zip(found, rules, strict=True)
    ]


def _most(counts: Counter[str], samples: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:samples]


def _broken(quarantine: Artifact, rules: list[str]) -> dict[str, Counter[str]]:
    """For each rule the values of its column in the rows that broke it, of the first rows of the quarantine."""
    import pyarrow.parquet as pq

    counts: dict[str, Counter[str]] = {rule: Counter() for rule in rules}
    with pq.ParquetFile(quarantine.path("quarantine.parquet")) as file:
        there = set(file.schema_arrow.names)
        column_of = {rule: rule.rpartition(": ")[0] for rule in rules}
        wanted = sorted({name for name in column_of.values() if name in there})
        read = 0
        for batch in file.iter_batches(2048, columns=[*wanted, "_rule"]):
            _count(batch.to_pylist(), column_of, counts)
            read += len(batch)
            if read >= _READ:
                break
    return counts


def _count(rows: list[dict[str, Any]], column_of: dict[str, str], counts: dict[str, Counter[str]]) -> None:
    for row in rows:
        reasons = f"; {row['_rule']}; "
        for rule, column in column_of.items():
            if column in row and f"; {rule}; " in reasons:
                counts[rule][_text(row[column])] += 1


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)[:200]
