"""How many rows there may be, in numbers and against the accepted snapshot."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field, model_validator

from bessemer.core.spec import Share
from bessemer.validate.protocol import Breach, Subject, WholeExpectation, WholeSettings


class RowCountSettings(WholeSettings):
    within: Share | None = Field(
        default=None, description="How far from the accepted snapshot's number of rows it may be, as 20%."
    )
    min: int | None = Field(default=None, ge=0, description="The fewest rows.")
    max: int | None = Field(default=None, ge=0, description="The most rows.")

    @model_validator(mode="after")
    def _something(self) -> RowCountSettings:
        if self.within is None and self.min is None and self.max is None:
            raise ValueError("nothing is asked: set `within`, `min` or `max`")
        return self


class RowCount(WholeExpectation):
    """`row_count: 20%`: as many rows as the accepted snapshot has, 20 % more or less; or `{min: 1000, max: 9000}`."""

    Settings = RowCountSettings
    short = "within"

    def title(self) -> str:
        return "row_count"

    def compares(self) -> bool:
        return self.settings.within is not None

    def breaches(self, subject: Subject) -> Iterable[Breach]:
        settings, rows = self.settings, subject.rows
        if settings.min is not None and rows < settings.min:
            yield Breach("", f"{rows:,} rows, the contract says at least {settings.min:,}")
        if settings.max is not None and rows > settings.max:
            yield Breach("", f"{rows:,} rows, the contract says at most {settings.max:,}")
        if settings.within is not None and subject.accepted is not None:
            before = subject.accepted.rows
            if abs(rows - before) > settings.within * before:
                change = f"{rows / before - 1:+.1%}" if before else "from none"
                yield Breach(
                    "",
                    f"{rows:,} rows, {change} against the {before:,} accepted; {settings.within:.0%} may be",
                )
