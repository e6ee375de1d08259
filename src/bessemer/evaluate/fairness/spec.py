"""What a project file may say about fairness, costs and their gates."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from bessemer.core.spec import Spec


class FairnessSpec(Spec):
    """The groups between which decisions and errors are compared."""

    groups: list[str] = Field(
        min_length=1,
        description="Columns of the data, inputs of the model or not; `prepare: {exclude: [...]}` keeps one out of it.",
    )
    bins: dict[str, list[float]] = Field(
        default_factory=dict,
        description="Where a column of numbers is cut, as `{age: [30, 50]}`; at its quartiles when nothing is said.",
    )
    favourable: bool | int | float | str | None = Field(
        None,
        description="The class that people want to get; of two classes the positive one when nothing is said.",
    )
    intersections: bool = Field(True, description="Judge each two of the columns together, too.")
    proxies: bool = Field(True, description="Look for input columns that give a group away.")

    @field_validator("groups")
    @classmethod
    def _once_each(cls, value: list[str]) -> list[str]:
        return list(dict.fromkeys(value))

    @model_validator(mode="after")
    def _bins_are_of_groups(self) -> FairnessSpec:
        if unknown := [name for name in self.bins if name not in self.groups]:
            raise ValueError(f"bins: '{unknown[0]}' is not one of the groups")
        if empty := [name for name, edges in self.bins.items() if not edges]:
            raise ValueError(f"bins: '{empty[0]}' is cut nowhere: give numbers, or leave it out")
        return self


def with_groups(value: Any) -> Any:
    """`fairness: [sex]` is `{groups: [sex]}`."""
    return {"groups": value} if isinstance(value, list | tuple) else value


Fairness = Annotated[FairnessSpec | None, BeforeValidator(with_groups)]
