"""Numbers of which none is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import Field

from bessemer.core.errors import ContractError
from bessemer.core.sql import quote
from bessemer.validate.protocol import Breach, Subject, WholeExpectation, WholeSettings


class NoGapsSettings(WholeSettings):
    column: str = Field(min_length=1, description="The column of whole numbers.")
    step: int = Field(default=1, gt=0, description="How far one is from the next.")


class NoGaps(WholeExpectation):
    """`no_gaps: invoice`: each number from the smallest to the largest is there."""

    Settings = NoGapsSettings
    short = "column"

    def title(self) -> str:
        return f"no_gaps: {self.settings.column}"

    def columns(self) -> Sequence[str]:
        return (self.settings.column,)

    def breaches(self, subject: Subject) -> Iterable[Breach]:
        name, step = self.settings.column, self.settings.step
        if subject.columns[name] != "BIGINT":
            raise ContractError(
                f"the expectation '{self.name}' is for whole numbers, '{name}' has none",
                fix="take it out of the contract",
            )
        c = quote(name)
        values = f"SELECT DISTINCT {c} AS v FROM {subject.relation} WHERE {c} IS NOT NULL"
        after = f"SELECT v, lead(v) OVER (ORDER BY v) AS following FROM ({values})"
        ends = f"CAST(following AS HUGEINT) - v <> {step}"
        query = f"SELECT v, following, count(*) OVER () FROM ({after}) WHERE {ends} ORDER BY v LIMIT 1"
        if (found := subject.connection.execute(query).fetchone()) is not None:
            first, following, gaps = found
            more = f" and {gaps - 1:,} more" if gaps > 1 else ""
            yield Breach(name, f"after {first} comes {following}{more}")
