"""What a project file may say about the package."""

from __future__ import annotations

from pydantic import Field

from bessemer.core.spec import Spec


class PackageSpec(Spec):
    """How the model package is made."""

    ignore_gates: bool = Field(
        False, description="Package the model although it failed a gate; the model card says so."
    )
    parity_rows: int = Field(
        2000,
        ge=1,
        description="Test rows on which the graph is held against the trained model; all where there are fewer.",
    )
    sample: int = Field(
        5,
        ge=0,
        le=100,
        description="Rows of the test data put into the package to try the model with; 0 for none.",
    )
