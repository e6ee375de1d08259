"""What the graph made of texts it has seen: looked up instead of made again.

Encoding a category is a few string operators in onnxruntime, which cost more than walking the trees does; and a column
of categories has few of them. The numbers are the graph's own.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence

import numpy as np

_MOST_TEXTS = 4096
_MOST_BYTES = 4 << 20
#: Characters of a text that is kept: a long one hardly comes again, and costs as much as it is long.
_LONGEST = 256


class Texts:
    """Values (N, C) of the graph that depend on one text input each, row by row; safe to use from several threads.

    Args:
        sources: the text input of each value.

    >>> texts = Texts({"one_hot": "plan"})
    >>> plans = np.array([["a"], ["b"]], dtype=object)
    >>> texts.find({"plan": plans}) is None
    True
    >>> texts.learn({"plan": plans}, {"one_hot": np.float32([[1, 0], [0, 1]])})
    >>> texts.find({"plan": plans[[1, 1, 0]]})["one_hot"].tolist()
    [[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]
    """

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = dict(sources)
        # Places of texts, and what was made of them: replaced together, so that a reader has what belongs together.
        places: dict[str, dict[str, int]] = {text: {} for text in sources.values()}
        tables: dict[str, np.ndarray] = {}
        self._known = (places, tables)
        self._lock = threading.Lock()

    def find(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | None:
        """The values for some rows; None where a text among them is new."""
        places, tables = self._known
        try:
            codes = {
                text: [known[value] for value in feeds[text].ravel().tolist()]
                for text, known in places.items()
            }
        except (KeyError, TypeError):  # a new text, or what is no text at all: the graph says what it is
            return None
        return {name: tables[name].take(codes[text], axis=0) for name, text in self._sources.items()}

    def learn(self, feeds: Mapping[str, np.ndarray], made: Mapping[str, np.ndarray]) -> None:
        """Keep what the graph made of the rows' texts; where there is no more room, those of before are forgotten."""
        with self._lock:
            for text in self._known[0]:
                self._learn(text, feeds[text].ravel().tolist(), made)

    def _learn(self, text: str, values: list[str], made: Mapping[str, np.ndarray]) -> None:
        names = [name for name, source in self._sources.items() if source == text]
        if any(made[name].ndim != 2 or len(made[name]) != len(values) for name in names):
            return
        size = _LONGEST + sum(made[name].shape[1] * made[name].itemsize for name in names)
        room = min(_MOST_TEXTS, _MOST_BYTES // size)
        places = self._known[0][text]
        new = _new(values, places)
        if new and len(places) + len(new) > room:
            places, new = self._forgotten(text, names), _new(values, {})
        self._add(places, dict(list(new.items())[:room]), {name: made[name] for name in names})

    def _forgotten(self, text: str, names: Collection[str]) -> dict[str, int]:
        """Start again with one text input."""
        places, tables = self._known
        fresh: dict[str, int] = {}
        kept = {name: table for name, table in tables.items() if name not in names}
        self._known = ({**places, text: fresh}, kept)
        return fresh

    def _add(self, places: dict[str, int], chosen: Mapping[str, int], made: Mapping[str, np.ndarray]) -> None:
        if not chosen:
            return
        rows, tables = list(chosen.values()), self._known[1]
        for name, values in made.items():  # the tables first: a reader that finds a text finds its row
            known = tables.get(name)
            fresh = values.take(rows, axis=0)
            tables[name] = fresh if known is None else np.concatenate([known, fresh])
        first = len(places)
        places.update({value: first + i for i, value in enumerate(chosen)})


def _new(values: Sequence[str], places: Mapping[str, int]) -> dict[str, int]:
    """The texts that are not known and may be, with a row of each."""
    return {value: row for row, value in enumerate(values) if value not in places and len(value) <= _LONGEST}
