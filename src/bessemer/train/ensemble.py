"""Several fitted models as one: the weighted sum of their margins, in one graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bessemer.train.learner import Native
from bessemer.train.tree_model import TreeModel

if TYPE_CHECKING:
    import numpy as np

    from bessemer.train.learner import Fitted


@dataclass(frozen=True)
class Ensemble:
    """margin = sum over members of weight * margin. Contributions add up the same way.

    members: (weight, model), at least one.
    """

    members: tuple[tuple[float, Fitted], ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, list[tuple[int, float]]] = field(default_factory=dict)

    @property
    def iterations(self) -> int:
        """The rounds of all members together."""
        return sum(fitted.iterations for _, fitted in self.members)

    @cached_property
    def _merged(self) -> list[tuple[float, Fitted]]:
        return merged(self.members)

    def margin(self, X: np.ndarray) -> np.ndarray:
        import numpy as np

        total: np.ndarray = np.sum([weight * fitted.margin(X) for weight, fitted in self.members], axis=0)
        return total

    def contributions(self, X: np.ndarray) -> np.ndarray:
        import numpy as np

        parts = [weight * fitted.contributions(X) for weight, fitted in self._merged]
        total: np.ndarray = np.sum(parts, axis=0)
        return total

    def to_onnx(self) -> Any:
        """All members in one graph; those that are plain sums of trees in one operator."""
        from bessemer.package.graph import GraphBuilder

        heads = [(weight, fitted.to_onnx()) for weight, fitted in self._merged]
        features, outputs = (
            [d.dim_value for d in value.type.tensor_type.shape.dim][1]
            for value in (heads[0][1].graph.input[0], heads[0][1].graph.output[0])
        )
        g = GraphBuilder("ensemble")
        x = g.input("features", "float32", ("N", features))
        scores = [
            _weighted(g, g.embed(head, {"features": x}, f"member{i}/")["score"], weight)
            for i, (weight, head) in enumerate(heads)
        ]
        total = scores[0]
        for score in scores[1:]:
            total = g.op("Add", [total, score])
        g.output(g.op("Identity", [total], name="score"), "float32", ("N", outputs))
        return g.model()

    def native(self) -> Native:
        from bessemer.package.natives import Weighted, encode_ensemble

        each = [(weight, fitted.native()) for weight, fitted in self._merged]
        if len(each) == 1 and each[0][0] == 1:
            return each[0][1]
        members = [Weighted(weight, native.kind, native.content) for weight, native in each]
        return Native("ensemble", "ensemble.bin", encode_ensemble(members))


def _weighted(g: Any, score: str, weight: float) -> str:
    import numpy as np

    return score if weight == 1 else str(g.op("Mul", [score, g.constant(np.float32(weight))]))


def merged(members: Sequence[tuple[float, Fitted]]) -> list[tuple[float, Fitted]]:
    """The members, with all plain sums of trees of one kind made into one, its weights in the leaves."""
    plain: dict[int, list[tuple[float, TreeModel]]] = {}
    rest: list[tuple[float, Fitted]] = []
    for weight, fitted in members:
        if isinstance(fitted, TreeModel) and fitted.trees.link == "identity":
            plain.setdefault(fitted.trees.width, []).append((weight, fitted))
        else:
            rest.append((weight, fitted))
    return [(1.0, _sum(models)) for _, models in sorted(plain.items())] + rest


def _sum(models: Sequence[tuple[float, TreeModel]]) -> TreeModel:
    from bessemer.package.trees.model import added

    trees = added(fitted.trees.scaled(weight) for weight, fitted in models)
    rounds = sum(fitted.iterations for _, fitted in models)
    return TreeModel(trees, trees.margin, {}, rounds)
