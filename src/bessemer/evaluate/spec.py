"""What a project file may say under `evaluate`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from bessemer.core.spec import Share, Spec

OPERATORS = (">=", ">", "<=", "<")
_REQUIREMENT = re.compile(
    r"\s*([<>=!~]+)?\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*(%)?\s*"
)


def parse_requirement(text: str) -> tuple[str, float]:
    """The operator and the number of a gate.

    >>> parse_requirement(">= 70%")
    ('>=', 0.7)
    """
    found = _REQUIREMENT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a gate\nwrite an operator and a number, as '>= 0.70'")
    operator, number, percent = found.groups()
    if operator not in OPERATORS:
        what = f"{operator!r} is not an operator of a gate" if operator else f"{text!r} has no operator"
        raise ValueError(f"{what}\nwrite one of {', '.join(OPERATORS)}, as '>= {number}{percent or ''}'")
    return operator, float(number) / (100 if percent else 1)


def _requirement(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    parse_requirement(text)
    return text


Requirement = Annotated[str, BeforeValidator(_requirement, json_schema_input_type=str)]
Opponent = Literal["constant", "linear", "champion"]


class Gates(Spec):
    """What a model must reach before it is packaged."""

    beats: tuple[Opponent, ...] = Field(
        ("constant", "linear"),
        description="Opponents on the same test rows: constant (must be beaten for certain), linear and champion "
        "(must not be better for certain). champion passes while there is none.",
    )
    roc_auc: Requirement | None = Field(None, description="Classification: as '>= 0.70'.")
    average_precision: Requirement | None = Field(None, description="Binary: as '>= 0.40'.")
    log_loss: Requirement | None = Field(None, description="Classification: as '<= 0.45'.")
    brier: Requirement | None = Field(None, description="Classification: as '<= 0.15'.")
    accuracy: Requirement | None = Field(None, description="Classification: as '>= 80%'.")
    balanced_accuracy: Requirement | None = Field(None, description="Classification: as '>= 70%'.")
    precision: Requirement | None = Field(None, description="Binary, at the threshold 0.5: as '>= 0.6'.")
    recall: Requirement | None = Field(None, description="Binary, at the threshold 0.5: as '>= 0.5'.")
    f1: Requirement | None = Field(None, description="Binary, at the threshold 0.5: as '>= 0.5'.")
    f1_macro: Requirement | None = Field(None, description="Multiclass: as '>= 0.5'.")
    mcc: Requirement | None = Field(None, description="Classification: as '>= 0.3'.")
    ece: Requirement | None = Field(None, description="Classification, calibration error: as '<= 0.05'.")
    rmse: Requirement | None = Field(None, description="Regression, in the target's unit: as '<= 50000'.")
    mae: Requirement | None = Field(None, description="Regression, in the target's unit: as '<= 30000'.")
    median_ae: Requirement | None = Field(
        None, description="Regression, in the target's unit: as '<= 20000'."
    )
    r2: Requirement | None = Field(None, description="Regression: as '>= 0.8'.")
    smape: Requirement | None = Field(None, description="Regression: as '<= 20%'.")
    explained_variance: Requirement | None = Field(None, description="Regression: as '>= 0.8'.")

    @field_validator("beats")
    @classmethod
    def _once_each(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value))

    def requirements(self) -> dict[str, str]:
        """The metrics that have a requirement, in the order of the table."""
        named = {name: getattr(self, name) for name in type(self).model_fields if name != "beats"}
        return {name: text for name, text in named.items() if text is not None}


class EvaluateSpec(Spec):
    """How the model is judged: metrics with intervals, slices, gates."""

    metrics: tuple[str, ...] = Field(
        (), description="Metrics to compute; all the usual ones of the task when left out."
    )
    slices: tuple[str, ...] = Field(
        (), description="Columns of the data. The main metric is given for each of their values or quarters."
    )
    gates: Gates = Field(Gates(), description="What the model must reach before it is packaged.")
    confidence: Share = Field(
        0.95, gt=0.5, lt=1, description="Confidence of the intervals, above 50 % and below 100 %."
    )
    replicates: int = Field(200, ge=20, le=10_000, description="Bootstrap resamples behind the intervals.")
    champion: str | None = Field(
        None, description="Path of the package that is in production (.bsm), relative to the project file."
    )
    threshold: Literal["f1", "balanced_accuracy", "mcc"] = Field(
        "f1", description="Binary: what the suggested threshold makes greatest on the validation rows."
    )
