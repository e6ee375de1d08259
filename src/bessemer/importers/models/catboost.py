"""CatBoost's models as JSON (`save_model(..., format="json")`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from bessemer.core.errors import did_you_mean
from bessemer.core.signature import Task
from bessemer.importers.models import jsons
from bessemer.importers.models.foreign import (
    MOST_COLUMNS,
    Asked,
    Foreign,
    classes_of,
    named,
    numbers,
    refused,
)
from bessemer.importers.models.trees import MOST_BRANCHES, native_of, reading
from bessemer.package.trees.model import Link, Tree
from bessemer.train.learners.catboost_trees import to_trees

_LOSSES: Mapping[str, tuple[Task, Link]] = {
    **dict.fromkeys(("Logloss", "CrossEntropy", "Focal"), ("binary", "identity")),
    "MultiClass": ("multiclass", "identity"),
    **dict.fromkeys(
        ("RMSE", "MAE", "Quantile", "MAPE", "Lq", "Huber", "Expectile", "LogLinQuantile", "LogCosh"),
        ("regression", "identity"),
    ),
    **dict.fromkeys(("Poisson", "Tweedie"), ("regression", "exp")),
}
#: CatBoost's own limit of a symmetric tree's depth.
_DEEPEST = 16


class CatBoost:
    """A model of symmetric or other trees over numbers."""

    TITLE: ClassVar[str] = "CatBoost JSON"

    def recognises(self, head: bytes) -> bool:
        return jsons.keys_of(head).startswith(('{"features_info":', '{"ctr_data":'))

    def read(self, data: bytes, asked: Asked) -> Foreign:
        with reading("CatBoost model"):
            return _read(jsons.loads(data), asked)


def _read(saved: Mapping[str, Any], asked: Asked) -> Foreign:
    info = jsons.at(saved, "features_info")
    loss = str(jsons.at(saved, "model_info", "params", "loss_function", "type"))
    if loss not in _LOSSES:
        raise refused(
            f"the loss '{loss}' of CatBoost cannot be imported",
            "what its scores mean has no counterpart",
            f"train with another one; {did_you_mean(loss, _LOSSES, limit=40)}",
        )
    task, link = _LOSSES[loss]
    if other := sorted(name for name, columns in info.items() if name != "float_features" and columns):
        raise refused(
            f"the model has {other[0].replace('_', ' ')}",
            "CatBoost's JSON knows their values by hashes alone, so that none could be looked up",
            "encode them as numbers before the training",
        )
    floats = {int(feature["flat_feature_index"]): feature for feature in info["float_features"]}
    count = max(floats, default=-1) + 1
    if min(floats, default=0) < 0 or count > MOST_COLUMNS:
        raise refused(f"the model takes {count:,} columns", f"1 to {MOST_COLUMNS:,} can be imported")
    said = [str(floats[j].get("feature_id") or f"f{j}") if j in floats else f"f{j}" for j in range(count)]
    names = named(asked, said, count)
    _, bias = saved["scale_and_bias"]
    classes = _classes(saved, task, asked, len(np.atleast_1d(bias)))
    outputs = len(classes) if task == "multiclass" else 1
    _check(saved, outputs)
    trees = to_trees(saved, count, outputs)
    after = [j for j, feature in floats.items() if feature.get("nan_value_treatment") == "AsTrue"]
    grown = tuple(_with_missing(tree, after) for tree in trees.trees)
    native = native_of(replace(trees, trees=grown, link=link))
    return Foreign("catboost", task, classes, numbers(names), native, {"loss_function": loss}, len(grown))


def _classes(saved: Mapping[str, Any], task: Task, asked: Asked, outputs: int) -> tuple[Any, ...]:
    if task == "regression":
        return ()
    params = jsons.at(saved, "model_info").get("class_params") or {}
    said = tuple(
        int(name) if isinstance(name, float) and name.is_integer() else name
        for name in params.get("class_names") or ()
    )
    return classes_of(asked, said, 2 if task == "binary" else outputs)


def _check(saved: Mapping[str, Any], outputs: int) -> None:
    """Before a tree is built: splits are comparisons, and leaves are as many as they lead to."""
    total = 0
    for tree in saved.get("oblivious_trees", ()):
        depth = len(tree.get("splits") or ())
        if depth > _DEEPEST or len(tree["leaf_values"]) != outputs * 2**depth:
            raise refused(f"a tree of depth {depth} has {len(tree['leaf_values'])} values in its leaves")
        total += 2**depth
        if total > MOST_BRANCHES:
            raise refused("the model has too many leaves")
    for split in _splits(saved):
        if split["split_type"] != "FloatFeature":
            raise refused(f"the model splits by '{split['split_type']}'", fix="train it on numbers alone")


def _splits(saved: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for tree in saved.get("oblivious_trees", ()):
        yield from tree.get("splits") or ()
    waiting = list(saved.get("trees", ()))
    for node in waiting:
        if "split" in node:
            yield node["split"]
            waiting += [node["left"], node["right"]]


def _with_missing(tree: Tree, after: list[int]) -> Tree:
    """Missing values go left, being less than all others, but right where the file says that they come after them."""
    return replace(tree, missing_left=~np.isin(tree.feature, after)) if after else tree
