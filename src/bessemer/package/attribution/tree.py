"""Path-dependent Shapley values, for models that are trees and nothing else."""

from __future__ import annotations

from typing import ClassVar

from bessemer.package.attribution.auto import Auto
from bessemer.package.natives import LightGBMText, NativeModel, components
from bessemer.package.trees.shapley import TreeShapley


class Tree(Auto):
    """Shapley values where an unknown feature sends a row down both sides of a branch (see `trees.shapley`).

    Source: Lundberg et al., "From local explanations to global understanding with explainable AI for trees", Nature
    Machine Intelligence 2 (2020).
    """

    against: ClassVar[str] = "the training rows that reached each branch of the trees"

    @staticmethod
    def refuses(model: NativeModel) -> str:
        grown = all(isinstance(one, TreeShapley | LightGBMText) for one in components(model))
        return "" if grown else "it has a part that is no tree"
