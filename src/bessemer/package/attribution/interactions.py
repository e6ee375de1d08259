"""Interaction values of a native model that is made of trees."""

from __future__ import annotations

import numpy as np

from bessemer.package.natives import Constant, Ensemble, Linear, NativeModel, Paired, components
from bessemer.package.trees.interactions import TreeInteractions
from bessemer.package.trees.shapley import TreeShapley


class Interactions:
    """What every pair of groups of features does together (see `trees.interactions`), before calibration.

    Args:
        group: (F,) int, the group of each feature, or -1. groups: P.
    """

    def __init__(self, model: NativeModel, group: np.ndarray, groups: int, threads: int = 1) -> None:
        members = model.members if isinstance(model, Ensemble) else [(1.0, model)]
        self._pairs = groups * (groups - 1) // 2
        self._members = [
            (weight, TreeInteractions(member.trees, group, groups, threads))
            for weight, member in members
            if isinstance(member, TreeShapley)
        ]

    @staticmethod
    def refuses(model: NativeModel) -> str:
        """Why a model has none, in a few words; '' where it has."""
        if any(isinstance(member, Paired) for member in _members(model)):
            return "it has features of two columns at once (look-ups or sums of pairs)"
        kinds = {type(one) for one in components(model)}
        if not kinds <= {TreeShapley, Linear, Constant}:
            return "it has a part that is neither trees nor linear"
        return "" if TreeShapley in kinds else "it has no trees"

    @property
    def work(self) -> float:
        """What one row costs, in about a nanosecond of one thread."""
        return sum(trees.work for _, trees in self._members)

    def compute(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, P (P - 1) / 2, K') float64. What is linear has no part in it."""
        found: np.ndarray = np.sum([weight * trees.compute(X) for weight, trees in self._members], axis=0)
        return found


def _members(model: NativeModel) -> list[NativeModel]:
    return [member for _, member in model.members] if isinstance(model, Ensemble) else [model]
