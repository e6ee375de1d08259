"""Short texts: how many words, and how often each of the most frequent words occurs.

What a word is says `words`. A form that never occurred in training, and that is not the word in lower, upper or title
case, is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bessemer.core.signature import DType
from bessemer.prepare.transforms.base import Block, CrossFit, Feature, TrainColumn
from bessemer.prepare.transforms.words import add_split, vocabulary

if TYPE_CHECKING:
    from bessemer.package.graph import GraphBuilder
    from bessemer.prepare.spec import PrepareSpec


@dataclass(frozen=True)
class FittedText:
    """`forms` maps a form to the position of its word, `words` counts them; `count` asks for the word count."""

    forms: Mapping[str, int]
    words: int
    count: bool
    features: tuple[Feature, ...]
    crossfit: CrossFit | None = None

    def add(self, builder: GraphBuilder, value: str) -> Block:
        tokens, number = add_split(builder, value)
        made = []
        if self.count:
            made.append(self._add_count(builder, number))
        if self.words:
            made.append(self._add_words(builder, tokens))
        return Block(made[0] if len(made) == 1 else builder.op("Concat", made, axis=1))

    def _add_count(self, builder: GraphBuilder, number: str) -> str:
        count = builder.op("Sub", [builder.cast(number, "float32"), builder.constant(np.float32(1))])
        none = builder.op("Equal", [count, builder.constant(np.float32(0))])
        return builder.op("Where", [none, builder.constant(np.float32("nan")), count])

    def _add_words(self, builder: GraphBuilder, tokens: str) -> str:
        codes = builder.op(
            "LabelEncoder",
            [tokens],
            domain="ai.onnx.ml",
            keys_strings=list(self.forms),
            values_int64s=list(self.forms.values()),
            default_int64=-1,
        )
        return builder.op(
            "TfIdfVectorizer",
            [codes],
            mode="TF",
            min_gram_length=1,
            max_gram_length=1,
            max_skip_count=0,
            ngram_counts=[0],
            ngram_indexes=list(range(self.words)),
            pool_int64s=list(range(self.words)),
        )


class Text:
    """The number of words (NaN where there is none) and the counts of the `text.words` most frequent ones."""

    dtypes: ClassVar[tuple[DType, ...]] = ("string",)
    encodings: ClassVar[tuple[str, ...]] = ("count", "words")

    def fit(self, column: TrainColumn, spec: PrepareSpec, encode: Sequence[str] | None) -> FittedText:
        name, chosen = column.column.name, encode or self.encodings
        features = []
        if "count" in chosen:
            features.append(Feature(f"{name}: words", name, "text", f"number of words in {name}"))
        forms: dict[str, int] = {}
        words: list[str] = []
        if "words" in chosen and spec.text.words:
            words, forms = vocabulary(column, spec.text.words)
            features += [
                Feature(f"{name} ~ {word}", name, "text", f"how often '{word}' occurs in {name}")
                for word in words
            ]
        return FittedText(forms, len(words), "count" in chosen, tuple(features))
