"""The one place of a server that predicts: batches in, the graph's outputs and their contributions out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from bessemer.core.further import outputs_of
from bessemer.core.signature import Field, Signature
from bessemer.package.contributions import Contributions
from bessemer.package.images import RefusedImage
from bessemer.package.session import missing_tensor
from bessemer.serve.columns import rows_to_feeds, takes_matrix, to_matrix, typed_feeds
from bessemer.serve.errors import RowFault, bad_rows
from bessemer.serve.wire import Array, Batch, Predictions

#: Made for every request: the log, the shadows and the metrics of a run look at them, whatever the client wants.
_ALWAYS = ("prediction", "probability")
_MOST_ORDERS = 256


class Runs(Protocol):
    """What runs the graph (`package.session.GraphSession`)."""

    def run_feeds(self, feeds: Mapping[str, Array], outputs: Any) -> dict[str, Array]: ...

    def run_matrix(self, matrix: Array, outputs: Any) -> dict[str, Array]: ...


class Predictor:
    """A graph, and the native model that explains it where there is one. Safe to use from several threads."""

    def __init__(
        self,
        signature: Signature,
        session: Runs,
        contributions: Contributions | None,
        always: tuple[str, ...] = (),
    ) -> None:
        self.signature = signature
        self._session = session
        self._contributions = contributions
        self._usual = tuple(field.name for field in signature.outputs)
        self._known = (*self._usual, *(field.name for field in signature.on_request))
        self._always = (*_ALWAYS, *outputs_of(signature.further), *always)
        self._orders: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._takes_matrix = takes_matrix(signature.inputs) and len(signature.inputs) > 1

    @property
    def groups(self) -> tuple[str, ...]:
        """What contributions are given for; () where the model has none."""
        return self._contributions.groups if self._contributions else ()

    def warm(self, *, explain: bool) -> None:
        """Do once, before the first request, all that is done once: open the sessions, parse the trees."""
        feeds = {field.name: missing_tensor(field) for field in self.signature.inputs}
        values = [(None,) * len(feeds)]
        for outputs in dict.fromkeys((("prediction", "probability"), self._usual, self._known)):
            for batch in (Batch(1, values, outputs=outputs), Batch(1, feeds=feeds, outputs=outputs)):
                self.predict(batch)
            if self._takes_matrix:
                nothing = np.full((1, len(feeds)), np.nan, dtype=np.float32)
                self.predict(Batch(1, matrix=nothing, outputs=outputs))
        if explain:
            self.predict(Batch(1, feeds=feeds, explain=True))

    def predict(self, batch: Batch) -> Predictions:
        """What the model says about each row of a batch, in the batch's order.

        Raises:
            RequestError: 400 with every value that is not of its input's type.
        """
        return self.predict_together([batch])[0]

    def predict_together(self, batches: Sequence[Batch]) -> list[Predictions]:
        """The same for several batches in one run of the graph; all of them are explained, or none.

        Raises:
            RequestError: 400 when a value in any of them is not of its type; the rows are counted through all of them.
        """
        outputs = self._order(batches)
        try:
            if batches[0].explain and self._contributions is not None:
                whole = self._explained(batches, outputs)
            else:
                whole = Predictions(self._run(batches, outputs))
        except RefusedImage as error:
            raise bad_rows([RowFault(error.row, error.column, error.reason, fix=error.fix)]) from None
        if len(batches) == 1:
            return [whole]
        found, start = [], 0
        for batch in batches:
            found.append(whole.part(start, start + batch.rows))
            start += batch.rows
        return found

    def _order(self, batches: Sequence[Batch]) -> tuple[str, ...]:
        """The graph's outputs that any of the batches needs, and those that the log and the shadows look at; those who
        need the same share one run's tuple."""
        first = batches[0].outputs
        wanted = first
        for batch in batches:
            if batch.outputs is not first and batch.outputs != first:
                wanted = (*wanted, *batch.outputs)
        found = self._orders.get(wanted)
        if found is None:
            found = tuple(name for name in self._known if name in wanted or name in self._always)
            if len(self._orders) < _MOST_ORDERS:
                self._orders[wanted] = found
        return found

    def _run(self, batches: Sequence[Batch], outputs: tuple[str, ...]) -> dict[str, Array]:
        fields = self.signature.inputs
        rows: list[Sequence[Any]] = []
        typed = True
        for batch in batches:
            if batch.values is None:
                return self._run_tensors(batches, outputs)
            rows += batch.values
            typed = typed and batch.typed
        if typed and self._takes_matrix:
            return self._session.run_matrix(to_matrix(rows, fields), outputs)
        return self._session.run_feeds((typed_feeds if typed else rows_to_feeds)(rows, fields), outputs)

    def _run_tensors(self, batches: Sequence[Batch], outputs: tuple[str, ...]) -> dict[str, Array]:
        """The same where not all batches are rows of values."""
        fields = self.signature.inputs
        if not self._takes_matrix or not all(batch.typed or batch.matrix is not None for batch in batches):
            return self._session.run_feeds(self._feeds(batches), outputs)
        each = [
            batch.matrix if batch.matrix is not None else to_matrix(batch.values or (), fields)
            for batch in batches
        ]
        return self._session.run_matrix(each[0] if len(each) == 1 else np.concatenate(each), outputs)

    def _feeds(self, batches: Sequence[Batch]) -> Mapping[str, Array]:
        """The tensors of all batches, one after the other."""
        fields = self.signature.inputs
        each = [own_feeds(batch, fields) for batch in batches]
        if len(each) == 1:
            return each[0]
        return {field.name: np.concatenate([feeds[field.name] for feeds in each]) for field in fields}

    def _explained(self, batches: Sequence[Batch], outputs: tuple[str, ...]) -> Predictions:
        assert self._contributions is not None
        classes = ("probability",) if "probability" in self._known else ()
        wanted = dict.fromkeys([*outputs, "score", *classes, "features"])
        found = self._session.run_feeds(self._feeds(batches), tuple(wanted))
        base, sums = self._contributions.grouped(found.pop("features"))
        rows = np.arange(len(base))
        told = _explained_class(found, base.shape[1])
        return Predictions(
            found,
            base=base[rows, told],
            explained=found["score"][rows, told],
            contributions={group: sums[rows, i, told] for i, group in enumerate(self.groups)},
        )


def own_feeds(batch: Batch, fields: Sequence[Field]) -> Mapping[str, Array]:
    """The tensors of one batch, whatever it was read from."""
    tensors = batch.tensors([field.name for field in fields])
    if tensors is not None:
        return tensors
    return rows_to_feeds(batch.values or [], fields)


def _explained_class(found: Mapping[str, Array], scores: int) -> Array:
    """Which column of the score each row's contributions speak of: the only one, or the predicted class's."""
    if scores == 1:
        return np.zeros(len(found["score"]), dtype=np.int64)
    predicted: Array = found["probability"].argmax(axis=1)
    return predicted
