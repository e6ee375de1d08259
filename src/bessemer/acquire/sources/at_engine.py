"""A table that is at the engine already: nothing is brought."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from pydantic import Field

from bessemer.acquire.protocol import Place, Relation
from bessemer.core.errors import DataError
from bessemer.core.spec import Spec

if TYPE_CHECKING:
    from bessemer.core.stage import Context


class AtEngineSource(Spec):
    at_engine: str = Field(
        pattern=r"^[^.`\"\s]+(\.[^.`\"\s]+)*$",
        description="A table or view of the engine's own catalog: TABLE, SCHEMA.TABLE or CATALOG.SCHEMA.TABLE.",
    )


class TableAtEngine:
    """Only engines that find it can read it. Whether it changed nobody says, so it is read in each run."""

    def __init__(self, name: str, options: AtEngineSource) -> None:
        self.name, self.options = name, options

    def uri(self) -> str:
        return self.options.at_engine

    def fingerprint(self, place: Place) -> str:
        return f"always:{secrets.token_hex(8)}"

    def open(self, connection: Any, ctx: Context) -> Relation:
        raise DataError(
            f"source '{self.name}' is a table of an engine's own catalog, which this engine does not have",
            why="`at_engine` names a table where the SQL runs",
            fix="name the engine, as `acquire: {engine: spark}`; with `acquire.personal` no source is read in place",
        )
