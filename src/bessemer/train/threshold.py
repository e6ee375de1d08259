"""What a project file may say under `train: {threshold: ...}`: when the model says positive."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from bessemer.core.costs import CostsSpec
from bessemer.core.spec import Share, Spec


def _with_objective(value: Any) -> Any:
    """`threshold: f1` is `{objective: f1}`; `threshold: 0.3` is `{value: 0.3}`."""
    if isinstance(value, str):
        return {"objective": value}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"value": float(value)}
    return value


class ThresholdSpec(Spec):
    """Which probability makes a positive; chosen on the validation rows, and shipped inside the graph."""

    value: float | None = Field(None, gt=0, lt=1, description="the threshold itself")
    objective: Literal["accuracy", "balanced_accuracy", "f1", "mcc", "cost"] | None = Field(
        None, description="what the threshold makes greatest (cost: least); accuracy where there are `groups`"
    )
    costs: CostsSpec | None = Field(None, description="for the objective `cost`: what each outcome costs")
    groups: list[str] = Field(
        default_factory=list,
        max_length=3,
        description="columns whose groups (of all of them together) have a threshold each; inputs of the model then",
    )
    bins: dict[str, list[float]] = Field(
        default_factory=dict,
        description="where a column of numbers is cut into groups; at its quartiles else",
    )
    fair: Literal["demographic_parity", "equal_opportunity", "equalised_odds"] | None = Field(
        None, description="what the thresholds of the groups keep together on the validation rows"
    )
    tolerance: Share = Field(0.02, description="by how much that may differ between the groups there")

    @model_validator(mode="after")
    def _consistent(self) -> ThresholdSpec:
        if self.value is not None and (self.objective or self.groups):
            raise ValueError(
                "a threshold is given by `value`, or chosen for an `objective`: keep one of them"
            )
        if (self.objective == "cost") != (self.costs is not None):
            raise ValueError("the objective `cost` and `costs` belong together: say both, or neither")
        if self.fair is not None and not self.groups:
            raise ValueError("fair: say between which groups: `groups: [sex]`")
        if self.groups and self.objective == "mcc":
            raise ValueError(
                "mcc cannot be made greatest group by group: say accuracy, balanced_accuracy, f1 or cost"
            )
        if unknown := [name for name in self.bins if name not in self.groups]:
            raise ValueError(f"bins: '{unknown[0]}' is not one of the groups")
        return self

    @property
    def wanted(self) -> str:
        """The objective that is meant."""
        return self.objective or "accuracy"


Threshold = Annotated[ThresholdSpec | None, BeforeValidator(_with_objective)]
