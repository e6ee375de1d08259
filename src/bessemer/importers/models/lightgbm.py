"""LightGBM's model text (`Booster.save_model`), of version 3 and later."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from bessemer.core.errors import did_you_mean
from bessemer.core.signature import Task
from bessemer.importers.models.categories import Levels, Sets
from bessemer.importers.models.foreign import Asked, Foreign, classes_of, named, refused
from bessemer.importers.models.trees import native_of, reading
from bessemer.package.trees.model import Link, Trees
from bessemer.train.learners.lightgbm_text import TextTree, parse
from bessemer.train.learners.lightgbm_trees import to_trees

_CATEGORICAL, _MISSING_BITS, _ZERO = 1, 2, 1
_PANDAS = "\npandas_categorical:"
#: Most categories of all sets together: a bit each in the file, and more in memory.
_MOST_CODES = 5_000_000
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
    codes = sum(int(np.bitwise_count(tree.numbers("cat_threshold", np.uint32)).sum()) for tree in trees)
    if codes > _MOST_CODES:
        raise refused(f"the sets of the model have {codes:,} categories", f"up to {_MOST_CODES:,} are read")


def _levels(
    text: str, header: Mapping[str, str], trees: Sequence[TextTree], features: int
) -> dict[int, Levels]:
    """The columns that are categories: with the values that pandas gave their codes, else the codes themselves."""
    infos = header.get("feature_infos", "").split()
    places = [j for j, info in enumerate(infos[:features]) if info != "none" and not info.startswith("[")]
    asked = _codes_of(trees)
    values = _pandas(text)
    if values and len(values) != len(places):
        raise refused(
            f"the model has {len(values)} columns of categories, and {len(places)} that it looks at",
            "which are which is not said",
            "train it again without the columns of categories that never vary",
        )
    named = dict(zip(places, values, strict=True)) if values else {}
    return {
        j: Levels(
            dict(enumerate(named[j])) if j in named else {c: c for c in sorted(asked.get(j, {0}))}, 1.0, 1.0
        )
        for j in sorted({*places, *asked})
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


def _sets_of(tree: TextTree) -> dict[int, frozenset[int]]:
    """The categories that go left at each node that asks for some: bits of 32-bit words, cut at boundaries."""
    nodes = np.flatnonzero(_by_set(tree))
    if not len(nodes):
        return {}
    places = tree.numbers("threshold", np.float64)
    cuts, words = tree.numbers("cat_boundaries", np.int64), tree.numbers("cat_threshold", np.uint32)
    found = {}
    for node in nodes.tolist():
        place = int(places[node])
        first, end = int(cuts[place]), int(cuts[place + 1])
        if not 0 <= first < end <= len(words):
            raise ValueError(f"a set of categories from word {first} to {end} of {len(words)}")
        bits = np.unpackbits(words[first:end].astype("<u4").view(np.uint8), bitorder="little")
        found[node] = frozenset(np.flatnonzero(bits).tolist())
    return found


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
