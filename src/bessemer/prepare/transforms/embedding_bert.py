"""BERT (Devlin et al. 2019) in nodes of the ONNX standard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bessemer.prepare.transforms.embedding_words import WordPieces

if TYPE_CHECKING:
    from bessemer.package.graph import GraphBuilder


@dataclass(frozen=True)
class Bert:
    """A pretrained sentence encoder.

    weights: name -> float32 array, as the file has them, without the prefix `bert.`.
    length: pieces of a text that are read, [CLS] and [SEP] among them.
    pooling: `mean` of all pieces, or `cls`, the first one.
    unit: whether the answer has length 1.
    """

    words: WordPieces
    weights: Mapping[str, np.ndarray]
    layers: int
    heads: int
    epsilon: float
    length: int
    pooling: str = "mean"
    unit: bool = True

    @property
    def size(self) -> int:
        """D, how many numbers the embedding has."""
        return len(self.weights["embeddings.LayerNorm.weight"])

    def add(self, g: GraphBuilder, text: str) -> str:
        """Add the nodes: text (1,) string -> (D,) float32."""
        ids = self.words.add(g, text, self.length)
        x = self._embedded(g, ids)
        for i in range(self.layers):
            x = self._layer(g, x, f"encoder.layer.{i}.")
        if self.pooling == "cls":
            pooled = g.op("Gather", [x, g.constant(np.int64(0))], axis=0)
        else:
            pooled = g.op("ReduceMean", [x, _axis(g, 0)], keepdims=0)
        if not self.unit:
            return pooled
        length = g.op("ReduceL2", [pooled, _axis(g, 0)], keepdims=1)
        return g.op("Div", [pooled, g.op("Max", [length, g.constant(np.float32(1e-12))])])

    def _embedded(self, g: GraphBuilder, ids: str) -> str:
        kind = self.weights["embeddings.token_type_embeddings.weight"][0]
        places = self.weights["embeddings.position_embeddings.weight"] + kind
        here = g.op("Slice", [g.constant(places), _axis(g, 0), g.op("Shape", [ids])])
        words = g.op("Gather", [g.constant(self.weights["embeddings.word_embeddings.weight"]), ids])
        return self._norm(g, g.op("Add", [words, here]), "embeddings.")

    def _layer(self, g: GraphBuilder, x: str, name: str) -> str:
        own, out = f"{name}attention.self.", f"{name}attention.output."
        scale = np.float32((self.size // self.heads) ** -0.5)
        query = self._heads(g, x, f"{own}query.", (1, 0, 2), scale)
        key = self._heads(g, x, f"{own}key.", (1, 2, 0))
        value = self._heads(g, x, f"{own}value.", (1, 0, 2))
        share = g.op("Softmax", [g.op("MatMul", [query, key])], axis=-1)
        seen = g.op("Transpose", [g.op("MatMul", [share, value])], perm=[1, 0, 2])
        joined = g.op("Reshape", [seen, g.constant(np.array([-1, self.size], dtype=np.int64))])
        x = self._norm(g, g.op("Add", [self._dense(g, joined, f"{out}dense."), x]), out)
        wide = g.op("Gelu", [self._dense(g, x, f"{name}intermediate.dense.")])
        narrow = self._dense(g, wide, f"{name}output.dense.")
        return self._norm(g, g.op("Add", [narrow, x]), f"{name}output.")

    def _heads(
        self,
        g: GraphBuilder,
        x: str,
        name: str,
        order: tuple[int, int, int],
        scale: np.float32 = np.float32(1),
    ) -> str:
        """(T, D) -> (T, heads, D / heads) in this order of axes."""
        shape = np.array([-1, self.heads, self.size // self.heads], dtype=np.int64)
        split = g.op("Reshape", [self._dense(g, x, name, scale), g.constant(shape)])
        return g.op("Transpose", [split], perm=list(order))

    def _dense(self, g: GraphBuilder, x: str, name: str, scale: np.float32 = np.float32(1)) -> str:
        weight = np.ascontiguousarray(self.weights[f"{name}weight"].T * scale)
        product = g.op("MatMul", [x, g.constant(weight)])
        return g.op("Add", [product, g.constant(self.weights[f"{name}bias"] * scale)])

    def _norm(self, g: GraphBuilder, x: str, name: str) -> str:
        scale, shift = (g.constant(self.weights[f"{name}LayerNorm.{part}"]) for part in ("weight", "bias"))
        return g.op("LayerNormalization", [x, scale, shift], axis=-1, epsilon=self.epsilon)


def _axis(g: GraphBuilder, axis: int) -> str:
    return g.constant(np.array([axis], dtype=np.int64))
