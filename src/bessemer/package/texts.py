"""What the graph made of texts it has seen: looked up instead of made again.

Encoding a category is a few string operators in onnxruntime, which cost more than walking the trees does; and a column
of categories has few of them. The numbers are the graph's own.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np

_MOST_TEXTS = 4096
_MOST_BYTES = 4 << 20


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
        self._places: dict[str, dict[str, int]] = {text: {} for text in sources.values()}
        self._tables: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def find(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | None:
        """The values for some rows; None where a text among them is new."""
        try:
            codes = {
                text: [places[value] for value in feeds[text].ravel().tolist()]
                for text, places in self._places.items()
            }
        except (KeyError, TypeError):  # a new text, or what is no text at all: the graph says what it is
            return None
        return {name: self._tables[name].take(codes[text], axis=0) for name, text in self._sources.items()}

    def learn(self, feeds: Mapping[str, np.ndarray], made: Mapping[str, np.ndarray]) -> None:
        """Keep what the graph made of the rows' texts, as long as there is room."""
        with self._lock:
            for text, places in self._places.items():
                self._learn(text, places, feeds[text].ravel().tolist(), made)

    def _learn(
        self, text: str, places: dict[str, int], values: list[str], made: Mapping[str, np.ndarray]
    ) -> None:
        names = [name for name, source in self._sources.items() if source == text]
        if any(made[name].ndim != 2 or len(made[name]) != len(values) for name in names):
            return
        size = max(1, sum(made[name].shape[1] * made[name].itemsize for name in names))
        room = min(_MOST_TEXTS, _MOST_BYTES // size) - len(places)
        new = {value: row for row, value in enumerate(values) if value not in places}
        chosen = dict(list(new.items())[: max(0, room)])
        if not chosen:
            return
        rows = list(chosen.values())
        for name in names:  # the tables first: a reader that finds a text finds its row
            known = self._tables.get(name)
            fresh = made[name].take(rows, axis=0)
            self._tables[name] = fresh if known is None else np.concatenate([known, fresh])
        first = len(places)
        places.update({value: first + i for i, value in enumerate(chosen)})
