"""Values that grow from row to row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pydantic import Field

from bessemer.core.sql import quote
from bessemer.validate.protocol import ROW, RowExpectation, RowSettings, Subject


class IncreasingSettings(RowSettings):
    column: str = Field(min_length=1, description="The column whose values grow in the order of the rows.")
    within: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Columns whose values make series of their own, as a sensor's name.",
    )
    strict: bool = Field(default=False, description="Whether a value equal to the one before breaks it.")


class Increasing(RowExpectation):
    """`increasing: reading_time`. A row breaks it whose value is below that of the row before; missing ones do not."""

    Settings = IncreasingSettings
    short = "column"

    def title(self) -> str:
        within = f" within {', '.join(self.settings.within)}" if self.settings.within else ""
        return f"increasing: {self.settings.column}{within}"

    def columns(self) -> Sequence[str]:
        return (self.settings.column, *self.settings.within)

    def broken(self, subject: Subject) -> str:
        c, table = (
            quote(self.settings.column),
            quote("out of order " + hashlib.sha256(self.name.encode()).hexdigest()[:16]),
        )
        series = ", ".join(quote(name) for name in self.settings.within)
        parts = f"PARTITION BY {series} " if series else ""
        worse = "<=" if self.settings.strict else "<"
        before = f"SELECT {ROW}, {c} AS v, lag({c}) OVER ({parts}ORDER BY {ROW}) AS earlier"
        subject.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {ROW} FROM "
            f"({before} FROM {subject.numbered} WHERE {c} IS NOT NULL) WHERE v {worse} earlier"
        )
        return f"{ROW} IN (SELECT {ROW} FROM {table})"
