"""XGBoost's models, as JSON and as UBJSON (`Booster.save_model`), of version 1.6 and later.

https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from bessemer.core import canonical
from bessemer.core.errors import did_you_mean
from bessemer.core.signature import Task
from bessemer.importers.models import jsons, ubjson
from bessemer.importers.models.categories import Levels, Sets, check_codes
from bessemer.importers.models.foreign import Asked, Foreign, Input, classes_of, named, numbers, refused
from bessemer.importers.models.trees import native_of, reading
from bessemer.package.trees.model import Link, Tree, Trees
from bessemer.train.learner import Native
from bessemer.train.learners.xgboost_trees import to_tree

_UBJSON = re.compile(rb"\{(L\x00{7}|[iU]).[A-Za-z_]", re.DOTALL)


@dataclass(frozen=True)
class _Objective:
    """What the sum of the trees means. start: how `base_score` becomes a part of it."""

    task: Task
    link: Link = "identity"
    start: str = "as it is"
    note: str = ""


_RANKS = _Objective("regression", note="its score ranks rows: it is imported as a number")
_OBJECTIVES: Mapping[str, _Objective] = {
    "binary:logistic": _Objective("binary", start="logit"),
    "binary:logitraw": _Objective("binary", note="XGBoost gives its log-odds; here the probability goes with them"),
    "multi:softprob": _Objective("multiclass"),
    "multi:softmax": _Objective("multiclass"),
    **dict.fromkeys(
        (
            "reg:squarederror", "reg:linear", "reg:squaredlogerror", "reg:absoluteerror", "reg:pseudohubererror",
            "reg:quantileerror",
        ),
        _Objective("regression"),
    ),
    **dict.fromkeys(("count:poisson", "reg:gamma", "reg:tweedie"), _Objective("regression", "exp", "log")),
    **dict.fromkeys(("rank:pairwise", "rank:ndcg", "rank:map"), _RANKS),
}  # fmt: skip


class XGBoost:
    """A booster of trees or of linear models."""

    TITLE: ClassVar[str] = "XGBoost JSON or UBJSON"

    def recognises(self, head: bytes) -> bool:
        return _UBJSON.match(head) is not None or jsons.keys_of(head).startswith(
            ('{"learner":', '{"version":[', '{"Config":{"booster"')
        )

    def read(self, data: bytes, asked: Asked) -> Foreign:
        with reading("XGBoost model"):
            saved = ubjson.loads(data) if _UBJSON.match(data) else jsons.loads(data)
            return _read(jsons.at(saved, "learner"), asked)


def _read(learner: Mapping[str, Any], asked: Asked) -> Foreign:
    params = jsons.at(learner, "learner_model_param")
    name = str(jsons.at(learner, "objective", "name"))
    if name not in _OBJECTIVES:
        raise refused(
            f"the objective '{name}' of XGBoost cannot be imported",
            "what its scores mean has no counterpart",
            f"train with another one; {did_you_mean(name, _OBJECTIVES, limit=40)}",
        )
    objective = _OBJECTIVES[name]
    names = named(asked, learner.get("feature_names") or (), int(params["num_feature"]))
    if int(params.get("num_target", "1") or 1) > 1:
        raise refused("the model predicts several targets", "a package has one")
    outputs = max(1, int(params.get("num_class", "0")))
    if (outputs > 1 and objective.task != "multiclass") or outputs > 10_000:
        raise refused(f"the model has {outputs} outputs, which '{name}' has not")
    base = np.resize(_start(str(params["base_score"]), objective), outputs)
    booster = jsons.at(learner, "gradient_booster")
    kind = str(booster.get("name", ""))
    best = str((learner.get("attributes") or {}).get("best_iteration", ""))
    if kind == "gblinear":
        inputs, native, rounds = numbers(names), _linear(booster, base, objective, len(names)), 0
    elif kind in ("gbtree", "dart"):
        inputs, trees = _trees(booster, kind, names, learner, base, objective, best)
        native, rounds = native_of(trees), len(trees.trees) // outputs
    else:
        raise refused(f"XGBoost's booster '{kind}' cannot be imported")
    count = {"binary": 2, "multiclass": outputs, "regression": 0}[objective.task]
    classes = classes_of(asked, (), count) if count else ()
    stopped = _stopped(best) if kind != "gblinear" else ""
    notes = tuple(note for note in (objective.note, stopped) if note)
    return Foreign("xgboost", objective.task, classes, inputs, native, {"objective": name}, rounds, notes)


def _start(text: str, objective: _Objective) -> np.ndarray:
    """The score without any tree: a number, or a list of one for each class."""
    base = np.array([float(part) for part in text.strip("[]").split(",")], dtype=np.float32).astype(
        np.float64
    )
    if objective.start == "logit":
        with np.errstate(divide="ignore", invalid="ignore"):
            base = np.log(base) - np.log1p(-base)
    if objective.start == "log":
        with np.errstate(divide="ignore", invalid="ignore"):
            base = np.log(base)
    return base


def _linear(booster: Mapping[str, Any], base: np.ndarray, objective: _Objective, features: int) -> Native:
    """Weights by feature, the intercepts last; a missing value adds nothing."""
    if objective.link != "identity":
        raise refused("a linear booster whose scores are logarithms cannot be imported")
    weights = np.array(jsons.at(booster, "model", "weights"), dtype=np.float64).reshape(
        features + 1, len(base)
    )
    if not np.isfinite(weights).all():
        raise refused("the model has weights that are no numbers")
    rest = {"impute": np.zeros(features), "mean": np.zeros(features), "scale": np.ones(features)}
    fitted = {**rest, "coef": weights[:-1].T, "intercept": weights[-1] + base}
    content = canonical.dump_bytes({k: v.astype(np.float32).tolist() for k, v in fitted.items()})
    return Native("linear", "linear.json", content)


def _trees(
    booster: Mapping[str, Any],
    kind: str,
    names: Sequence[str],
    learner: Mapping[str, Any],
    base: np.ndarray,
    objective: _Objective,
    best: str,
) -> tuple[tuple[Input, ...], Trees]:
    model = jsons.at(booster, "gbtree", "model") if kind == "dart" else jsons.at(booster, "model")
    saved, targets = list(model["trees"]), [int(t) for t in model["tree_info"]]
    drops = [float(w) for w in booster["weight_drop"]] if kind == "dart" else [1.0] * len(saved)
    if not len(saved) == len(targets) == len(drops):
        raise ValueError(f"{len(saved)} trees, of which {len(targets)} say their output")
    if best:
        kept = _rounds(best) * len(base) * _parallel(model)
        saved, targets, drops = saved[:kept], targets[:kept], drops[:kept]
    check_codes(sum(int(np.sum(np.asarray(t["categories_sizes"], dtype=np.int64))) for t in saved))
    levels = _levels(learner.get("feature_types") or (), model, saved)
    sets = Sets(names, levels)
    grown = [
        _tree(tree, target, weight, sets) for tree, target, weight in zip(saved, targets, drops, strict=True)
    ]
    inputs, trees = sets.finished(grown, inside=1.0)
    features = sum(len(one.fitted.features) for one in inputs)
    return inputs, Trees(trees, base, features, objective.link)


def _rounds(best: str) -> int:
    """How many rounds the library predicts with, where the training was stopped early."""
    if not best.isdecimal():
        raise refused(f"the best iteration of the model is '{best}', which is no whole number")
    return int(best) + 1


def _parallel(model: Mapping[str, Any]) -> int:
    """How many trees for each output stand in a round."""
    return max(1, int((model.get("gbtree_model_param") or {}).get("num_parallel_tree", "1") or 1))


def _stopped(best: str) -> str:
    if not best:
        return ""
    return f"its training was stopped early: the best {_rounds(best)} rounds are taken, as XGBoost's estimators do"


def _tree(saved: Mapping[str, Any], target: int, weight: float, sets: Sets) -> Tree:
    if int(jsons.at(saved, "tree_param", "size_leaf_vector") or 1) > 1:
        raise refused("the trees have a vector in each leaf (multi_strategy), which cannot be imported")
    tree = to_tree(_plain(saved, sets), target)
    return replace(tree, value=tree.value * weight) if weight != 1 else tree


def _plain(saved: Mapping[str, Any], sets: Sets) -> Mapping[str, Any]:
    """The tree with a comparison in the place of each set: XGBoost goes right for the categories in it."""
    asked = _sets_of(saved)
    left = np.array(saved["left_children"], dtype=np.int64)
    by_set = (np.array(saved["split_type"], dtype=np.int64) == 1) & (left >= 0)
    feature = np.array(saved["split_indices"], dtype=np.int64)
    if (feature[left >= 0] < 0).any() or (feature[left >= 0] >= len(sets.names)).any():
        raise refused("a tree of the model asks for a column that the model does not have")
    condition = np.array(saved["split_conditions"], dtype=np.float32)
    for node in np.flatnonzero((left >= 0) & ~by_set).tolist():
        if int(feature[node]) in sets.levels:
            raise refused(f"the model compares '{sets.names[int(feature[node])]}', which is a category")
    for node in np.flatnonzero(by_set).tolist():
        if int(feature[node]) not in sets.levels:
            raise refused(
                f"the model takes '{sets.names[int(feature[node])]}' for numbers and for categories"
            )
        feature[node] = sets.place(int(feature[node]), asked[node])
        condition[node] = 0.5
    return {**saved, "split_indices": feature, "split_conditions": condition}


def _sets_of(saved: Mapping[str, Any]) -> dict[int, frozenset[int]]:
    """The categories that each node asks for."""
    every = [int(code) for code in saved["categories"]]
    parts = zip(
        saved["categories_nodes"], saved["categories_segments"], saved["categories_sizes"], strict=True
    )
    return {int(node): frozenset(every[int(first) : int(first) + int(size)]) for node, first, size in parts}


def _levels(
    types: Sequence[str], model: Mapping[str, Any], saved: Sequence[Mapping[str, Any]]
) -> dict[int, Levels]:
    """The columns that are categories: by the names that the file has of them, else by the codes that trees ask for."""
    places = [place for place, kind in enumerate(types) if kind == "c"]
    kept = model.get("cats") or {}
    encodings = list(kept.get("enc") or ())
    codes: dict[int, set[int]] = {place: set() for place in places}
    for tree in saved:
        for node, wanted in _sets_of(tree).items():
            codes.setdefault(int(tree["split_indices"][node]), set()).update(wanted)
    found = {}
    for place, seen in codes.items():
        values = _values(encodings[place]) if place < len(encodings) else []
        named = dict(enumerate(values)) if values else {code: code for code in sorted(seen)}
        found[place] = Levels(named)
    return found


def _values(encoding: Mapping[str, Any]) -> list[Any]:
    """The categories in the order of their codes: texts (cut at offsets), or whole numbers."""
    values = np.asarray(encoding.get("values", ()))
    if "offsets" not in encoding:
        numbers = values.tolist()
        if any(float(value) != int(value) for value in numbers):
            raise refused("the model has categories that are numbers with fractions")
        return [int(value) for value in numbers]
    content = bytes(np.asarray(values, dtype=np.int64).astype(np.uint8))
    if not content.isascii():
        raise refused(
            "the model has categories that are not ASCII, whose text is cut",
            "XGBoost keeps as many bytes of a text as it has characters",
            "rename them before the training",
        )
    ends = [int(offset) for offset in encoding["offsets"]]
    return [content[first:end].decode("ascii") for first, end in pairwise(ends)]
