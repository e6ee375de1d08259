"""LightGBM's model text (`Booster.save_model`), of version 3 and later."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from bessemer.core.errors import did_you_mean
from bessemer.core.signature import Task
from bessemer.importers.models.categories import Levels, Sets, check_codes
from bessemer.importers.models.foreign import Asked, Foreign, classes_of, named, refused
from bessemer.importers.models.trees import native_of, reading
from bessemer.package.trees.model import Link, Trees
from bessemer.train.learners.lightgbm_text import TextTree, parse
from bessemer.train.learners.lightgbm_trees import to_trees

_CATEGORICAL, _MISSING_BITS, _ZERO = 1, 2, 1
_PANDAS, _TOLD = "\npandas_categorical:", "\n[categorical_feature: "
_RANKS = "its score ranks rows: it is imported as a number"


@dataclass(frozen=True)
class _Objective:
    task: Task
    link: Link = "identity"
    note: str = ""


_OBJECTIVES: Mapping[str, _Objective] = {
    "binary": _Objective("binary"),
    "multiclass": _Objective("multiclass"),
    **dict.fromkeys(
        ("regression", "regression_l1", "huber", "fair", "quantile", "mape"), _Objective("regression")
    ),
    **dict.fromkeys(("poisson", "gamma", "tweedie"), _Objective("regression", "exp")),
    **dict.fromkeys(("lambdarank", "rank_xendcg"), _Objective("regression", note=_RANKS)),
    "custom": _Objective(
        "regression", note="its objective is its owner's: the raw score is imported as a number"
    ),
}


class LightGBM:
    """A booster of trees."""

    TITLE: ClassVar[str] = "LightGBM text"

    def recognises(self, head: bytes) -> bool:
        lines = head.lstrip().splitlines()
        return bool(lines) and lines[0].strip() == b"tree" and b"version=" in head

    def read(self, data: bytes, asked: Asked) -> Foreign:
        with reading("LightGBM model"):
            return _read(data.decode("utf-8").replace("\r\n", "\n"), asked)


def _read(text: str, asked: Asked) -> Foreign:
    if "\nend of trees" not in text:
        raise refused("the file of LightGBM's model ends before its trees do", "there is no 'end of trees'")
    model = parse(text, categories=True)
    header = dict(line.partition("=")[::2] for line in model.header)
    words = header.get("objective", "custom").split()
    name, settings = words[0], dict(word.partition(":")[::2] for word in words[1:])
    if name not in _OBJECTIVES or "sqrt" in settings:
        raise refused(
            f"the objective '{' '.join(words)}' of LightGBM cannot be imported",
            "what its scores mean has no counterpart",
            did_you_mean(name, _OBJECTIVES, limit=40),
        )
    objective, outputs = _OBJECTIVES[name], model.per_iteration
    if (outputs > 1) != (objective.task == "multiclass") or not 0 < outputs <= 10_000:
        raise refused(f"the model has {outputs} scores a row, which '{name}' has not")
    if not model.trees or len(model.trees) % outputs:
        raise refused(f"the model has {len(model.trees)} trees, {outputs} in each round")
    _check_sizes(model.trees, header)
    features = int(header["max_feature_idx"]) + 1
    names = named(asked, header.get("feature_names", "").split(), features)
    sets = Sets(names, _levels(text, header, model.trees, features))
    plain = replace(model, trees=tuple(_plain(tree, sets) for tree in model.trees))
    summed = to_trees(plain, features)
    inputs, grown = sets.finished(summed.trees, inside=0.0)
    made = Trees(grown, summed.base, sum(len(i.fitted.features) for i in inputs))
    if "average_output" in header:
        made = made.scaled(outputs / len(model.trees))
    made = made.scaled(float(settings.get("sigmoid", 1))) if name == "binary" else made
    count = {"binary": 2, "multiclass": outputs, "regression": 0}[objective.task]
    return Foreign(
        "lightgbm",
        objective.task,
        classes_of(asked, (), count) if count else (),
        inputs,
        native_of(replace(made, link=objective.link)),
        {"objective": name},
        len(model.trees) // outputs,
        (objective.note,) if objective.note else (),
    )


def _check_sizes(trees: Sequence[TextTree], header: Mapping[str, str]) -> None:
    """Before any node is followed: as many trees as there are sizes, each with as many leaves as it says."""
    said = len(header.get("tree_sizes", "").split())
    if said and said != len(trees):
        raise refused(f"the model says {said} trees, and there are {len(trees)}")
    for i, tree in enumerate(trees):
        leaves = int(tree.fields.get("num_leaves", "0"))
        if leaves < 1 or len(tree.leaves) != leaves:
            raise refused(f"tree {i} says {leaves} leaves, and there are {len(tree.leaves)}")
    check_codes(sum(_codes_in(tree) for tree in trees))


def _levels(
    text: str, header: Mapping[str, str], trees: Sequence[TextTree], features: int
) -> dict[int, Levels]:
    """The columns that are categories: with the values that pandas gave their codes, else the codes themselves."""
    infos = header.get("feature_infos", "").split()
    places = [j for j, info in enumerate(infos[:features]) if info != "none" and not info.startswith("[")]
    asked = _codes_of(trees)
    named = _matched(_pandas(text), infos[:features], _said(text))
    return {
        j: Levels(
            dict(enumerate(named[j])) if j in named else {c: c for c in sorted(asked.get(j, {0}))}, 1.0, 1.0
        )
        for j in sorted({*places, *asked, *named})
    }


def _pandas(text: str) -> list[list[Any]]:
    line = text.rpartition(_PANDAS)[2].splitlines()[:1] if _PANDAS in text else []
    value = json.loads(line[0]) if line else None
    found: list[list[Any]] = []
    for values in value or ():
        if not (all(isinstance(v, str) for v in values) or all(type(v) is int for v in values)):
            raise refused("the model has categories that are neither texts nor whole numbers")
        found.append(list(values))
    return found


def _said(text: str) -> frozenset[int] | None:
    """The columns that the training was told are categories, where the file says it by their numbers."""
    line = text.rpartition(_TOLD)[2].partition("]")[0] if _TOLD in text else ""
    words = line.split(",")
    return frozenset(map(int, words)) if all(word.strip().isdecimal() for word in words) else None


def _matched(
    values: Sequence[list[Any]], infos: Sequence[str], told: frozenset[int] | None
) -> dict[int, list[Any]]:
    """Which column each of pandas' lists of categories is of: they stand in the columns' order, and no column is named.

    A column of whole numbers may be of categories too, without a list, and one that never varies says nothing of
    itself. So the lists are matched only where there is one way to do it.
    """
    most = {
        j: -1 if info == "none" else max(map(int, info.split(":")))
        for j, info in enumerate(infos)
        if not info.startswith("[") and (info != "none" or told is None or j in told)
    }
    # ways[k]: in how many ways the first k lists are of columns so far, and one of them
    ways: list[tuple[int, dict[int, list[Any]]]] = [(1, {}), *[(0, {})] * len(values)]
    for j, code in most.items():
        for k in range(len(values), 0, -1):
            count, found = ways[k - 1]
            if count and code < len(values[k - 1]):
                ways[k] = (min(2, ways[k][0] + count), {**found, j: values[k - 1]})
    if ways[-1][0] != 1:
        raise refused(
            f"the model has {len(values)} lists of categories, and which columns they are of is not said",
            "columns of categories that never vary, or of whole numbers beside those of pandas, fit them as well",
            "train it again without the columns that never vary, and with all categories as pandas'",
        )
    return ways[-1][1]


def _by_set(tree: TextTree) -> np.ndarray:
    return (tree.numbers("decision_type", np.int64) & _CATEGORICAL) > 0


def _codes_of(trees: Sequence[TextTree]) -> dict[int, set[int]]:
    """The codes that the trees ask for, by column."""
    found: dict[int, set[int]] = {}
    for tree in trees:
        split = tree.numbers("split_feature", np.int64)
        for node, codes in _sets_of(tree).items():
            found.setdefault(int(split[node]), set()).update(codes)
    return found


def _set_places(tree: TextTree) -> dict[int, int]:
    """The number of the set of each node that asks for one."""
    nodes = np.flatnonzero(_by_set(tree))
    places = tree.numbers("threshold", np.float64) if len(nodes) else np.zeros(0)
    return {node: int(places[node]) for node in nodes.tolist()}


def _words_of(tree: TextTree) -> tuple[np.ndarray, np.ndarray]:
    """Where each set begins and the last one ends, and the words, whose bits are the categories in a set."""
    cuts, words = tree.numbers("cat_boundaries", np.int64), tree.numbers("cat_threshold", np.uint32)
    if len(cuts) and (cuts[0] < 0 or cuts[-1] > len(words) or (np.diff(cuts) <= 0).any()):
        raise ValueError(f"sets of categories from word {cuts[0]} to {cuts[-1]} of {len(words)}")
    return cuts, words


def _codes_in(tree: TextTree) -> int:
    """How many categories the nodes ask for: a set counts as often as nodes name it."""
    places = np.array(list(_set_places(tree).values()), dtype=np.int64)
    if not len(places):
        return 0
    cuts, words = _words_of(tree)
    if places.min() < 0 or places.max() >= len(cuts) - 1:
        raise ValueError(f"a node asks for set {places.max()} of {len(cuts) - 1}")
    until = np.concatenate([[0], np.cumsum(np.bitwise_count(words), dtype=np.int64)])
    return int((until[cuts[places + 1]] - until[cuts[places]]).sum())


def _sets_of(tree: TextTree) -> dict[int, frozenset[int]]:
    """The categories that go left at each node that asks for some."""
    nodes = _set_places(tree)
    cuts, words = _words_of(tree) if nodes else (np.zeros(0), np.zeros(0))
    sets: dict[int, frozenset[int]] = {}
    for place in set(nodes.values()):
        own = words[int(cuts[place]) : int(cuts[place + 1])]
        bits = np.unpackbits(own.astype("<u4").view(np.uint8), bitorder="little")
        sets[place] = frozenset(np.flatnonzero(bits).tolist())
    return {node: sets[place] for node, place in nodes.items()}


def _plain(tree: TextTree, sets: Sets) -> TextTree:
    """The tree with a comparison in the place of each set: LightGBM goes left for the categories in it."""
    kind = tree.numbers("decision_type", np.int64)
    numeric = (kind & _CATEGORICAL) == 0
    if ((kind >> _MISSING_BITS & 3 == _ZERO) & numeric).any():
        raise refused(
            "the model takes zero for missing",
            "its trees were trained with `zero_as_missing`",
            "train without it",
        )
    split = tree.numbers("split_feature", np.int64)
    if len(split) and not (split.min() >= 0 and split.max() < len(sets.names)):
        raise refused("a tree of the model asks for a column that the model does not have")
    threshold = tree.numbers("threshold", np.float64)
    for node, codes in _sets_of(tree).items():
        split[node], threshold[node], kind[node] = sets.place(int(split[node]), codes), 0.5, 0
    for node in np.flatnonzero(numeric).tolist():
        if int(split[node]) in sets.levels:
            raise refused(f"the model compares '{sets.names[int(split[node])]}', which is a category")
    own = {"split_feature": split, "threshold": threshold, "decision_type": kind}
    made = {name: " ".join(map(repr, values.tolist())) for name, values in own.items()}
    return TextTree({**tree.fields, **made})
