"""igel's algorithms, which are scikit-learn's, and the learner that each becomes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_LINE = "a linear model with another loss or penalty"
_NONE = "there is no such learner"


@dataclass(frozen=True)
class Algorithm:
    """learner: what it becomes. why: the difference, '' where it is the same method. params: what it implies."""

    learner: str
    why: str = ""
    params: Mapping[str, float] = field(default_factory=dict)
    cv: bool = False


_FOREST = Algorithm("random_forest")
_EXTRA = Algorithm("extra_trees")
_NEURAL = Algorithm("mlp", "a network with numeric embeddings, after RealMLP")
_LEAST_SQUARES = Algorithm("linear", "least squares with the least penalty there is", {"l2": 1e-6})

#: The name in small letters, without spaces and `Classifier` or `Regressor` -> what it becomes.
ALGORITHMS: Mapping[str, Algorithm] = {
    "linear": _LEAST_SQUARES,
    "linearregression": _LEAST_SQUARES,
    "logistic": Algorithm("linear", cv=True),
    "logisticregression": Algorithm("linear", cv=True),
    "ridge": Algorithm("linear", "on standardised columns", cv=True),
    "lasso": Algorithm("linear", "on standardised columns", {"l1_ratio": 1}, cv=True),
    "lassolars": Algorithm("linear", "another solver of the lasso", {"l1_ratio": 1}, cv=True),
    "elasticnet": Algorithm("linear", "on standardised columns", {"l1_ratio": 0.5}, cv=True),
    **dict.fromkeys(
        (
            "sgd", "bayesianregression", "bayesianridge", "huberregression", "huber", "poissonregression", "poisson",
            "ardregression", "ard", "tweedieregression", "tweedie", "theilsenregression", "theilsen", "gammaregression",
            "gamma", "ransacregression", "ransac", "linearsvm", "passiveagressive", "passiveaggressive", "perceptron",
        ),
        Algorithm("linear", _LINE),
    ),
    "calibrated": Algorithm("linear", "calibrated on the validation rows"),
    "randomforest": _FOREST,
    "forest": _FOREST,
    "decisiontree": Algorithm("random_forest", "a forest rather than a single tree"),
    "bagging": Algorithm("random_forest", "bagged trees that also draw columns"),
    "extratrees": _EXTRA,
    "extratree": Algorithm("extra_trees", "a forest rather than a single tree"),
    "gradientboosting": Algorithm("hist_boosting", "boosted trees on binned columns"),
    "adaboost": Algorithm("lightgbm", "gradient boosting rather than reweighting"),
    "neuralnetwork": _NEURAL,
    "mlp": _NEURAL,
    "cnn": Algorithm("auto", "there are no convolutions"),
    **dict.fromkeys(
        (
            "svm", "nusvm", "nearestneighbor", "knearestneighbor", "knn", "bernoullirbm", "boltzmannmachine",
            "bernoullinaivebayes", "categoricalnaivebayes", "complementnaivebayes", "gaussiannaivebayes",
            "multinomialnaivebayes", "naivebayes",
        ),
        Algorithm("auto", _NONE),
    ),
}  # fmt: skip


def plain(name: str) -> str:
    """An algorithm's name as the table has it.

    >>> plain("RandomForestClassifier"), plain("logistic regression"), plain("KNeighborsRegressor")
    ('randomforest', 'logisticregression', 'kneighbors')
    """
    return re.sub(r"(classifier|regressor)$", "", re.sub(r"[^a-z0-9]", "", name.lower()))
