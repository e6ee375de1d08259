"""Texts as the answer of a pretrained sentence encoder, which becomes a part of the graph.

Each row is computed by itself, as long as its text is: no row's features depend on the rows beside it, and nothing is
spent on padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bessemer.core.errors import UsageError
from bessemer.core.signature import DType
from bessemer.prepare.transforms.base import Block, CrossFit, Feature, Layout, TrainColumn
from bessemer.prepare.transforms.embedding_bert import Bert
from bessemer.prepare.transforms.embedding_folder import read_bert

if TYPE_CHECKING:
    from bessemer.package.graph import GraphBuilder
    from bessemer.prepare.spec import PrepareSpec


@dataclass(frozen=True)
class FittedEmbedding:
    """D features, the values of the embedding; NaN where there is no text."""

    bert: Bert
    features: tuple[Feature, ...]
    crossfit: CrossFit | None = None

    @property
    def layout(self) -> Layout:
        return Layout("embedding", (self.bert.size,))

    def add(self, builder: GraphBuilder, value: str) -> Block:
        body = builder.inner("text")
        row = body.input("row", "int64", ())
        go_on = body.input("go_on", "bool", ())
        text = body.op("Gather", [value, row], axis=0)
        body.output(body.op("Identity", [go_on]), "bool", ())
        body.output(self.bert.add(body, text), "float32", (self.bert.size,))
        rows = builder.op("Gather", [builder.op("Shape", [value]), builder.constant(np.int64(0))])
        made = builder.op("Loop", [rows, builder.constant(np.bool_(True))], body=body.graph())
        missing = builder.op("Equal", [value, builder.constant(np.array([[""]], dtype=object))])
        return Block(builder.op("Where", [missing, builder.constant(np.float32("nan")), made]))


class Embedding:
    """The embedding of a text by the model that `prepare.embedding` names, or the column's own `embedding`."""

    dtypes: ClassVar[tuple[DType, ...]] = ("string",)
    encodings: ClassVar[tuple[str, ...]] = ()

    def fit(self, column: TrainColumn, spec: PrepareSpec, encode: Sequence[str] | None) -> FittedEmbedding:
        """Nothing is learnt from the column: the model is read.

        Raises:
            UsageError: no model is named, or it cannot be read.
        """
        name = column.column.name
        said = spec.embedding_of(name)
        if said.model is None:
            raise UsageError(
                f"nothing says by which model '{name}' becomes an embedding",
                fix="say `prepare: {embedding: {model: FOLDER}}` with the folder of a BERT model",
            )
        bert = read_bert(Path(said.model), said.length)
        features = tuple(
            Feature(f"{name} embedding {i}", name, "embedding", f"value {i} of the embedding of {name}")
            for i in range(bert.size)
        )
        return FittedEmbedding(bert, features)
