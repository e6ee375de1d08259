"""What a project file may say under `profile`."""

from __future__ import annotations

from pydantic import Field, field_validator

from bessemer.core.spec import Share, Spec

#: Of fewer kept rows trees would learn next to nothing: a window is told from them on one half of both.
LEAST_ROWS = 200


class ProfileSpec(Spec):
    """What monitoring will compare against: sketches of inputs and outputs, and calibrated limits."""

    window: int = Field(
        1000, ge=50, le=10_000_000, description="Rows in a window that monitoring will compare."
    )
    false_alarm: Share = Field(
        0.01,
        gt=0,
        lt=0.5,
        description="Share of windows without any change in which at least one column alarms.",
    )
    bins: int = Field(
        256, ge=2, le=256, description="Bins of a numeric sketch, cut at the reference's quantiles."
    )
    categories: int = Field(
        100, ge=2, le=1000, description="Most frequent values that a text sketch counts one by one."
    )
    groups: int = Field(
        10,
        ge=2,
        le=50,
        description="Groups of bins or values that the drift limit compares; fewer find less and surer.",
    )
    confidence: Share = Field(
        0.95, gt=0.5, lt=1, description="Confidence of the intervals of the performance."
    )
    replicates: int = Field(200, ge=20, le=10_000, description="Bootstrap resamples behind those intervals.")
    rows: int = Field(
        0,
        ge=0,
        le=20_000,
        description="Training rows, coded, that travel in the package for the domain classifier: 200 or more, or none "
        "(0, the default).",
    )

    @field_validator("rows")
    @classmethod
    def _enough(cls, rows: int) -> int:
        if 0 < rows < LEAST_ROWS:
            raise ValueError(
                f"{rows} rows are too few for a classifier to learn from: say {LEAST_ROWS} or more, or 0"
            )
        return rows
