"""Ludwig's trainer and combiner: the learner, its parameters, rounds, early stopping and the metric."""

from __future__ import annotations

from typing import Any

from bessemer.importers.draft import Draft
from bessemer.importers.learner import Setting, choose, put_params
from bessemer.importers.ludwig import metrics
from bessemer.importers.ludwig.outputs import Target
from bessemer.importers.section import Hints, Section

#: Rounds between two checks of Ludwig's boosting, where the file does not say.
CHECK_EVERY = 50

#: LightGBM's parameters that both sides call the same.
_BOOSTING = (
    "learning_rate", "num_leaves", "max_depth", "min_data_in_leaf", "min_sum_hessian_in_leaf", "bagging_fraction",
    "bagging_freq", "feature_fraction", "feature_fraction_bynode", "extra_trees", "max_delta_step", "lambda_l1",
    "lambda_l2", "min_gain_to_split", "path_smooth", "max_bin",
)  # fmt: skip
_SEEDS = ("bagging_seed", "feature_fraction_seed", "extra_seed", "drop_seed", "data_random_seed")
_CATEGORIES = ("cat_l2", "cat_smooth", "max_cat_threshold", "max_cat_to_onehot", "min_data_per_group")
_BOOSTING_HINTS: Hints = {
    "boosting_type": (
        "trees are boosted plainly",
        "train.learner: random_forest or extra_trees for a forest",
    ),
    "tree_learner": ("one machine grows the trees", ""),
    "drop_rate": ("no trees are dropped", ""),
    **dict.fromkeys(_SEEDS, ("every random choice comes from one seed", "seed")),
    **dict.fromkeys(_CATEGORIES, ("categories become numbers before the trees see them", "prepare.columns")),
    "pos_bagging_fraction": ("rows are drawn alike", "train.class_weight"),
    "neg_bagging_fraction": ("rows are drawn alike", "train.class_weight"),
    "eval_batch_size": ("memory is planned by itself", "resources.memory"),
    "evaluate_training_set": ("the test rows judge", "evaluate"),
}

_LEARNING = ("mlp's step is on a scale of its own", "train.params.learning_rate of mlp")
_SCHEDULE = (
    "learning_rate_scheduler", "decay", "decay_steps", "decay_rate", "staircase", "learning_rate_warmup_epochs",
    "reduce_learning_rate_on_plateau", "reduce_learning_rate_on_plateau_patience",
    "reduce_learning_rate_on_plateau_rate", "reduce_learning_rate_eval_metric", "reduce_learning_rate_eval_split",
)  # fmt: skip
_NETWORK_HINTS: Hints = {
    "learning_rate": _LEARNING,
    "learning_rate_scaling": _LEARNING,
    **dict.fromkeys(_SCHEDULE, ("mlp has a schedule of its own", "train.params.learning_rate of mlp")),
    "optimizer": ("mlp learns with AdamW", ""),
    "regularization_lambda": ("mlp decays its weights", "train.params.weight_decay of mlp"),
    "regularization_type": ("mlp decays its weights", "train.params.weight_decay of mlp"),
    "train_steps": ("training is counted in epochs", "train.params.epochs of mlp"),
    "eval_batch_size": ("memory is planned by itself", "resources.memory"),
    "evaluate_training_set": ("the test rows judge", "evaluate"),
    "bucketing_field": ("there are no sequences", ""),
}


def read(file: Section, draft: Draft, kind: str, target: Target, searches: bool) -> None:
    """Set `train`; `training` is the older name of `trainer`."""
    trainer = file.section("trainer" if "trainer" in file else "training")
    combiner = file.section("combiner", word="type")
    for key in ("validation_measure", "validation_metric"):  # the first is the name in Ludwig 0.1
        if (metric := metrics.named(trainer, key, draft, target.kind)) is not None:
            draft.put("train.metric", metric)
    if (judged := trainer.text("validation_field")) not in (None, target.name, "combined"):
        trainer.lost("validation_field", f"the target judges, not '{judged}'", "target")
    trainer.any("type")
    if kind == "gbm":
        _boosting(trainer, draft, searches)
        if combiner.any("type") is not None:
            draft.findings.lost("combiner", file.any("combiner"), "trees have no combiner")
        return
    _network(file, trainer, combiner, draft, searches)


def _boosting(trainer: Section, draft: Draft, searches: bool) -> None:
    learner = "auto" if searches else choose(draft, "lightgbm", "model_type", "gbm")
    if rounds := trainer.integer("num_boost_round"):
        draft.put("train.rounds", min(max(rounds, 1), 1_000_000))
    every = trainer.integer("boosting_rounds_per_checkpoint") or CHECK_EVERY
    if (patience := trainer.integer("early_stop")) is not None:
        rounds_without = max(patience, 0) * every
        draft.put("train.early_stopping", rounds_without)
        if patience > 0:
            why = f"Ludwig counts checks of {every} rounds, Bessemer rounds"
            trainer.near("early_stop", f"train.early_stopping: {rounds_without}", why)
    settings = []
    for name in _BOOSTING:
        value = trainer.any(name)
        if value == "auto" or value is None:
            continue
        settings.append(Setting(name, value, trainer.at(name), value))
    put_params(draft, learner, settings, "the search finds it" if searches else "")
    if trainer.any("boosting_type") != "gbdt":
        trainer.lost("boosting_type", *_BOOSTING_HINTS["boosting_type"])
    trainer.lose(_BOOSTING_HINTS, "a setting of LightGBM that is not offered", "train.params")


def _network(file: Section, trainer: Section, combiner: Section, draft: Draft, searches: bool) -> None:
    patience = trainer.any("early_stop")
    sets_up = bool(dict(trainer.unread()) or dict(combiner.unread()) or "model_type" in file)
    learner = "auto" if searches else _learner(file, draft, sets_up)
    settings = _layers(combiner)
    for name in ("epochs", "batch_size"):
        value = trainer.any(name)
        if value is not None and value != "auto":
            settings.append(Setting(name, value, trainer.at(name), value))
    if learner == "mlp" and (rounds := trainer.integer("early_stop")) is not None:
        draft.put("train.early_stopping", max(rounds, 0))
    elif patience is not None:
        trainer.lost("early_stop", "several learners are tried, not all have epochs", "train.early_stopping")
    put_params(draft, learner, settings, "the search finds it" if searches else "")
    for key, value in list(trainer.unread()):
        if value in (False, 0, "no", "off"):  # what is off is no loss
            trainer.any(key)
    trainer.lose(_NETWORK_HINTS, "a setting of Ludwig's network", "train.params of mlp")
    if combiner.text("type") not in (None, "concat"):
        combiner.lost("type", "mlp joins all features into one vector", "train.learner: mlp")
    combiner.lose({}, "a setting of Ludwig's combiner", "train.params of mlp")


def _learner(file: Section, draft: Draft, sets_up: bool) -> str:
    """A file that sets up a network gets one, where it can run; others get the better of the default learners."""
    if not sets_up:
        why = "Ludwig trains a network; this fits linear and lightgbm and keeps the better one"
        draft.findings.near("model_type", "ecd", "train.learner: auto", why)
        return "auto"
    path = next((key for key in ("combiner", "trainer", "training") if key in file), "model_type")
    learner = choose(draft, "mlp", path, file.any(path))
    if learner == "mlp":
        why = "another network: RealMLP's layers and schedule, with the sizes of this one"
        draft.findings.near(path, file.any(path), "train.learner: mlp", why)
    return learner


def _layers(combiner: Section) -> list[Setting]:
    """The layers of a concat combiner: their number, size, dropout and activation."""
    if combiner.any("type") not in (None, "concat"):
        return []
    found = []

    def add(ours: str, key: str, value: Any, why: str = "") -> None:
        if value is not None and value is not False:
            found.append(Setting(ours, value, combiner.at(key), combiner.any(key), why))

    layers = combiner.any("fc_layers")
    if isinstance(layers, list) and layers and all(isinstance(layer, dict) for layer in layers):
        sizes = [layer.get("output_size", layer.get("fc_size")) for layer in layers]
        add("hidden_layers", "fc_layers", len(layers))
        add(
            "hidden_size",
            "fc_layers",
            sizes[0],
            "all layers are of one size" if len(set(map(str, sizes))) > 1 else "",
        )
    elif layers is not None:
        add("hidden_layers", "fc_layers", layers)
    add("hidden_layers", "num_fc_layers", combiner.any("num_fc_layers") or None)
    for key in ("output_size", "fc_size"):
        add("hidden_size", key, combiner.any(key))
    for key in ("dropout", "activation"):
        add(key, key, combiner.any(key))
    return found
