"""What the options of several sources have in common. The options of each stand in its own file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bessemer.core.spec import Duration, Spec

#: `module:function` in the project's folder.
FUNCTION = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
#: A path as the project file has it: a file, a folder, a glob, a URL.
PathText = Annotated[str, Field(min_length=1)]
Checksum = Annotated[
    str | None,
    Field(
        pattern=r"^(sha256:)?[0-9a-fA-F]{64}$",
        description="The sha256 the file must have; needed for http(s) to be cached.",
    ),
]


class Incremental(Spec):
    """Only what is new is read: the rows whose cursor column is not below the greatest value seen before."""

    cursor: str = Field(
        min_length=1, description="A column that grows as rows come or change, such as updated_at or id."
    )
    key: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Columns that tell rows apart: of several versions of a row the one with the greatest cursor "
        "counts. Without it rows are only ever added, and none changes.",
    )
    overlap: Duration = Field(
        default=0.0,
        description="How far before the greatest time seen it begins to read again, for rows that come late; needs a "
        "cursor of times.",
    )
    full: Duration = Field(
        default=0.0,
        description="How old the last reading of everything may be before everything is read again, as 7d: so that "
        "rows that were deleted are seen. Never by default.",
    )


class IncrementalOptions(Spec):
    """The base of the options of sources that can be asked for what is new (see `protocol.IncrementalSource`)."""

    incremental: Incremental | None = Field(
        default=None,
        description="Read only what is new since the last run, as {cursor: updated_at, key: [id]}; everything in every "
        "run by default.",
    )
