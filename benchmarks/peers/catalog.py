"""The tools: what each is called, what its environment holds and whether it takes a time limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tool:
    """One row of the comparison.

    module: in `peers.tools`. title: as the tables show it. requirements: what its environment is made of; empty where
    it is the environment the benchmark itself runs in. budgeted: fits for `--budget` seconds; the others take what
    they take.
    """

    module: str
    title: str
    requirements: tuple[str, ...] = ()
    budgeted: bool = True


#: What every environment holds, so that all tools read the same files the same way.
COMMON = ("numpy", "pandas>=2.2")

TOOLS = {
    "bessemer": Tool("bessemer", "Bessemer"),
    "lightgbm": Tool(
        "lightgbm", "LightGBM, defaults", ("lightgbm==4.7.0", "scikit-learn==1.9.1"), budgeted=False
    ),
    "hist_boosting": Tool(
        "hist_boosting", "HistGradientBoosting, defaults", ("scikit-learn==1.9.1",), budgeted=False
    ),
    "catboost": Tool("catboost", "CatBoost, defaults", ("catboost==1.2.10",), budgeted=False),
    "flaml": Tool("flaml", "FLAML", ("flaml[automl,catboost]==2.7.0",)),
    "mljar": Tool("mljar", "mljar-supervised", ("mljar-supervised==1.3.2",)),
    # torch is pinned to a release whose CPU build pip finds here; the newest would bring gigabytes for GPUs
    "autogluon": Tool(
        "autogluon",
        "AutoGluon, medium quality",
        ("autogluon.tabular[catboost,lightgbm,xgboost,fastai]==1.6.3", "torch==2.13.0"),
    ),
    "h2o": Tool("h2o", "H2O AutoML", ("h2o==3.46.0.12",)),
}


@dataclass(frozen=True)
class Data:
    """A table: its folder's name, its target and its kind of task."""

    name: str
    target: str
    kind: str

    @property
    def metric(self) -> str:
        return "roc_auc" if self.kind == "binary" else "rmse"


DATA = {
    data.name: data
    for data in (
        Data("adult", "income", "binary"),
        Data("telco", "Churn", "binary"),
        Data("california", "median_house_value", "regression"),
        Data("diamonds", "price", "regression"),
    )
}
