"""What the project file may say of windows over a stream."""

from __future__ import annotations

import re

from pydantic import Field, field_validator, model_validator

from bessemer.core.spec import Duration, Spec

_START, _END = "window_start", "window_end"


class WindowsSpec(Spec):
    """Windows of event time: which, of what, and how long they wait for late events."""

    time: str = Field(min_length=1, description="The column with the time of the event.")
    every: Duration = Field(
        gt=0, description="How far apart windows begin, as 5m; they begin at multiples since 1970."
    )
    size: Duration | None = Field(
        default=None, gt=0, description="How long a window is; as long as they are apart by default."
    )
    by: tuple[str, ...] = Field(
        default=(), strict=False, description="Columns: each of their values has its own windows."
    )
    late: Duration = Field(
        default=0.0,
        description="How much earlier than the latest event before it an event may be and still count.",
    )
    columns: dict[str, str] = Field(
        min_length=1, description="Names of columns to SQL aggregates, as {spent: sum(amount)}."
    )

    @field_validator("columns")
    @classmethod
    def _aggregates(cls, columns: dict[str, str]) -> dict[str, str]:
        for name, text in columns.items():
            if reason := _no_aggregate(text):
                raise ValueError(f"'{text}' of '{name}' {reason}")
        return columns

    @model_validator(mode="after")
    def _whole(self) -> WindowsSpec:
        names = [name.lower() for name in (*self.by, *self.columns, _START, _END)]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise ValueError(f"two columns of the windows would be called '{twice}'")
        if self.size is not None and self.size / self.every > 1000:
            raise ValueError("an event would be in more than 1000 windows: let `every` be longer")
        return self

    @property
    def microseconds(self) -> tuple[int, int, int]:
        """`every`, `size` and `late`."""
        size = self.every if self.size is None else self.size
        every, long, late = (round(value * 1_000_000) for value in (self.every, size, self.late))
        return every, long, late


def _no_aggregate(text: str) -> str:
    """Why a text is no SQL aggregate over the columns of a row; '' where it is one.

    >>> _no_aggregate("sum(amount) / count(*)"), _no_aggregate("amount")
    ('', 'is no aggregate: write sum(...), count(*), max(...)')
    """
    import sqlglot
    from sqlglot import exp

    if re.search(r";|--|/\*", text):
        return "is more than one expression"
    try:
        found = sqlglot.parse_one(text, dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        return f"is no SQL: {str(error).splitlines()[0]}"
    if isinstance(found, exp.Query) or found.find(exp.Query, exp.Table, exp.Window):
        return "may only have the columns of one row and aggregates of them"
    if not found.find(exp.AggFunc, exp.Anonymous):
        return "is no aggregate: write sum(...), count(*), max(...)"
    return ""
