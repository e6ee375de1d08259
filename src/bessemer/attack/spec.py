"""What the project file may say under `attack`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from bessemer.attack.gates import AttackGate
from bessemer.attack.plugins import ATTACKS
from bessemer.core.constraints import Constraints
from bessemer.core.errors import did_you_mean
from bessemer.core.plugin_settings import parse_named
from bessemer.core.spec import Share, Spec


def parse_attacks(value: Any) -> dict[str, dict[str, Any]]:
    """`[interval, {pgd: {steps: 40}}]` as a mapping from the name to its settings."""
    return parse_named(value, ATTACKS, "an attack", ", ".join(list(ATTACKS)[:3]))


class AttackSpec(Spec):
    """Which attacks are run; none when nothing is said."""

    attacks: Annotated[
        dict[str, dict[str, Any]],
        BeforeValidator(parse_attacks, json_schema_input_type=list[str | dict[str, Any]]),
    ] = Field(default_factory=dict, description="the attacks, each a name or {name: {setting: value}}")
    rows: int = Field(
        200, ge=1, le=1_000_000, description="how many test rows, drawn at random, are attacked"
    )
    samples: int = Field(
        6,
        ge=0,
        le=100,
        description="attacked rows that are kept, before and after, for each attack; 0 for none",
    )
    confidence: Share = Field(0.95, gt=0, lt=1, description="of the intervals")
    constraints: Constraints = Field(
        default_factory=dict,
        description="by column, what an attacker may change of it: `immutable`, or the settings below",
    )
    gates: dict[str, AttackGate] = Field(
        default_factory=dict,
        description="what an attack may find, by its name: '>= 60% at 0.1', or '>= 60%' at every budget",
    )

    @model_validator(mode="after")
    def _gates_are_of_attacks(self) -> AttackSpec:
        for name in self.gates:
            if name not in self.attacks:
                raise ValueError(
                    f"gates: '{name}' is not among the attacks; {did_you_mean(name, self.attacks)}"
                )
        return self
