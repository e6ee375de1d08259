"""The groups of rows by target: the classes, or the quartiles of a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from bessemer.stats.arrays import Floats, Ints, shown

#: Classes with a group of their own; the rarer ones share one.
CLASSES = 6


@dataclass(frozen=True)
class Target:
    """How rows are told apart by target.

    groups: names of the groups, in order. place: class index -> group (classification). cuts: what separates the
    groups (regression): a value belongs to the first group whose cut is not below it.
    """

    name: str
    task: str
    groups: tuple[str, ...]
    place: Ints
    cuts: Floats

    def codes(self, y: Floats) -> Ints:
        """The group of each row, int64 (rows,)."""
        if self.task == "regression":
            return np.searchsorted(self.cuts, y).astype(np.int64)
        return np.asarray(self.place[y.astype(np.int64)], dtype=np.int64)


def target_of(meta: Mapping[str, Any], y: Floats) -> Target:
    """The groups, from the facts of the splits and the target of a sample of rows, float64 (n,)."""
    classes = [str(value) for value in meta["classes"]]
    none = np.zeros(0)
    if meta["task"] == "regression":
        levels = np.quantile(y, [0.25, 0.5, 0.75], method="inverted_cdf") if len(y) else none
        cuts = np.unique(levels)
        cuts = cuts[cuts < y.max()] if len(y) else none
        return Target(meta["target"], "regression", _ranges(cuts), none.astype(np.int64), cuts)
    counts = np.bincount(y.astype(np.int64), minlength=len(classes))
    if len(classes) <= CLASSES + 1:
        place, groups = np.arange(len(classes)), classes
    else:
        alone = np.sort(np.argsort(-counts, kind="stable")[:CLASSES])
        place = np.full(len(classes), CLASSES)
        place[alone] = np.arange(CLASSES)
        groups = [*(classes[i] for i in alone), f"{len(classes) - CLASSES} rarer classes"]
    return Target(meta["target"], meta["task"], tuple(groups), place.astype(np.int64), none)


def _ranges(cuts: Floats) -> tuple[str, ...]:
    if not len(cuts):
        return ("all",)
    inner = [f"{shown(a)} to {shown(b)}" for a, b in pairwise(cuts.tolist())]
    return (f"up to {shown(float(cuts[0]))}", *inner, f"above {shown(float(cuts[-1]))}")
