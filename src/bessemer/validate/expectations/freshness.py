"""How old the newest value of a column may be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from pydantic import Field

from bessemer.core.errors import ContractError
from bessemer.core.spec import Duration
from bessemer.core.sql import quote
from bessemer.validate.protocol import Breach, Subject, WholeExpectation, WholeSettings


class FreshnessSettings(WholeSettings):
    column: str = Field(min_length=1, description="The column of times.")
    within: Duration = Field(description="How old its newest value may be when the stage runs, as 7d.")
    by: str | None = Field(
        default=None,
        description="A column that says where a row is from, as a source or a shop: each has to be fresh.",
    )
    ahead: Duration | None = Field(
        default=None, description="How far in the future the newest value may be, as 1h; by default any."
    )


class Freshness(WholeExpectation):
    """`freshness: {column: updated_at, within: 1d, by: shop}`."""

    Settings = FreshnessSettings

    def title(self) -> str:
        return f"freshness: {self.settings.column}" + (f" by {self.settings.by}" if self.settings.by else "")

    def columns(self) -> Sequence[str]:
        return (self.settings.column, *([self.settings.by] if self.settings.by else []))

    def breaches(self, subject: Subject) -> Iterable[Breach]:
        name, by = self.settings.column, self.settings.by
        if subject.columns[name] != "TIMESTAMP":
            raise ContractError(
                f"the expectation '{self.name}' is for times, '{name}' has none", fix="name a column of times"
            )
        group = f"CAST({quote(by)} AS VARCHAR)" if by else "NULL"
        newest = f"SELECT {group} AS source, epoch_us(max({quote(name)})) AS newest FROM {subject.relation}"
        now = int(subject.ctx.now().timestamp() * 1_000_000)
        late = f"newest IS NULL OR newest < {now - int(self.settings.within * 1e6)}"
        if self.settings.ahead is not None:
            late += f" OR newest > {now + int(self.settings.ahead * 1e6)}"
        query = f"SELECT source, newest, count(*) OVER () FROM ({newest} GROUP BY 1) WHERE {late}"
        for source, found, count in subject.connection.execute(f"{query} ORDER BY 2, 1 LIMIT 5").fetchall():
            where = f"of {by} {source!r}: " if by else ""
            more = f" ({count:,} are not fresh)" if count > 5 else ""
            yield Breach(name, where + _told(found, now) + more)


def _told(newest: int | None, now: int) -> str:
    if newest is None:
        return "there is none"
    days = (now - newest) / 86_400_000_000
    when = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=newest)
    age = f"{days:,.1f} days old" if days >= 0 else f"{-days:,.1f} days ahead"
    return f"the newest is of {when.isoformat()}, {age}"
