"""What every learner of additive trees fits: the library's own margins, and everything else from the neutral form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bessemer.train.learner import Native

if TYPE_CHECKING:
    import numpy as np

    from bessemer.package.trees.model import Trees
    from bessemer.package.trees.shapley import TreeShapley


@dataclass(frozen=True)
class TreeModel:
    """A fitted model of trees.

    trees: the model in the neutral form.
    predict: the margins of the library that grew them, (N, F) float32 -> (N, K') float64.
    """

    trees: Trees
    predict: Callable[[np.ndarray], np.ndarray]
    params: Mapping[str, Any]
    iterations: int
    curves: Mapping[str, list[tuple[int, float]]] = field(default_factory=dict)

    def margin(self, X: np.ndarray) -> np.ndarray:
        import numpy as np

        if not len(X):
            return np.zeros((0, self.trees.outputs))
        return np.asarray(self.predict(X), dtype=np.float64).reshape(len(X), self.trees.outputs)

    @cached_property
    def _shapley(self) -> TreeShapley:
        from bessemer.package.trees.shapley import TreeShapley

        return TreeShapley(self.trees, threads=2)

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """Path-dependent tree Shapley values (Lundberg et al. 2020)."""
        import numpy as np

        base, each = self._shapley.contributions(X)
        return np.concatenate([each, base[:, None, :]], axis=1).transpose(0, 2, 1)

    def to_onnx(self) -> Any:
        from bessemer.package.trees.onnx import to_onnx

        return to_onnx(self.trees)

    def native(self) -> Native:
        from bessemer.package.trees.codec import encode

        return Native("trees", "trees.bin", encode(self.trees))
