"""The methods of additive explanations, and what they have in common."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from bessemer.core.blocks import BLOCK_FEATURES
from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.package.natives import NativeModel
    from bessemer.package.shapley import Estimate

#: Float32 numbers of one block of hybrid rows that a model is asked about (16 MB); and what making them costs, in
#: about a nanosecond a number.
BLOCK, COPY = 1 << 22, 2.0


@dataclass(frozen=True)
class Players:
    """What the parts are given to: P groups of features, each a raw column or a derived feature.

    of: (F,) int64, the group of each feature. first: (P,) int64, the first feature of each group.
    together: (F,) int64, the same where only features that mean something together (pixels, tokens) are one player.
    """

    of: np.ndarray
    first: np.ndarray
    together: np.ndarray

    @classmethod
    def named(cls, group_of: Sequence[str], kinds: Sequence[str] = ()) -> Players:
        """The groups in order of appearance.

        Args:
            kinds: of each feature, as features.json has them.

        >>> players = Players.named(["photo", "photo", "age", "age"], ["pixel", "pixel", "number", "number"])
        >>> players.of.tolist(), players.together.tolist()
        ([0, 0, 1, 1], [0, 0, 1, 2])
        """
        alone: list[Hashable] = list(range(len(group_of)))
        for i, kind in enumerate(kinds):
            if kind in BLOCK_FEATURES:
                alone[i] = group_of[i]
        of, together = _numbered(group_of), _numbered(alone)
        return cls(of, np.unique(of, return_index=True)[1], together)

    def __len__(self) -> int:
        return len(self.first)

    def spread(self, parts: np.ndarray) -> np.ndarray:
        """(N, P, K') -> (N, F, K'): a group's part stands at its first feature."""
        found = np.zeros((len(parts), len(self.of), parts.shape[2]))
        found[:, self.first] = parts
        return found


def _numbered(names: Sequence[Hashable]) -> np.ndarray:
    order = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names], dtype=np.int64)


class Attribution(Protocol):
    """Additive explanations of a native model, before calibration; safe to use from several threads.

    against: how the base is to be understood, to follow "measured against"; `{rows}` is the size of the background.
    draws: whether it needs rows of a background.
    """

    against: ClassVar[str]
    draws: ClassVar[bool]

    def __init__(
        self,
        model: NativeModel,
        players: Players,
        background: np.ndarray,
        settings: Mapping[str, int],
        threads: int = 1,
    ) -> None:
        """background: (B, F) float32, the `features` of some training rows; (0, F) where `draws` is False."""

    @staticmethod
    def refuses(model: NativeModel) -> str:
        """Why it cannot explain this model, in a few words; '' where it can."""

    @property
    def work(self) -> float:
        """What one row costs, in about a nanosecond of one thread."""

    def estimate(self, x: np.ndarray) -> Estimate:
        """x (N, F) float32 -> base (K',), parts (N, F, K') and their errors; base and parts sum to the margin."""


METHODS: PluginTable[Attribution] = PluginTable(
    "bessemer.attributions",
    {
        "auto": PluginRef(
            "bessemer.package.attribution.auto:Auto", summary="what is exact and quick for the kind of model"
        ),
        "tree": PluginRef(
            "bessemer.package.attribution.tree:Tree", summary="Shapley values along the paths of trees"
        ),
        "interventional": PluginRef(
            "bessemer.package.attribution.interventional:InterventionalShapley",
            summary="exact Shapley values of trees and linear models against training rows",
        ),
        "linear": PluginRef(
            "bessemer.package.attribution.linear:LinearParts",
            summary="coefficient times the distance from the mean",
        ),
        "kernel": PluginRef(
            "bessemer.package.attribution.kernel:Kernel",
            summary="Shapley values of any model by weighted least squares",
        ),
        "permutation": PluginRef(
            "bessemer.package.attribution.permutation:Permutation",
            summary="Shapley values of any model from random orders of the columns",
        ),
    },
)
