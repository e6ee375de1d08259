"""Texts as texts: how long, which words, a few of them; and what identifiers look like."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.stats.arrays import tidy

if TYPE_CHECKING:
    from bessemer.report.data.layout import Layout
    from bessemer.report.data.sample import Sample

#: Texts that are read for words, words and shapes that are shown.
_READ, _WORDS, _SHAPES = 5_000, 30, 6
_WORD = re.compile(r"\w{2,}")
#: A value or word that fewer rows have may point at somebody: without samples it is not shown.
RARE = 10


def text_facts(sample: Sample, layout: Layout, samples: int) -> dict[str, Any]:
    """Words by the number of texts that have them, and some texts from all over the rows.

    Returns:
        read: texts that were read; words: [word, texts, mean target of them]; texts: none where `samples` is 0.
    """
    chosen, texts = _read(sample, layout.name, _READ)
    places: dict[str, list[int]] = {}
    for place, text in zip(chosen, texts, strict=True):
        for word in set(_WORD.findall(text.lower())):
            places.setdefault(word, []).append(place)
    least = 2 if samples else RARE
    ranked = sorted(places, key=lambda word: (-len(places[word]), word))[:_WORDS]
    words = [
        [w, len(places[w]), float(sample.y[places[w]].mean())] for w in ranked if len(places[w]) >= least
    ]
    facts: dict[str, Any] = tidy({"read": len(texts), "words": words, "texts": _some(texts, samples)}, 15)
    return facts


def identifier_facts(sample: Sample, layout: Layout, samples: int) -> dict[str, Any]:
    """The shapes of identifiers ("A-99": letters and digits by their kind) and some of them."""
    _, texts = _read(sample, layout.name, _READ)
    shapes = Counter(shape(text) for text in texts)
    ranked = sorted(shapes.items(), key=lambda pair: (-pair[1], pair[0]))
    kept = [[name, n] for name, n in ranked if samples or n >= RARE][:_SHAPES]
    return {"read": len(texts), "shapes": kept, "texts": _some(texts, samples)}


def shape(text: str) -> str:
    """The text with every letter as A or a, every digit as 9 and runs of one kind as one of it.

    >>> shape("AB-1234x")
    'A-9a'
    """
    kinds = "".join("9" if c.isdigit() else "A" if c.isupper() else "a" if c.isalpha() else c for c in text)
    return re.sub(r"(9|A|a)\1+", r"\1", kinds)[:60]


def _read(sample: Sample, name: str, most: int) -> tuple[list[int], list[str]]:
    import pyarrow as pa

    known = np.flatnonzero(~sample.missing[name])
    chosen = known[_even(len(known), most)]
    return chosen.tolist(), sample.column(name).take(pa.array(chosen)).to_pylist()


def _some(texts: list[str], samples: int) -> list[str]:
    return [texts[i] for i in _even(len(texts), samples)]


def _even(count: int, most: int) -> list[int]:
    """At most so many places, evenly over all."""
    return [int(i * count / min(count, most)) for i in range(min(count, most))]
