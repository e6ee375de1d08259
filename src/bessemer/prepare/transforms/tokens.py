"""Texts as rows of word numbers, for networks that read words in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bessemer.core.signature import DType
from bessemer.prepare.transforms.base import Block, CrossFit, Feature, Layout, TrainColumn
from bessemer.prepare.transforms.words import END, add_split, vocabulary

if TYPE_CHECKING:
    from bessemer.package.graph import GraphBuilder
    from bessemer.prepare.spec import PrepareSpec

_PADDING, _UNKNOWN, _FIRST = 0, 1, 2


@dataclass(frozen=True)
class FittedTokens:
    """`forms` maps a form to the position of its word in the vocabulary."""

    forms: Mapping[str, int]
    features: tuple[Feature, ...]
    layout: Layout
    crossfit: CrossFit | None = None

    def add(self, builder: GraphBuilder, value: str) -> Block:
        length = len(self.features)
        tokens, _ = add_split(builder, value)
        ids = builder.op(
            "LabelEncoder",
            [tokens],
            domain="ai.onnx.ml",
            keys_strings=["", END, *self.forms],
            values_int64s=[_PADDING, _PADDING, *(_FIRST + place for place in self.forms.values())],
            default_int64=_UNKNOWN,
        )
        padded = builder.op("Pad", [ids, _ints(builder, [0, 0, 0, length])])
        cut = builder.op("Slice", [padded, *(_ints(builder, [each]) for each in (0, length, 1))])
        return Block(builder.cast(cut, "float32"))


class Tokens:
    """The first `length` words: 0 behind the end, 1 for a word that is not in the vocabulary, 2 and on for the
    `vocabulary` most frequent ones."""

    dtypes: ClassVar[tuple[DType, ...]] = ("string",)
    encodings: ClassVar[tuple[str, ...]] = ()

    def fit(
        self, column: TrainColumn, spec: PrepareSpec, encode: Sequence[str] | None
    ) -> FittedTokens | None:
        name = column.column.name
        settings = spec.of(name).tokens or spec.tokens
        words, forms = vocabulary(column, settings.vocabulary, lower=settings.lower)
        if not words:
            return None
        features = tuple(
            Feature(
                f"{name}: word {i + 1}", name, "token", f"number of word {i + 1} of {name}, 0 behind its end"
            )
            for i in range(settings.length)
        )
        return FittedTokens(forms, features, Layout("tokens", (settings.length,), len(words) + _FIRST))


def _ints(builder: GraphBuilder, values: Sequence[int]) -> str:
    return builder.constant(np.array(values, dtype=np.int64))
