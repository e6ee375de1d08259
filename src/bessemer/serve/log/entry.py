"""What a server gives to the prediction log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(slots=True)
class Entry:
    """A scored batch of N rows; rows of one request are all in one batch.

    ids: for each row its prediction's id: the request's where that has one row, else `REQUEST-ROW`.
    rows: for each row its JSON values in the signature's order, None where missing; or
    feeds: the graph's input tensors (N, 1), where the request came as arrays.
    outputs: `prediction` (N,), for classes `probability` (N, K) and `score` (N, K'); the last two may be absent.
    time: when it was scored, Unix seconds. latency: seconds, a row. client, dialect: a row; '' where not known.
    requests: for each row its request's id, which decides about sampling; read off `ids` by default.
    """

    model: str
    version: str
    ids: Sequence[str]
    rows: Sequence[tuple[Any, ...]] | None
    feeds: Mapping[str, np.ndarray[Any, Any]] | None
    outputs: Mapping[str, np.ndarray[Any, Any]]
    time: float
    latency: Sequence[float]
    client: Sequence[str]
    dialect: Sequence[str]
    requests: Sequence[str] | None = None

    def subset(self, at: Sequence[int]) -> Entry:
        """The entry with these rows only."""

        def of(values: Any) -> list[Any]:
            return [values[i] for i in at]

        def arrays(values: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
            return {name: array[list(at)] for name, array in values.items()}

        return Entry(
            self.model,
            self.version,
            of(self.ids),
            None if self.rows is None else of(self.rows),
            None if self.feeds is None else arrays(self.feeds),
            arrays(self.outputs),
            self.time,
            of(self.latency),
            of(self.client),
            of(self.dialect),
        )


@dataclass(slots=True)
class Label:
    """What turned out to be true: a class of the model, or a number.

    time: since when it has been known, Unix seconds; of several labels of a prediction the latest counts. arrived: when
    the server took it, which no client can choose; `time` by default.
    """

    prediction_id: str
    label: Any
    time: float
    client: str = ""
    arrived: float | None = None
