"""The one place of a server that predicts: tensors in, the graph's outputs and their contributions out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from bessemer.core.signature import Signature
from bessemer.package.contributions import Contributions
from bessemer.package.session import missing_tensor
from bessemer.serve.wire import Batch, Predictions


class Runs(Protocol):
    """What runs the graph (`package.session.GraphSession`)."""

    def run_feeds(
        self, feeds: Mapping[str, np.ndarray[Any, Any]], outputs: Any
    ) -> dict[str, np.ndarray[Any, Any]]: ...


class Predictor:
    """A graph, and the native model that explains it where there is one. Safe to use from several threads."""

    def __init__(self, signature: Signature, session: Runs, contributions: Contributions | None) -> None:
        self.signature = signature
        self._session = session
        self._contributions = contributions
        self._outputs = tuple(field.name for field in signature.outputs)

    @property
    def groups(self) -> tuple[str, ...]:
        """What contributions are given for; () where the model has none."""
        return self._contributions.groups if self._contributions else ()

    def warm(self, *, explain: bool) -> None:
        """Do once, before the first request, all that is done once: open the sessions, parse the trees."""
        row = {field.name: missing_tensor(field) for field in self.signature.inputs}
        self.predict(Batch(1, row))
        if explain:
            self.predict(Batch(1, row, explain=True))

    def predict(self, batch: Batch) -> Predictions:
        """What the model says about each row of a batch, in the batch's order."""
        if not batch.explain or self._contributions is None:
            return Predictions(self._session.run_feeds(batch.feeds, self._outputs))
        found = self._session.run_feeds(batch.feeds, (*self._outputs, "features"))
        base, each = self._contributions.compute(found.pop("features"))
        sums = self._contributions.by_group(each)
        rows = np.arange(len(base))
        told = _explained_class(found, base.shape[1])
        return Predictions(
            found,
            base=base[rows, told],
            explained=found["score"][rows, told],
            contributions={group: sums[rows, i, told] for i, group in enumerate(self.groups)},
        )


def _explained_class(found: Mapping[str, np.ndarray[Any, Any]], scores: int) -> np.ndarray[Any, Any]:
    """Which column of the score each row's contributions speak of: the only one, or the predicted class's."""
    if scores == 1:
        return np.zeros(len(found["score"]), dtype=np.int64)
    predicted: np.ndarray[Any, Any] = found["probability"].argmax(axis=1)
    return predicted
