"""What sources that are databases have in common: a table or a query, and the nearest name where there is none."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, model_validator

from bessemer.acquire.options import IncrementalOptions
from bessemer.core.errors import DataError, did_you_mean


class TableOptions(IncrementalOptions):
    """The options of a database that are the same for all.

    >>> TableOptions(table="orders").query is None
    True
    """

    table: str | None = Field(
        default=None,
        min_length=1,
        description="The table or view to read; the only one there is, by default.",
    )
    query: str | None = Field(default=None, min_length=1, description="Or a query in the database's own SQL.")

    @model_validator(mode="after")
    def _one_of(self) -> TableOptions:
        if self.table and self.query:
            raise ValueError("give `table` or `query`, not both")
        return self


def pick(wanted: str | None, tables: Sequence[str], where: str) -> str:
    """The table to read: the one named, or the only one.

    Args:
        tables: what there is. where: what is shown of the database.

    Raises:
        DataError: there is none of the name, or several and none is named.

    >>> pick(None, ["orders"], "shop")
    'orders'
    """
    if wanted is None and len(tables) == 1:
        return tables[0]
    if wanted is not None and wanted in tables:
        return wanted
    if wanted is not None:
        raise DataError(
            f"no table '{wanted}' in '{where}'",
            fix=did_you_mean(wanted, tables) if tables else "there are no tables",
        )
    shown = ", ".join(sorted(tables)[:20])
    raise DataError(
        f"{len(tables)} tables in '{where}', and none is named",
        fix=f"`table:` one of {shown}" if tables else "`table: NAME`",
    )
