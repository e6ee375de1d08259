"""Scikit-learn's estimators as native models: a function a family, by the names of the classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from bessemer.core import canonical
from bessemer.core.errors import did_you_mean
from bessemer.core.signature import Task
from bessemer.importers.models.foreign import Asked, Foreign, classes_of, refused
from bessemer.importers.models.perceptron import Layer, off_by, perceptron
from bessemer.importers.models.sklearn.archive import Thing
from bessemer.importers.models.sklearn.front import Front
from bessemer.importers.models.trees import native_of
from bessemer.package.trees.model import Link, Tree, Trees
from bessemer.train.learner import Native
from bessemer.train.learners.sklearn_trees import of_nodes, of_tree

#: How near to 0 and 1 a forest's share may come: less than float32 can tell from them.
_FLOOR = 2.0**-23
#: What a forest's share of the second of two classes is lowered by: scikit-learn gives a tie to the first class.
_TIE = 2.0**-23


@dataclass(frozen=True)
class Made:
    """What an estimator became. width: how many margins a row has."""

    native: Native
    width: int = 1
    iterations: int = 0


def to_foreign(model: Thing, front: Front, asked: Asked) -> Foreign:
    """The model.

    Raises:
        FormatError: an estimator that cannot be taken over.
    """
    if model.name not in _FAMILIES:
        raise refused(
            f"scikit-learn's {model.name} cannot be taken over",
            fix=f"{did_you_mean(model.name, _FAMILIES, limit=60)}; else export it by skl2onnx and import that",
        )
    learner, make = _FAMILIES[model.name]
    classes = _classes(model, asked)
    task: Task = "regression" if not classes else "binary" if len(classes) == 2 else "multiclass"
    made = make(model, front, classes)
    if made.width != (len(classes) if task == "multiclass" else 1):
        raise refused(
            f"the {model.name} has {made.width} scores a row, which {len(classes)} classes do not have"
        )
    inputs = tuple(source.input() for source in front.sources)
    return Foreign(
        learner,
        task,
        classes,
        inputs,
        made.native,
        {"estimator": model.name},
        made.iterations,
        tuple(front.notes),
    )


def _classes(model: Thing, asked: Asked) -> tuple[Any, ...]:
    said = model.get("classes_")
    if said is None:
        return ()
    if isinstance(said, list):
        raise refused(f"the {model.name} predicts several targets", "a package has one")
    found = np.asarray(said).reshape(-1).tolist()
    found = [int(one) if isinstance(one, float) and one.is_integer() else one for one in found]
    if len(found) < 2:
        raise refused(f"the {model.name} knows {len(found)} class")
    return classes_of(asked, found, len(found))


def _finite(values: Any, what: str, *shape: int) -> np.ndarray:
    found = np.asarray(values, dtype=np.float64)
    if shape and found.size != int(np.prod(shape)):
        raise refused(f"the model has {found.size} numbers in '{what}', where {int(np.prod(shape))} belong")
    if not np.isfinite(found).all():
        raise refused(f"the model has numbers in '{what}' that are none")
    return found.reshape(shape) if shape else found


def _linear(model: Thing, front: Front, classes: Sequence[Any]) -> Made:
    """Weights of standardised features."""
    if model.name == "SGDClassifier" and (model["loss"] != "log_loss" or len(classes) > 2):
        raise refused(
            "this SGDClassifier has no probabilities like a package's",
            fix="train with loss='log_loss' on two classes",
        )
    _check_one_against_rest(model, classes)
    width, features = len(classes) if len(classes) > 2 else 1, len(front.numbers("mean"))
    coef = _finite(model["coef_"], "coef_", width, features)
    intercept = np.resize(_finite(model["intercept_"], "intercept_"), width)
    mean, scale, impute = (front.numbers(name) for name in ("mean", "scale", "impute"))
    front.notes.append(
        "scikit-learn refuses missing values where nothing imputes them; here they count as the mean, or 0"
    )
    filled = np.where(np.isnan(impute), mean, impute)
    if len(classes) == 2 and model.get("multi_class") == "multinomial":
        coef, intercept = 2 * coef, 2 * intercept  # the softmax of (-d, d) is the sigmoid of 2d
    intercept = intercept + coef @ off_by(mean, scale)
    fitted = {"impute": filled, "mean": mean, "scale": scale, "coef": coef, "intercept": intercept}
    content = {name: values.astype(np.float32).tolist() for name, values in fitted.items()}
    return Made(Native("linear", "linear.json", canonical.dump_bytes(content)), width)


def _check_one_against_rest(model: Thing, classes: Sequence[Any]) -> None:
    """Before scikit-learn 1.8, liblinear and `multi_class` may have learnt three classes one by one."""
    said = model.get("multi_class")
    apart = said in ("ovr", "warn") or (said != "multinomial" and model.get("solver") == "liblinear")
    if apart and len(classes) > 2 and model.name.startswith("LogisticRegression"):
        raise refused(
            f"a {model.name} of one class against the rest",
            "its probabilities are no softmax of its scores",
            "train it without `multi_class`, with the solver 'lbfgs'",
        )


def _network(model: Thing, front: Front, classes: Sequence[Any]) -> Made:
    """A perceptron as nodes of a graph."""
    weights = [np.asarray(w, dtype=np.float32) for w in model["coefs_"]]
    biases = [np.asarray(b, dtype=np.float32) for b in model["intercepts_"]]
    word = {"logistic": "sigmoid"}.get(str(model["activation"]), str(model["activation"]))
    layers = [Layer(w, b, word) for w, b in zip(weights, biases, strict=True)]
    _check_output(model, classes)
    mean, scale, impute = (front.numbers(name) for name in ("mean", "scale", "impute"))
    filled = np.where(np.isnan(impute), mean, impute)
    front.notes.append(
        "scikit-learn refuses missing values where nothing imputes them; here they count as the mean, or 0"
    )
    native = perceptron(layers, filled, mean, scale)
    return Made(native, len(biases[-1]), int(model.get("n_iter_") or 0))


def _check_output(model: Thing, classes: Sequence[Any]) -> None:
    """The last layer gives what a package's scores are: a number, log-odds, or scores of classes."""
    wanted = "identity" if not classes else "logistic" if len(classes) == 2 else "softmax"
    if (found := str(model["out_activation_"])) != wanted:
        raise refused(
            f"the {model.name} ends with '{found}', where a package's model has '{wanted}'",
            "it was trained by another loss, or on several labels a row",
            "export it by skl2onnx and import that",
        )


def _grown(estimator: Thing, values: np.ndarray) -> Tree:
    """A tree of `sklearn.tree`; values: (nodes, W)."""
    nodes = np.asarray(estimator["tree_"]["nodes"])
    never = np.zeros(len(nodes), dtype=bool)
    grown = SimpleNamespace(
        children_left=nodes["left_child"],
        children_right=nodes["right_child"],
        feature=nodes["feature"],
        threshold=nodes["threshold"],
        missing_go_to_left=nodes["missing_go_to_left"]
        if "missing_go_to_left" in (nodes.dtype.names or ())
        else never,
        weighted_n_node_samples=nodes["weighted_n_node_samples"],
    )
    return of_tree(grown, values)[0]


def _values(estimator: Thing) -> np.ndarray:
    """(nodes, W): what `sklearn.tree` keeps of each node."""
    found = np.asarray(estimator["tree_"]["values"], dtype=np.float64)
    if found.ndim != 3 or found.shape[1] != 1 or len(found) != len(np.asarray(estimator["tree_"]["nodes"])):
        raise refused(f"the trees have values of shape {found.shape}", "a package has one target")
    return found[:, 0, :]


def _forest(model: Thing, front: Front, classes: Sequence[Any]) -> Made:
    """The mean of what the trees' leaves hold: shares of the classes, or the target's mean."""
    estimators = (
        model["estimators_"] if "Forest" in model.name or model.name.startswith("ExtraTrees") else [model]
    )
    trees = []
    for estimator in estimators:
        values = _values(estimator)
        if classes:
            if values.shape[1] != len(classes):
                raise refused(f"a tree knows {values.shape[1]} classes, and the model {len(classes)}")
            shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1e-300)
            values = shares[:, 1:] if len(classes) == 2 else shares
        trees.append(_grown(estimator, values / len(estimators)))
    width = len(classes) if len(classes) > 2 else 1
    link: Link = "identity" if not classes else "logit" if len(classes) == 2 else "log"
    tie = _TIE if link == "logit" else 0.0
    return _made(trees, np.full(width, -tie), front, link)


def _gradient_boosting(model: Thing, front: Front, classes: Sequence[Any]) -> Made:
    """Sums of trees, each times the learning rate, from the prior on."""
    estimators = np.asarray(model["estimators_"], dtype=object)
    width = len(classes) if len(classes) > 2 else 1
    estimators = estimators.reshape(-1, width)
    base = _start(model, classes, width)
    twice = 2.0 if model["loss"] == "exponential" else 1.0  # its scores are half the log-odds
    rate = float(model["learning_rate"]) * twice
    trees = [
        replace(_grown(one, _values(one) * rate), target=k) for row in estimators for k, one in enumerate(row)
    ]
    return _made(trees, base, front, rounds=len(estimators))


def _start(model: Thing, classes: Sequence[Any], width: int) -> np.ndarray:
    """The score without a tree, of the estimator that scikit-learn starts from."""
    init = model.get("init_")
    if init == "zero":
        return np.zeros(width)
    if not isinstance(init, Thing) or init.name not in ("DummyClassifier", "DummyRegressor"):
        raise refused("the boosting starts from an estimator of its own (`init`), which cannot be taken over")
    if not classes:
        return _finite(init["constant_"], "constant_", 1)
    prior = _finite(init["class_prior_"], "class_prior_", len(classes))
    tiny = float(np.finfo(np.float32).eps)
    prior = np.clip(prior, tiny, 1 - tiny)
    logs: np.ndarray = np.log(prior)
    return logs if width > 1 else logs[1:] - logs[:1]


def _hist_boosting(model: Thing, front: Front, classes: Sequence[Any]) -> Made:
    if model.get("_preprocessor") is not None:
        raise refused("the boosting has categories", fix="encode them as numbers before the training")
    width = len(classes) if len(classes) > 2 else 1
    trees = []
    for one_round in model["_predictors"]:
        for k, predictor in enumerate(one_round):
            nodes = np.asarray(predictor["nodes"])
            if nodes["is_categorical"].any():
                raise refused("the boosting has categories", fix="encode them as numbers before the training")
            trees.append(of_nodes(nodes, k))
    link: Link = "exp" if not classes and model["loss"] in ("poisson", "gamma") else "identity"
    base = _finite(model["_baseline_prediction"], "_baseline_prediction", width)
    return _made(trees, base, front, link, rounds=len(model["_predictors"]))


def _made(
    trees: Sequence[Tree], base: np.ndarray, front: Front, link: Link = "identity", rounds: int = 0
) -> Made:
    features = len(front.numbers("mean"))
    grown = trees if front.plain else [_before(tree, front) for tree in trees]
    made = Trees(tuple(grown), base, features, link, _FLOOR)
    return Made(native_of(made), len(base), rounds or len(trees))


def _before(tree: Tree, front: Front) -> Tree:
    """The tree asking raw columns instead of standardised ones."""
    if not tree.branches:
        return tree
    if not 0 <= int(tree.feature.min()) <= int(tree.feature.max()) < len(front.numbers("mean")):
        raise refused("a tree of the model asks for a column that the model does not have")
    impute, mean, scale = (front.numbers(name)[tree.feature] for name in ("impute", "mean", "scale"))
    if (scale < 0).any():
        raise refused("the pipeline scales by a number below 0")
    filled = np.where(np.isnan(impute), tree.missing_left, (impute - mean) / scale <= tree.threshold)
    return replace(tree, threshold=_raw(tree.threshold, mean, scale), missing_left=filled.astype(bool))


def _raw(threshold: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The greatest float32 x whose standardised value, as float32, is at most each threshold (B,).

    Found by halving: a threshold may be the very value of rows, so that it has to be met to the last bit.
    """
    low, high = (np.full(len(threshold), _ordered(np.float32(end))) for end in (-np.inf, np.inf))
    while (low < high).any():
        middle = (low + high + 1) // 2
        with np.errstate(over="ignore"):
            below = ((_float(middle).astype(np.float64) - mean) / scale).astype(np.float32) <= threshold
        low, high = np.where(below, middle, low), np.where(below, high, middle - 1)
    return _float(low)


def _ordered(value: np.float32) -> int:
    """A float32 as a whole number, in the same order."""
    bits = int(np.float32(value).view(np.int32))
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF)


def _float(ordered: np.ndarray) -> np.ndarray:
    """What `_ordered` was made of."""
    size = np.abs(ordered).astype(np.int32).view(np.float32)
    found: np.ndarray = np.where(ordered < 0, -size, size)
    return found


_Family = tuple[str, Callable[[Thing, Front, Sequence[Any]], Made]]
_FAMILIES: Mapping[str, _Family] = {
    **dict.fromkeys(
        (
            "LogisticRegression", "LogisticRegressionCV", "SGDClassifier", "LinearRegression", "Ridge", "RidgeCV",
            "Lasso", "LassoCV", "LassoLars", "Lars", "ElasticNet", "ElasticNetCV", "SGDRegressor", "HuberRegressor",
            "BayesianRidge", "ARDRegression", "LinearSVR", "QuantileRegressor", "OrthogonalMatchingPursuit",
        ),
        ("linear", _linear),
    ),
    **dict.fromkeys(
        (
            "RandomForestClassifier", "RandomForestRegressor", "DecisionTreeClassifier", "DecisionTreeRegressor",
            "ExtraTreeClassifier", "ExtraTreeRegressor",
        ),
        ("random_forest", _forest),
    ),
    **dict.fromkeys(("ExtraTreesClassifier", "ExtraTreesRegressor"), ("extra_trees", _forest)),
    **dict.fromkeys(
        ("GradientBoostingClassifier", "GradientBoostingRegressor"), ("gradient_boosting", _gradient_boosting)
    ),
    **dict.fromkeys(
        ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), ("hist_boosting", _hist_boosting)
    ),
    **dict.fromkeys(("MLPClassifier", "MLPRegressor"), ("mlp", _network)),
}  # fmt: skip
