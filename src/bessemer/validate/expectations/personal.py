"""No personal data in clear."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from bessemer.core.spec import Share
from bessemer.core.sql import quote
from bessemer.validate.detectors import detect
from bessemer.validate.protocol import ROW, Breach, Subject, WholeExpectation, WholeSettings


class PersonalSettings(WholeSettings):
    allow: tuple[str, ...] = Field(
        default=(), strict=False, description="Columns that may have personal data, after a look at them."
    )
    least: Share = Field(
        default=0.5,
        description="The share of a column's values that have to be of a kind; a fifth of it where the column's name "
        "says the same.",
    )
    values: int = Field(
        default=2_000, ge=10, description="How many different values of a column are looked at."
    )


class Personal(WholeExpectation):
    """`personal`, or `personal: {allow: [support_email]}`: e-mail addresses, phone numbers, accounts, cards, national
    ids and the like, by their values and the names of columns."""

    Settings = PersonalSettings
    short = "allow"

    def title(self) -> str:
        return "personal"

    def columns(self) -> tuple[str, ...]:
        return tuple(self.settings.allow)

    def breaches(self, subject: Subject) -> Iterable[Breach]:
        for name, kind in subject.columns.items():
            if kind in ("BOOLEAN", "DOUBLE") or name in self.settings.allow:
                continue
            if (found := detect(name, self._values(subject, name), self.settings.least)) is not None:
                how = "by its name" if found.share is None else f"{found.share:.0%} of the values looked at"
                yield Breach(
                    name,
                    f"{found.kind}: {how}; `acquire: {{personal: {{{name}: hash}}}}` keeps it out",
                )

    def _values(self, subject: Subject, name: str) -> list[str]:
        """Different values of rows that are spread evenly over the data, the same ones each time."""
        c, wanted = quote(name), self.settings.values
        # at an engine the data is a sample, and `subject.rows` the number of all rows
        rows = subject.connection.execute(f"SELECT count(*) FROM {subject.numbered}").fetchone()[0]
        taken = int(2**32 * min(1.0, 20 * wanted / max(rows, 1)))
        spread = f"{c} IS NOT NULL AND ({ROW} * 2654435761) % 4294967296 < {taken}"
        query = (
            f"SELECT DISTINCT left(CAST({c} AS VARCHAR), 200) AS v FROM {subject.numbered} WHERE {spread} "
            f"ORDER BY md5(v), v LIMIT {wanted}"
        )
        return [value for (value,) in subject.connection.execute(query).fetchall()]
