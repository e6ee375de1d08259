"""What the project file may say under `validate`."""

from __future__ import annotations

from pydantic import Field

from bessemer.core.spec import Share, Spec


class ValidateSpec(Spec):
    contract: str | None = Field(
        default="contract.yaml",
        min_length=1,
        description="The data contract, relative to the project file. Where it does not exist it is inferred and "
        "written; from then on it is enforced. null: neither.",
    )
    quarantine: Share = Field(
        default=0.01,
        description="The largest share of rows that may break the contract before the run stops.",
    )
    margin: Share = Field(
        default=0.5,
        description="How far an inferred range reaches beyond the values seen, as a share of their span.",
    )
