"""What the project file may say about marked answers: `serve: ownership:`."""

from __future__ import annotations

from pydantic import Field

from bessemer.core.spec import Share, Spec


class OwnershipSpec(Spec):
    """How often answers are wrong on purpose.

    >>> OwnershipSpec(key="answers.key").share
    0.005
    """

    share: Share = Field(
        0.005, gt=0, le=0.1, description="Of all rows, how many are answered with a wrong class."
    )
    key: str = Field(
        min_length=1, description="The file with the key, at least 16 random bytes, kept by you."
    )
    digits: int = Field(
        3,
        ge=1,
        le=9,
        description="Significant digits of a number that count: rows that differ later are one row.",
    )
