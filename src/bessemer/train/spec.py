"""What the project file may say under `train`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from bessemer.core.errors import did_you_mean
from bessemer.core.plugin_settings import Named, parse_named
from bessemer.core.spec import Duration, Share, Spec
from bessemer.train.comparators.plugins import COMPARATORS, compared_only
from bessemer.train.outliers.plugins import OUTLIERS, USUAL
from bessemer.train.plugins import LEARNERS
from bessemer.train.private import PrivateSpec, parse_private, private_fault
from bessemer.train.robust import parse_robust, robust_fault, with_robust
from bessemer.train.search.plugins import SEARCHERS
from bessemer.train.threshold import Threshold


class AutoMLSpec(Spec):
    """A portfolio of learners, a search and an ensemble, within a budget."""

    budget: Duration = Field(
        120.0,
        gt=0,
        description="seconds (or 90s, 2m, 1h) for the whole stage: wall clock, or CPU time where that is less",
    )
    learners: list[str] = Field(
        default_factory=list, description="the learners to try; all that are installed when nothing is said"
    )
    members: int = Field(
        5, ge=1, le=20, description="the most members of the ensemble; 1 ships a single model"
    )
    folds: Literal["auto"] | Annotated[int, Field(ge=2, le=20)] = Field(
        "auto", description="folds of the bags; `auto` is 8 below 3,000 rows, 5 below 50,000, else 3"
    )
    search: str = Field(
        "tpe",
        description="how the time after the portfolio is searched: `tpe`, `random`, `grid`, `hyperband`, `asha`, "
        "`cmaes`, `population`, or `none`",
    )
    trials: int | None = Field(
        None, ge=1, description="the most trials of the search; no limit but the budget"
    )
    distill: str | None = Field(
        None,
        description="ship one small model of this learner that learnt what the ensemble says, instead of the ensemble",
        examples=["lightgbm"],
    )

    @field_validator("learners")
    @classmethod
    def _known_learners(cls, learners: list[str]) -> list[str]:
        for name in learners:
            if name not in LEARNERS.names():
                raise ValueError(_no_learner(name, LEARNERS.names()))
        return learners

    @field_validator("distill")
    @classmethod
    def _known_student(cls, distill: str | None) -> str | None:
        if distill is not None and distill not in LEARNERS.names():
            raise ValueError(_no_learner(distill, LEARNERS.names()))
        return distill

    @field_validator("search")
    @classmethod
    def _known_search(cls, search: str) -> str:
        known = ("none", *SEARCHERS.names())
        if search not in known:
            raise ValueError(f"no searcher '{search}'\n{did_you_mean(search, known)}")
        return search


def _no_learner(name: str, known: Iterable[str]) -> str:
    return compared_only(name) or f"no learner '{name}'\n{did_you_mean(name, known)}"


def _with_budget(value: Any) -> Any:
    """`automl: 2m` is `automl: {budget: 2m}`; `automl: true` has all defaults."""
    if value is True:
        return {}
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return {"budget": value}
    return value


class LearningCurveSpec(Spec):
    """The chosen learner on growing parts of the training rows."""

    sizes: list[Annotated[Share, Field(gt=0)]] = Field(
        [0.1, 0.2, 0.5, 1.0],
        min_length=1,
        description="shares of the training rows, each part within the next",
    )
    repeats: int = Field(3, ge=1, le=50, description="fits with other rows for each share below 100 %")
    budget: Duration = Field(
        600.0,
        gt=0,
        description="seconds (or 90s, 2m, 1h) for all fits, on top of the rest; sizes that do not fit in are left out",
    )


def _with_sizes(value: Any) -> Any:
    """`learning_curve: [20%, 100%]` is `{sizes: [20%, 100%]}`; `true` has all defaults, `false` is off."""
    if isinstance(value, bool):
        return {} if value else None
    return {"sizes": value} if isinstance(value, list | tuple) else value


def _with_method(value: Any) -> Any:
    """`outliers: true` is the usual method, `false` is none; one method at most."""
    if value is None or value is False:
        return None
    asked = [USUAL] if value is True else [value] if isinstance(value, str) else value
    named = parse_named(asked, OUTLIERS, "an outlier method", USUAL)
    if len(named) != 1:
        raise ValueError(f"one method at a time, and these are {len(named)}: write outliers: {USUAL}")
    return named


class TrainSpec(Spec):
    """How the model is trained."""

    automl: Annotated[AutoMLSpec | None, BeforeValidator(_with_budget)] = Field(
        None, description="a portfolio, a search and an ensemble within a budget: `2m`, or the settings below"
    )

    given: str | None = Field(
        None,
        description="a package (.bsm) whose model is taken as it is, from the project's folder, with "
        "`prepare: {given: ...}` of the same; nothing is trained but what it is compared with",
    )
    learner: str = Field(
        "auto",
        description="`auto` (fits `linear` and `lightgbm`, ships the better one on the validation rows), or "
        "one by name; not with `automl`",
    )
    params: dict[str, bool | int | float | str | dict[str, Any]] = Field(
        default_factory=dict, description="parameters of the named learner; not with `auto`"
    )
    metric: str = Field(
        "auto",
        description="what early stopping and `auto` judge by on the validation rows; `auto` is log_loss for "
        "classes and rmse for numbers",
        examples=["log_loss", "roc_auc", "accuracy", "rmse", "mae"],
    )
    monotone: dict[str, Literal["increasing", "decreasing"]] = Field(
        default_factory=dict,
        description="numeric columns that move the prediction one way only, for learners that can promise it",
    )
    quantile: float | None = Field(
        None, gt=0, lt=1, description="predict this quantile of a number rather than its mean"
    )
    rounds: int = Field(2000, ge=1, le=1_000_000, description="the most boosting rounds")
    early_stopping: int = Field(
        50, ge=0, description="stop after this many rounds without a better metric; 0 never stops early"
    )
    target_weights: dict[str, Annotated[float, Field(gt=0, le=1e6)]] = Field(
        default_factory=dict,
        description="several targets: what the loss of each counts, by name; 1 where nothing is said",
        examples=[{"spend": 0.5}],
    )
    class_weight: Literal["none", "balanced"] | dict[bool | int | float | str, float] = Field(
        "none", description="`none`, `balanced` (rare classes count more), or a weight for each class"
    )
    reweigh: list[str] = Field(
        default_factory=list,
        max_length=3,
        description="columns of groups: rows are weighed so that group and class are independent in training "
        "(Kamiran and Calders 2012)",
        examples=[["sex"]],
    )
    threshold: Threshold = Field(
        None,
        description="two classes: the probability that makes a positive: a number, an objective (accuracy, "
        "balanced_accuracy, f1, mcc), or the settings below; 0.5 when nothing is said",
        examples=[0.3, "f1", {"objective": "cost", "costs": {"false_positive": 1, "false_negative": 5}}],
    )
    robust: Annotated[
        Named | None,
        BeforeValidator(parse_robust, json_schema_input_type=str | dict[str, dict[str, Any]] | None),
    ] = Field(
        None,
        description="train the named learner against changed rows: `pgd`, `trades`, `noise` (network), `certified` "
        "(lightgbm, xgboost), or {method: {setting: value}}",
        examples=["pgd", {"certified": {"eps": 0.2}}],
    )
    private: Annotated[
        PrivateSpec | None,
        BeforeValidator(parse_private, json_schema_input_type=float | PrivateSpec | bool | None),
    ] = Field(
        None,
        description="differential privacy of the training rows, for the named learner: epsilon, or the settings below",
        examples=[3, {"epsilon": 3, "delta": 1e-6}],
    )
    calibrate: Literal["auto", "none", "sigmoid"] = Field(
        "auto",
        description="`sigmoid`: Platt scaling (two classes) or temperature scaling (more), fitted on the "
        "validation rows; `auto` keeps it only where it helps under cross-validation",
    )
    outliers: Annotated[
        Named | None,
        BeforeValidator(_with_method, json_schema_input_type=bool | str | dict[str, dict[str, Any]] | None),
    ] = Field(
        None,
        description="ship with the model how unusual a row is: `true` (isolation_forest), a method by name, or "
        "{method: {setting: value}}",
        examples=[True, "ecod", {"isolation_forest": {"trees": 200}}],
    )
    checkpoint: int = Field(
        100,
        ge=1,
        description="save the boosting every so many rounds, so that a killed run goes on from there",
    )
    learning_curve: Annotated[
        LearningCurveSpec | None,
        BeforeValidator(
            _with_sizes, json_schema_input_type=bool | list[float | str] | LearningCurveSpec | None
        ),
    ] = Field(
        None,
        description="what more rows would give: the chosen learner on shares of the training rows",
        examples=[[0.1, 0.2, 0.5, 1.0]],
    )
    compare: dict[str, Annotated[Duration, Field(gt=0)]] = Field(
        default_factory=dict,
        description="others' AutoML to compare with, never shipped: each by name with its own time, on top of the rest",
        examples=[{"h2o": "2m"}],
    )

    @field_validator("compare")
    @classmethod
    def _known_comparators(cls, compare: dict[str, float]) -> dict[str, float]:
        for name in compare:
            if name not in COMPARATORS:
                raise ValueError(
                    f"nothing to compare with is named '{name}'\n{did_you_mean(name, COMPARATORS)}"
                )
        return compare

    @field_validator("learner")
    @classmethod
    def _known_learner(cls, learner: str) -> str:
        known = ("auto", *LEARNERS.names())
        if learner not in known:
            raise ValueError(_no_learner(learner, known))
        return learner

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, metric: str) -> str:
        if metric != "auto" and metric not in (metrics := ("auto", *metric_names())):
            raise ValueError(f"no metric '{metric}'\n{did_you_mean(metric, metrics, 40)}")
        return metric

    @model_validator(mode="after")
    def _given_alone(self) -> TrainSpec:
        trained = self.model_fields_set - {"given", "metric", "calibrate", "threshold", "outliers", "compare"}
        if self.given is not None and trained:
            raise ValueError(
                f"given: the model is that of the package, and {' and '.join(sorted(trained))} would train another: "
                "leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _params_fit_the_learner(self) -> TrainSpec:
        if self.automl is not None and self.learner != "auto":
            raise ValueError(f"automl: tries several learners; say `automl: {{learners: [{self.learner}]}}`")
        if self.learner == "auto" and self.params:
            raise ValueError(
                "params: say which learner they are for: `learner: lightgbm` (`auto` tries several)"
            )
        if self.robust and (fault := robust_fault(self.learner, self.robust, self.params)):
            raise ValueError(fault)
        if fault := private_fault(self):
            raise ValueError(fault)
        if wrong := params_faults(self.learner, with_robust(self.learner, self.params, self.robust)):
            raise ValueError("; ".join(wrong))
        if unkept := self._promises():
            raise ValueError(unkept)
        if isinstance(self.class_weight, dict) and any(not w > 0 for w in self.class_weight.values()):
            raise ValueError("class_weight: every weight must be above 0")
        return self

    def _promises(self) -> str:
        """What the named learner, or the one that is distilled into, cannot keep, or ''."""
        for name in (self.learner, self.automl.distill if self.automl else None):
            if name is None or name == "auto" or LEARNERS.ref(name).missing():
                continue
            learner = LEARNERS.load(name)
            if self.monotone and not learner.MONOTONE:
                return f"monotone: {name} has no monotone constraints"
            if self.quantile is not None and not learner.QUANTILE:
                return f"quantile: {name} does not predict quantiles"
        return ""


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
