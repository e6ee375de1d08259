"""A model that was also told of pairs of columns, as one of the plain features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bessemer.package.pair_sums import SumPairs
from bessemer.package.pairs import encode_paired
from bessemer.train.learner import Native

if TYPE_CHECKING:
    import numpy as np

    from bessemer.package.pair_features import PairFeatures
    from bessemer.train.learner import Fitted


@dataclass(frozen=True)
class PairedModel:
    """A fitted model of features and pairs, as one of the features."""

    encoder: PairFeatures
    inner: Fitted

    @property
    def params(self) -> Mapping[str, Any]:
        """Those of the model inside, and of how many pairs of categories, or of numbers, it is told."""
        told = "sums" if isinstance(self.encoder, SumPairs) else "pairs"
        return {**self.inner.params, told: len(self.encoder.owners)}

    @property
    def iterations(self) -> int:
        return self.inner.iterations

    @property
    def curves(self) -> Mapping[str, list[tuple[int, float]]]:
        return self.inner.curves

    def margin(self, X: np.ndarray) -> np.ndarray:
        return self.inner.margin(self.encoder.added(X))

    def contributions(self, X: np.ndarray) -> np.ndarray:
        import numpy as np

        found = self.inner.contributions(self.encoder.added(X))
        each = self.encoder.shared(found[:, :, :-1].transpose(0, 2, 1)).transpose(0, 2, 1)
        return np.concatenate([each, found[:, :, -1:]], axis=2)

    def to_onnx(self) -> Any:
        from bessemer.package.graph import GraphBuilder

        inner = self.inner.to_onnx()
        wide, outputs = (
            value.type.tensor_type.shape.dim[1].dim_value
            for value in (inner.graph.input[0], inner.graph.output[0])
        )
        g = GraphBuilder("pairs")
        x = g.input("features", "float32", ("N", wide - self.encoder.features))
        score = g.embed(inner, {"features": self.encoder.add(g, x)}, "paired/")["score"]
        g.output(g.op("Identity", [score], name="score"), "float32", ("N", outputs))
        return g.model()

    def native(self) -> Native:
        inner = self.inner.native()
        return Native("pairs", "pairs.bin", encode_paired(self.encoder, inner.kind, inner.content))
