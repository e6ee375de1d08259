"""Timestamps: the calendar parts that vary, written in the same SQL that derived features use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bessemer.core.signature import DType
from bessemer.prepare import expressions
from bessemer.prepare.transforms.base import Block, CrossFit, Feature, TrainColumn

if TYPE_CHECKING:
    from bessemer.package.graph import GraphBuilder
    from bessemer.prepare.spec import PrepareSpec

#: encoding -> (SQL over the column `t`, meaning). From year to day each adds what the others do not have.
PARTS: Mapping[str, tuple[str, str]] = {
    "hour": ("extract(hour from t)", "hour of the day, 0 to 23"),
    "weekday": ("extract(isodow from t)", "day of the week, 1 (Monday) to 7"),
    "day": ("extract(day from t)", "day of the month, 1 to 31"),
    "yearday": ("extract(doy from t)", "day of the year, 1 to 366"),
    "month": ("extract(month from t)", "month, 1 to 12"),
    "days": ("date_diff('day', TIMESTAMP '1970-01-01', t)", "days since 1970-01-01"),
}


def _parse(part: str) -> Any:
    return expressions.parse(part, PARTS[part][0], {"t": "timestamp"})


@dataclass(frozen=True)
class FittedTimestamp:
    parts: tuple[str, ...]
    features: tuple[Feature, ...]
    crossfit: CrossFit | None = None

    def add(self, builder: GraphBuilder, value: str) -> Block:
        made = [expressions.compile(_parse(part), builder, {"t": value}) for part in self.parts]
        joined = made[0] if len(made) == 1 else builder.op("Concat", made, axis=1)
        return Block(builder.cast(joined, "float32"))


class Timestamp:
    """Calendar parts in UTC, NaN where the time is missing.

    A part that is the same in every row of the train part is left out, and so are the days since 1970 of the
    column that the data is split by: the rows to predict lie beyond all that were seen.
    """

    dtypes: ClassVar[tuple[DType, ...]] = ("timestamp",)
    encodings: ClassVar[tuple[str, ...]] = tuple(PARTS)
    portable: ClassVar[bool] = True

    def fit(
        self, column: TrainColumn, spec: PrepareSpec, encode: Sequence[str] | None
    ) -> FittedTimestamp | None:
        parts = tuple(encode) if encode else self._varying(column)
        if not parts:
            return None
        name = column.column.name
        features = tuple(
            Feature(f"{name}: {part}", name, "calendar", f"{PARTS[part][1]}, of {name}") for part in parts
        )
        return FittedTimestamp(parts, features)

    def _varying(self, column: TrainColumn) -> tuple[str, ...]:
        parts = [part for part in PARTS if not (part == "days" and column.orders_split)]
        found = (_parse(part).sql for part in parts)
        ranges = ", ".join(f"min({sql}) < max({sql}) AS varies{i}" for i, sql in enumerate(found))
        (varies,) = column.query(f"SELECT {ranges} FROM (SELECT {column.x} AS t FROM {column.table})")
        return tuple(part for part, flag in zip(parts, varies, strict=True) if flag)
