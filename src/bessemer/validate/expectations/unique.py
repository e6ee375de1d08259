"""No two rows with the same key of several columns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pydantic import Field

from bessemer.validate.protocol import RowExpectation, RowSettings, Subject
from bessemer.validate.repeats import repeats


class UniqueSettings(RowSettings):
    columns: tuple[str, ...] = Field(
        min_length=1, strict=False, description="The columns that tell rows apart, together."
    )


class Unique(RowExpectation):
    """`unique: [day, shop]`. A row breaks it whose key an earlier row has; a missing value is equal to none."""

    Settings = UniqueSettings
    short = "columns"

    def title(self) -> str:
        return f"unique: {', '.join(self.settings.columns)}"

    def columns(self) -> Sequence[str]:
        return tuple(self.settings.columns)

    def broken(self, subject: Subject) -> str:
        table = "repeats of " + hashlib.sha256(self.name.encode()).hexdigest()[:16]
        connection, key = subject.connection, self.columns()
        return repeats(connection, subject.relation, subject.numbered, key, table, subject.rows)
