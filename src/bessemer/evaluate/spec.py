"""What a project file may say under `evaluate`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from bessemer.core.costs import CostsSpec
from bessemer.core.requirement import Requirement
from bessemer.core.spec import Share, Spec
from bessemer.evaluate.fairness.spec import Fairness

Opponent = Literal["constant", "linear", "champion"]


class FairnessGates(Spec):
    """What must hold between the groups of `fairness`: the worst of its columns decides."""

    disparate_impact: Requirement | None = Field(None, description="Classification: as '>= 0.8'.")
    demographic_parity: Requirement | None = Field(None, description="Classification: as '<= 10%'.")
    equal_opportunity: Requirement | None = Field(None, description="Classification: as '<= 10%'.")
    equalised_odds: Requirement | None = Field(None, description="Classification: as '<= 10%'.")
    predictive_parity: Requirement | None = Field(None, description="Classification: as '<= 10%'.")
    calibration_gap: Requirement | None = Field(None, description="Classification: as '<= 5%'.")
    accuracy_equality: Requirement | None = Field(None, description="Classification: as '<= 5%'.")
    mean_error: Requirement | None = Field(
        None, description="Regression, in the target's unit: as '<= 1000'."
    )
    mae: Requirement | None = Field(None, description="Regression, in the target's unit: as '<= 1000'.")
    mae_ratio: Requirement | None = Field(None, description="Regression: as '>= 0.8'.")
    mean_prediction: Requirement | None = Field(
        None, description="Regression, in the target's unit: as '<= 1000'."
    )

    intersections: bool = Field(
        False, description="Judge each two of the columns together, too; small groups differ by chance."
    )

    def requirements(self) -> dict[str, str]:
        """The criteria that have a requirement."""
        return {name: text for name, text in dict(self).items() if isinstance(text, str)}


class MetricGates(Spec):
    """What the metrics of a target must reach."""

    roc_auc: Requirement | None = Field(None, description="Classification: as '>= 0.70'.")
    average_precision: Requirement | None = Field(None, description="Binary: as '>= 0.40'.")
    log_loss: Requirement | None = Field(None, description="Classification: as '<= 0.45'.")
    brier: Requirement | None = Field(None, description="Classification: as '<= 0.15'.")
    accuracy: Requirement | None = Field(None, description="Classification: as '>= 80%'.")
    balanced_accuracy: Requirement | None = Field(None, description="Classification: as '>= 70%'.")
    precision: Requirement | None = Field(
        None, description="Binary, at the threshold that ships: as '>= 0.6'."
    )
    recall: Requirement | None = Field(None, description="Binary, at the threshold that ships: as '>= 0.5'.")
    f1: Requirement | None = Field(None, description="Binary, at the threshold that ships: as '>= 0.5'.")
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

    def requirements(self) -> dict[str, str]:
        """The metrics that have a requirement, in the order of the table."""
        named = {name: getattr(self, name) for name in MetricGates.model_fields}
        return {name: text for name, text in named.items() if text is not None}


class Gates(MetricGates):
    """What a model must reach before it is packaged."""

    beats: tuple[Opponent, ...] = Field(
        ("constant", "linear"),
        description="Opponents on the same test rows: constant (must be beaten for certain), linear and champion "
        "(must not be better for certain). champion passes while there is none.",
    )

    fairness: FairnessGates | None = Field(
        None,
        description="What must hold between the groups of `fairness`, as `{disparate_impact: '>= 0.8'}`.",
    )
    targets: dict[str, MetricGates] = Field(
        {},
        description="Several targets: what the metrics of those beside the main one must reach.",
        examples=[{"spend": {"rmse": "<= 20"}}],
    )

    @field_validator("beats")
    @classmethod
    def _once_each(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value))


class FindSlices(Spec):
    """The search for slices where the model is worst."""

    columns: list[str] = Field(
        [], description="Columns to search; those the model reads and those of `slices` when left out."
    )
    loss: Literal["auto", "log_loss", "error", "squared", "absolute"] = Field(
        "auto",
        description="The loss of a row: `log_loss` or `error` (0 or 1) for classes, `squared` or `absolute` for "
        "numbers; `auto` takes the first of them.",
    )
    depth: int = Field(3, ge=1, le=3, description="The most columns of a slice.")
    bins: int = Field(5, ge=2, le=20, description="Ranges that numbers and timestamps are cut into.")
    values: int = Field(
        10, ge=1, le=50, description="Values of a text column that stand alone; rarer ones stand together."
    )
    smallest: Share = Field(
        0.01,
        gt=0,
        lt=0.5,
        description="The least share of the rows of a slice, and never below about 60 rows.",
    )
    most: int = Field(10, ge=1, le=50, description="Slices that are proposed and tested.")


def _switch(value: Any) -> Any:
    """`find_slices: true` has all defaults, `false` is off."""
    return {} if value is True else None if value is False else value


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
    fairness: Fairness = Field(
        None,
        description="Columns of groups between which decisions and errors are compared, or the settings below.",
        examples=[["sex", "race"]],
    )
    costs: CostsSpec | None = Field(
        None,
        description="Binary: what each outcome of a decision costs; those of `train.threshold` when left out.",
        examples=[{"false_positive": 1, "false_negative": 5}],
    )
    find_slices: Annotated[
        FindSlices | None, BeforeValidator(_switch, json_schema_input_type=bool | FindSlices | None)
    ] = Field(
        FindSlices(), description="Search for the slices where the model is worst; `false` leaves it out."
    )
    find_duplicates: bool = Field(
        True, description="Look for test rows that stand in the training rows too, or nearly."
    )
    find_label_errors: bool = Field(True, description="Look for test rows whose label looks wrong.")
    compare_parts: bool = Field(
        True, description="Compare weak slices with the rest, and rows by which of two models is right."
    )

    @model_validator(mode="after")
    def _gates_have_groups(self) -> EvaluateSpec:
        if self.gates.fairness is not None and self.fairness is None:
            raise ValueError("gates.fairness: say between which groups: `fairness: [sex]`")
        return self
