"""What the train part says about the values of an input: its field in the signature."""

from __future__ import annotations

import datetime as dt
from typing import Any

from bessemer.core.signature import DType, Field, Tensor
from bessemer.prepare.kinds import Profile
from bessemer.prepare.transforms.base import TrainColumn

#: Categories are listed up to this many.
MOST_CATEGORIES = 50


def domain_of(column: TrainColumn, facts: Profile, limit: int) -> dict[str, Any]:
    """What is known of an input's values, from at most `limit` levels (more than MOST_CATEGORIES + 1):
    {"min", "max"} (timestamps as ISO 8601), {"categories"} most frequent first, or {}."""
    if facts.present == 0:
        return {}
    dtype = column.column.dtype
    if dtype == "string":
        if facts.distinct > 2 * MOST_CATEGORIES:
            return {}
        found = [value for value, _ in column.levels(column.x, limit) if value is not None]
        return {"categories": found} if len(found) <= MOST_CATEGORIES else {}
    return {} if dtype == "boolean" else {"min": _plain(facts.low), "max": _plain(facts.high)}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.datetime) else value


def field(name: str, dtype: DType, *, wide: bool, nullable: bool, domain: dict[str, Any]) -> Field:
    """The input's field; `wide` asks for float64 where the graph computes with an exact number."""
    tensors: dict[DType, Tensor] = {"string": "string", "timestamp": "int64"}
    number: Tensor = "float64" if wide and dtype in ("integer", "number") else "float32"
    return Field(name, dtype, tensors.get(dtype, number), nullable, (), domain)
