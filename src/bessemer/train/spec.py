"""What the project file may say under `train`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from bessemer.core.errors import did_you_mean
from bessemer.core.spec import Spec
from bessemer.train.plugins import LEARNERS


class TrainSpec(Spec):
    """How the model is trained."""

    learner: str = Field(
        "auto",
        description="`auto` (fits `linear` and `lightgbm`, ships the better one on the validation rows), "
        "`lightgbm`, `linear` or `constant`",
    )
    params: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="parameters of the named learner; not with `auto`"
    )
    metric: str = Field(
        "auto",
        description="what early stopping and `auto` judge by on the validation rows; `auto` is log_loss for "
        "classes and rmse for numbers",
        examples=["log_loss", "roc_auc", "accuracy", "rmse", "mae"],
    )
    rounds: int = Field(2000, ge=1, le=1_000_000, description="the most boosting rounds")
    early_stopping: int = Field(
        50, ge=0, description="stop after this many rounds without a better metric; 0 never stops early"
    )
    class_weight: Literal["none", "balanced"] | dict[bool | int | float | str, float] = Field(
        "none", description="`none`, `balanced` (rare classes count more), or a weight for each class"
    )
    calibrate: Literal["auto", "none", "sigmoid"] = Field(
        "auto",
        description="`sigmoid`: Platt scaling (two classes) or temperature scaling (more), fitted on the "
        "validation rows; `auto` keeps it only where it helps under cross-validation",
    )
    checkpoint: int = Field(
        100,
        ge=1,
        description="save the boosting every so many rounds, so that a killed run goes on from there",
    )

    @field_validator("learner")
    @classmethod
    def _known_learner(cls, learner: str) -> str:
        known = ("auto", *LEARNERS.names())
        if learner not in known:
            raise ValueError(f"no learner '{learner}'\n{did_you_mean(learner, known)}")
        return learner

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, metric: str) -> str:
        if metric != "auto" and metric not in (metrics := ("auto", *metric_names())):
            raise ValueError(f"no metric '{metric}'\n{did_you_mean(metric, metrics, 40)}")
        return metric

    @model_validator(mode="after")
    def _params_fit_the_learner(self) -> TrainSpec:
        if self.learner == "auto" and self.params:
            raise ValueError(
                "params: say which learner they are for: `learner: lightgbm` (`auto` tries several)"
            )
        if wrong := params_faults(self.learner, self.params):
            raise ValueError("; ".join(wrong))
        if isinstance(self.class_weight, dict) and any(not w > 0 for w in self.class_weight.values()):
            raise ValueError("class_weight: every weight must be above 0")
        return self


def params_faults(learner: str, params: dict[str, Any]) -> list[str]:
    """What is wrong with the learner's parameters, a text each. A learner that is missing says so when it runs."""
    from bessemer.train.params import faults_of

    if not params or learner == "auto" or LEARNERS.ref(learner).missing():
        return []
    rows = faults_of(LEARNERS.load(learner).PARAMS, params)
    return [f"params.{name}: {what}" + (f"; {fix}" if fix else "") for name, what, fix in rows]


def metric_names() -> tuple[str, ...]:
    """The metrics of all tasks."""
    from bessemer.stats.metrics.table import METRICS

    return tuple(dict.fromkeys(name for metrics in METRICS.values() for name in metrics))
