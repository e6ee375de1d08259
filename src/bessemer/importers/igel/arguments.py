"""scikit-learn's arguments as a learner's parameters."""

from __future__ import annotations

from typing import Any

from bessemer.importers.draft import Draft
from bessemer.importers.igel.algorithms import Algorithm
from bessemer.importers.learner import Setting, put_params
from bessemer.importers.section import Section, is_number

_SOLVER = "the solver goes with the problem"
_HINTS = {
    "verbose": ("a run shows its progress", ""),
    "warm_start": ("a killed run goes on by itself", "train.checkpoint"),
    "bootstrap": ("random_forest draws rows with replacement, extra_trees does not", "train.learner"),
    "oob_score": ("the validation rows judge", ""),
    "solver": (_SOLVER, ""),
    "tol": (_SOLVER, ""),
    "fit_intercept": ("there is always an intercept", ""),
    "normalize": ("linear standardises by itself", ""),
    "copy_X": ("data is never changed in place", ""),
    "shuffle": ("rows are drawn at random", ""),
    "learning_rate_init": ("mlp's step is on a scale of its own", "train.params.learning_rate"),
    "min_samples_split": ("leaves are limited instead", "train.params.min_samples_leaf"),
    "ccp_alpha": ("trees are not pruned", "train.params.max_leaf_nodes"),
    "probability": ("there are always probabilities", ""),
    "kernel": ("there are no kernels", "train.learner: auto"),
    "n_neighbors": ("there are no neighbours", "train.learner: auto"),
}
_LISTED = {"auto", "sqrt", "log2"}


def read(arguments: Section, draft: Draft, learner: str, algorithm: Algorithm, *, classes: bool) -> None:
    """Set `train.params`, and what else the arguments say."""
    _common(arguments, draft, classes=classes)
    reader = {"linear": _linear, "hist_boosting": _boosting, "lightgbm": _boosting, "mlp": _network}.get(
        learner
    )
    settings = reader(arguments, draft, algorithm) if reader else []
    if learner in ("random_forest", "extra_trees", "hist_boosting"):
        settings += _trees(arguments)
    said = [key for key, _ in arguments.unread()] if learner == "auto" else []
    for name in said:
        if name not in _HINTS:
            settings.append(Setting(name, arguments.any(name), arguments.at(name), arguments.any(name)))
    why = "the search finds it" if draft.get("train.automl") else ""
    put_params(draft, learner, settings, why)
    arguments.lose(_HINTS, f"no parameter of {learner}", f"train.params of {learner}")


def _common(arguments: Section, draft: Draft, *, classes: bool) -> None:
    """What means the same for every learner."""
    seed = arguments.any("random_state")
    if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**32:
        draft.put("seed", seed)
    threads = arguments.any("n_jobs")
    if isinstance(threads, int) and threads > 0 and not isinstance(threads, bool):
        draft.put("resources.threads", threads)
    weight = arguments.any("class_weight")
    if weight is None or weight == "None":
        return
    if classes and weight in ("balanced", "balanced_subsample"):
        draft.put("train.class_weight", "balanced")
    elif (
        classes
        and isinstance(weight, dict)
        and weight
        and all(is_number(w) and w > 0 for w in weight.values())
    ):
        draft.put("train.class_weight", dict(weight))
    else:
        arguments.lost("class_weight", "balanced, or a number above 0 for each class", "train.class_weight")


def _setting(arguments: Section, key: str, name: str, value: Any, why: str = "") -> Setting:
    return Setting(name, value, arguments.at(key), arguments.any(key), why)


def _trees(arguments: Section) -> list[Setting]:
    found = []
    for name in (
        "n_estimators",
        "max_depth",
        "max_leaf_nodes",
        "min_samples_leaf",
        "max_samples",
        "criterion",
    ):
        value = arguments.any(name)
        if name == "criterion" and value in ("squared_error", "mse", "friedman_mse"):
            continue
        if name == "criterion" and value == "log_loss":
            value = "entropy"
        if value is not None and value != "None":
            found.append(_setting(arguments, name, name, value))
    features = arguments.any("max_features")
    if features in _LISTED:
        arguments.lost(
            "max_features", "the share of columns goes with the data", "train.params.max_features: 0.5"
        )
    elif features is not None and features != "None":
        found.append(_setting(arguments, "max_features", "max_features", features))
    return found


def _linear(arguments: Section, draft: Draft, algorithm: Algorithm) -> list[Setting]:
    found = []
    strength, alpha = arguments.number("C"), arguments.number("alpha")
    penalty = arguments.any("penalty")
    l1 = (
        arguments.number("l1_ratio")
        if penalty in (None, "elasticnet")
        else arguments.any("l1_ratio") and None
    )
    if strength and strength > 0:
        found.append(_setting(arguments, "C", "l2", 1 / strength, "1 / C, on standardised columns"))
    elif alpha is not None and not algorithm.params:
        found.append(_setting(arguments, "alpha", "l2", float(alpha), "on standardised columns"))
    elif alpha is not None:
        arguments.lost(
            "alpha", "scikit-learn's strength is for a row, l2 for all rows", "train.params.l2: alpha * rows"
        )
    if penalty == "l1":
        found.append(_setting(arguments, "penalty", "l1_ratio", 1.0))
    elif penalty == "none":
        found.append(_setting(arguments, "penalty", "l2", 1e-6, "the least penalty there is"))
    if l1 is not None:
        found.append(_setting(arguments, "l1_ratio", "l1_ratio", l1))
    if (most := arguments.any("max_iter")) is not None:
        found.append(_setting(arguments, "max_iter", "max_iter", most))
    return found


def _boosting(arguments: Section, draft: Draft, algorithm: Algorithm) -> list[Setting]:
    rounds = arguments.integer("n_estimators")
    if rounds and 1 <= rounds <= 1_000_000:
        draft.put("train.rounds", rounds)
    patience = arguments.integer("n_iter_no_change")
    if patience is not None and patience >= 0:
        draft.put("train.early_stopping", patience)
    quantile = arguments.any("alpha")
    if arguments.any("loss") == "quantile" and is_number(quantile) and 0 < quantile < 1:
        draft.put("train.quantile", quantile)
    elif arguments.any("loss") in ("absolute_error", "lad"):
        draft.put("train.metric", "mae")
    rate = arguments.any("learning_rate")
    return [] if rate is None else [_setting(arguments, "learning_rate", "learning_rate", rate)]


def _network(arguments: Section, draft: Draft, algorithm: Algorithm) -> list[Setting]:
    found = []
    sizes = arguments.any("hidden_layer_sizes")
    listed = sizes if isinstance(sizes, list) else [] if sizes is None else [sizes]
    if listed:
        why = "all layers are of one size" if len(set(map(str, listed))) > 1 else ""
        found.append(_setting(arguments, "hidden_layer_sizes", "hidden_layers", len(listed)))
        found.append(_setting(arguments, "hidden_layer_sizes", "hidden_size", listed[0], why))
    for key, name in (("max_iter", "epochs"), ("batch_size", "batch_size"), ("activation", "activation")):
        value = arguments.any(key)
        if value is not None and value != "auto":
            found.append(_setting(arguments, key, name, value))
    arguments.lost("alpha", "mlp decays its weights", "train.params.weight_decay")
    return found
