"""A contract from what was seen: strict where the data is clear, silent where it is not."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from bessemer.validate.contract import WORDS, ColumnRules, Contract, RowRules
from bessemer.validate.statistics import Statistics

_REPEATED = 5  # a category stands in this many rows on average, or the column is not one of categories
_ENOUGH_FOR_UNIQUE = 100
_KEY_LENGTH = 64
_KEY_NAME = re.compile(r"(?i)(^|[_\W])(id|key|uuid|guid|code|no|nr|number)$|[a-z](Id|ID|Key)$")


def infer(statistics: Statistics, keys: set[str], margin: float) -> Contract:
    """A contract that the data it was inferred from keeps.

    Args:
        statistics: of the data.
        keys: columns in which no value stands twice and none is missing.
        margin: how far a range reaches beyond the values seen, as a share of their span.
    """
    columns = {}
    for name, facts in statistics.columns.items():
        columns[name] = _column(name, facts, statistics, margin, key=name in keys)
    return Contract(rows=RowRules(min=1), columns=columns)


def _column(
    name: str, facts: Mapping[str, Any], statistics: Statistics, margin: float, *, key: bool
) -> ColumnRules:
    kind = WORDS[facts["dtype"]]
    rules: dict[str, Any] = {"type": kind, "nullable": facts["missing"] > 0}
    if key:
        rules["unique"] = True
    if kind == "number" and facts["count"] and facts["infinite"] == 0:
        rules["finite"] = True
    if kind in ("integer", "number") and not key:
        rules |= _range(facts["min"], facts["max"], margin, whole=kind == "integer")
    values = [] if facts.get("images") else statistics.categories.get(name, [])
    if values and facts["count"] >= _REPEATED * len(values):
        rules["values"] = tuple(values)
    return ColumnRules(**rules)


def candidates(statistics: Statistics) -> list[str]:
    """Columns that may be keys: all values there, and hardly any that stands twice (distinct is approximate)."""
    return [
        name
        for name, facts in statistics.columns.items()
        if statistics.rows >= _ENOUGH_FOR_UNIQUE
        and not facts["missing"]
        and facts["dtype"] in ("BIGINT", "VARCHAR")
        and facts["distinct"] >= 0.85 * statistics.rows
        and _is_key(name, facts)
    ]


def _is_key(name: str, facts: Mapping[str, Any]) -> bool:
    """Whether a column without repeats is one by intent, not by accident."""
    if facts["dtype"] == "VARCHAR":
        return bool(facts["length"]["max"] <= _KEY_LENGTH)
    dense = facts["max"] - facts["min"] < 2 * facts["count"]
    return dense or bool(_KEY_NAME.search(name))


def _range(low: float | None, high: float | None, margin: float, *, whole: bool) -> dict[str, float | int]:
    """The span seen, widened by the margin to round numbers; never across zero, nor out of 0 to 1.

    >>> _range(17, 90, 0.5, whole=True)
    {'min': 0, 'max': 127}
    >>> _range(0.0, 0.9, 0.5, whole=False)
    {'min': 0.0, 'max': 1.0}
    """
    if low is None or high is None or low == high:
        return {}
    if low >= 0 and high <= 1:
        return {"min": 0, "max": 1} if whole else {"min": 0.0, "max": 1.0}
    reach = margin * (high / 2 - low / 2) * 2
    lower, upper = low - reach, high + reach
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return {}
    step = 10.0 ** (math.floor(math.log10(high - low)) - 1)
    lower = max(0.0, lower) if low >= 0 else lower
    upper = min(0.0, upper) if high <= 0 else upper
    rounded = min(_round(lower, step, math.floor), low), max(_round(upper, step, math.ceil), high)
    if whole:
        return {"min": math.floor(rounded[0]), "max": math.ceil(rounded[1])}
    return {"min": float(rounded[0]), "max": float(rounded[1])}


def _round(value: float, step: float, towards: Any) -> float:
    steps = value / step
    if not math.isfinite(steps) or abs(steps) > 2**53:
        return value
    digits = max(0, -math.floor(math.log10(step)))
    return round(float(towards(steps)) * step, digits)
