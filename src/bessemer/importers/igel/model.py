"""igel's model: algorithm, arguments, cross-validation and the search of hyperparameters."""

from __future__ import annotations

from typing import Any

from bessemer.core.errors import did_you_mean
from bessemer.importers.draft import Draft
from bessemer.importers.igel.algorithms import ALGORITHMS, Algorithm, plain
from bessemer.importers.igel.arguments import read as read_arguments
from bessemer.importers.learner import choose, runs, search
from bessemer.importers.section import Hints, Section
from bessemer.train.plugins import LEARNERS

#: scikit-learn's scorers in our words; those of two classes alone say that there are two.
_SCORES = {
    "accuracy": "accuracy", "balanced_accuracy": "balanced_accuracy", "roc_auc": "roc_auc", "roc_auc_ovr": "roc_auc",
    "neg_log_loss": "log_loss", "neg_brier_score": "brier", "average_precision": "average_precision", "f1": "f1",
    "precision": "precision", "recall": "recall", "r2": "r2", "explained_variance": "explained_variance",
    "neg_mean_squared_error": "rmse", "neg_root_mean_squared_error": "rmse", "neg_mean_absolute_error": "mae",
    "neg_median_absolute_error": "median_ae", "neg_mean_absolute_percentage_error": "smape",
}  # fmt: skip
_TWO_CLASSES = ("average_precision", "f1", "precision", "recall")
_NUMBERS = ("r2", "explained_variance", "rmse", "mae", "median_ae", "smape")
_SEARCHES = {"grid_search": "grid", "random_search": "random"}

_HINTS: Hints = {
    "optimizer": ("mlp learns with AdamW", ""),
    "conv_layers": ("there are no convolutions", "train.learner: mlp"),
    "fc_layers": ("the layers of mlp are of one size", "train.params.hidden_layers"),
    "loss_criteria": ("the loss goes with the task", "train.metric"),
    "learning_rate": ("a parameter of the learner", "train.params.learning_rate"),
    "epochs": ("a parameter of mlp", "train.params.epochs"),
}


def read(model: Section, draft: Draft, kind: str) -> None:
    """Set `train`."""
    algorithm = _algorithm(model, draft, kind)
    folds = _folds(model.section("cross_validate"), draft)
    searched = _search(model.section("hyperparameter_search"), draft, algorithm, kind, folds)
    searched = _searched_otherwise(model, draft, algorithm, kind, folds, searched)
    learner = "auto"
    if not searched and algorithm.learner != "auto":
        learner = choose(draft, algorithm.learner, model.at("algorithm"), model.any("algorithm"))
    key = next((key for key in ("params", "hyperparameters") if key in model), "arguments")
    if model.any(key) not in ("default", "None"):
        read_arguments(model.section(key), draft, learner, algorithm, classes=kind.endswith("classification"))
    for name, value in algorithm.params.items():
        if learner == algorithm.learner and draft.get(f"train.params.{name}") is None:
            draft.put(f"train.params.{name}", value)
    model.lose(_HINTS, "no key of igel's model that is known here", "train")


def _searched_otherwise(
    model: Section, draft: Draft, algorithm: Algorithm, kind: str, folds: int | None, searched: bool
) -> bool:
    """AutoML for what igel searches without being asked: estimators with cross-validation, and its own AutoML."""
    cv, automl = model.flag("use_cv_estimator"), {"budget": "2m"}
    if cv and algorithm.cv and not searched:
        settings = {**automl, "learners": ["linear"], "members": 1, "folds": folds or 5}
        found = search(draft, "tpe", model.at("use_cv_estimator"), True)
        draft.put("train.automl", {**settings, "search": found})
        why = "the strength of the penalty is searched in folds, within the budget"
        model.near("use_cv_estimator", "train.automl: {learners: [linear]}", why)
        return True
    if cv:
        model.lost("use_cv_estimator", "igel has no such estimator for this algorithm", "train.automl")
    if kind.startswith("structureddata") and not searched:
        draft.put("train.automl", {**automl, "search": search(draft, "tpe", model.at("type"), kind)})
        model.near("type", "train.automl: {budget: 2m}", "a portfolio of learners rather than networks alone")
        return True
    return searched


def _algorithm(model: Section, draft: Draft, kind: str) -> Algorithm:
    said = model.text("algorithm")
    if said is None:
        if not kind.startswith("structureddata"):
            why = "the file names no algorithm; linear and lightgbm are fitted and the better one is kept"
            draft.findings.near(model.at("algorithm"), "not said", "train.learner: auto", why)
        return Algorithm("auto")
    found = ALGORITHMS.get(plain(said))
    if found is None:
        hint = did_you_mean(plain(said), ALGORITHMS)
        fix = hint if hint.startswith("did") else "train.learner: auto"
        draft.findings.lost(model.at("algorithm"), said, "no algorithm of igel that is known here", fix)
        return Algorithm("auto")
    if found.learner == "auto":
        model.lost("algorithm", found.why, "train.learner: auto, or one of the learners")
    elif found.why and runs(LEARNERS, found.learner):
        model.near("algorithm", f"train.learner: {found.learner}", found.why)
    return found


def _folds(section: Section, draft: Draft) -> int | None:
    """The number of folds. igel scores in them and trains on all rows; here test rows judge, with an interval."""
    folds = section.integer("cv")
    _score(section, draft)
    if folds is not None:
        why = "the test rows judge, with an interval; AutoML judges in folds"
        section.lost("cv", why, "train.automl.folds")
    for key in ("n_jobs", "verbose", "return_train_score", "error_score"):
        section.any(key)
    section.lose({}, "the test rows judge", "evaluate")
    return folds if folds and 2 <= folds <= 20 else None


def _search(section: Section, draft: Draft, algorithm: Algorithm, kind: str, folds: int | None) -> bool:
    if not list(section.unread()):
        return False
    method, arguments = section.text("method"), section.section("arguments")
    automl: dict[str, Any] = {"budget": "2m"}
    if algorithm.learner != "auto" and runs(LEARNERS, algorithm.learner):
        automl |= {"learners": [algorithm.learner], "members": 1}
    folded = arguments.any("cv")
    if isinstance(folded, int) and 2 <= folded <= 20:
        folds = folded
    elif folded is not None:
        arguments.lost("cv", "folds are 2 to 20", "train.automl.folds")
    if folds:
        automl["folds"] = folds
    if method not in _SEARCHES:
        what = f"no method of search '{method}' in igel" if method else "a search needs a method"
        draft.findings.fault(section.at("method"), what, did_you_mean(str(method), _SEARCHES))
        return False
    automl["search"] = search(draft, _SEARCHES[method], section.at("method"), method)
    trials = arguments.integer("n_iter")
    if method == "random_search":
        automl["trials"] = trials if trials and trials > 0 else 10
    draft.put("train.automl", automl)
    why = "the learner with its defaults, then the search, within the budget"
    section.near("method", f"train.automl: {{budget: 2m, search: {automl['search']}}}", why)
    _score(arguments, draft)
    grid = section.section("parameter_grid")
    grid.lose(
        {}, "each learner is searched in ranges of its own", "train.params, with the values that are known"
    )
    for key in ("n_jobs", "verbose", "return_train_score", "refit", "error_score", "pre_dispatch"):
        arguments.any(key)
    if (seed := arguments.integer("random_state")) is not None and 0 <= seed < 2**32:
        draft.put("seed", seed)
    arguments.lose({}, "no argument of the search here", "train.automl")
    section.lose({}, "no key of igel's search that is known here", "train.automl")
    return True


def _score(section: Section, draft: Draft) -> None:
    said = section.any("scoring")
    if said is None:
        return
    metric, numbers = _SCORES.get(str(said)), draft.get("task") == "regression"
    if metric is None or (metric in _NUMBERS) != numbers:
        section.lost(
            "scoring", "no such metric" if metric is None else "no metric of this task", "train.metric"
        )
        return
    draft.put("train.metric", metric)
    if metric in _TWO_CLASSES:
        draft.put("task", "binary")
