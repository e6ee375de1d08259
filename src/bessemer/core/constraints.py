"""What an attacker may change of a raw column, and what it costs him."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from bessemer.core.errors import Fault, did_you_mean
from bessemer.core.spec import Spec

#: Types of landed columns that are numbers.
_NUMBERS = ("BIGINT", "DOUBLE")
#: Kinds of features that a category or a flag becomes; a column that becomes others too stays as it is.
OF_LEVELS = frozenset({"boolean", "indicator", "frequency", "rank", "target_mean"})


class Limit(Spec):
    """What an attacker may do to one column; by default whatever the training rows have of it, but not missing.

    >>> Limit(increase_only=True, cost=2.0).immutable
    False
    """

    immutable: bool = Field(False, description="whether the column stays as it is")
    min: float | None = Field(
        None, allow_inf_nan=False, description="the least value; by default that of the training rows"
    )
    max: float | None = Field(
        None, allow_inf_nan=False, description="the greatest value; by default that of the training rows"
    )
    increase_only: bool = Field(False, description="whether it may only become more")
    decrease_only: bool = Field(False, description="whether it may only become less")
    missing: bool = Field(
        False, description="whether a value may be left out, or filled in where it is missing"
    )
    cost: float = Field(1.0, gt=0, le=1e6, description="what a change of this column counts in the distance")

    @model_validator(mode="after")
    def _can_be(self) -> Limit:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        if self.increase_only and self.decrease_only:
            raise ValueError("increase_only and decrease_only: write `immutable` where neither is allowed")
        return self


def _parsed(value: Any) -> Any:
    return {"immutable": True} if value == "immutable" else value


Constraints = dict[str, Annotated[Limit, BeforeValidator(_parsed, json_schema_input_type=str | Limit)]]


def faults(constraints: Mapping[str, Limit], columns: Mapping[str, str], path: str) -> Iterator[Fault]:
    """What is wrong with constraints on landed columns of these types (name -> SQL type).

    path: where in the project file they stand: 'attack.constraints'.
    """
    for name, limit in constraints.items():
        where = f"{path}.{name}"
        if name not in columns:
            yield Fault(where, None, f"no column '{name}'", did_you_mean(name, columns))
            continue
        asked = [key for key in ("min", "max") if getattr(limit, key) is not None]
        asked += [key for key in ("increase_only", "decrease_only") if getattr(limit, key)]
        if asked and columns[name] not in _NUMBERS:
            what = f"'{name}' is no number ({columns[name]}), so it takes no `{asked[0]}`"
            yield Fault(where, None, what, "write `immutable`, or `cost`")
