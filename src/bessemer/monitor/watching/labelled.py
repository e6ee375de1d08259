"""The rows whose labels came in the span of a window, whenever they were predicted, and which of them were wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bessemer.core.errors import UsageError
from bessemer.core.signature import Signature
from bessemer.monitor.reference import Reference
from bessemer.monitor.scored import truth_of
from bessemer.monitor.watching.logged import outputs_in
from bessemer.monitor.watching.watched import Watched
from bessemer.package.prediction_log.read import labelled_between
from bessemer.stats.arrays import Bools, Floats, Ints
from bessemer.stats.error_bins import ErrorBins, order_of

if TYPE_CHECKING:
    import pyarrow as pa

#: Why errors cannot be compared: of numbers it takes what one test row in ten exceeded.
NO_ERRORS = "the package was made before reference.json had `errors`: make it again with `bessemer run`"


@dataclass(frozen=True)
class Labelled:
    """n rows in the order in which their labels came.

    times: when they did, microseconds since 1970, int64 (n,). wrong: bool (n,). order: the probability or prediction
    that puts them in bins, NaN where it was not logged (n,). batch: the columns of the log that were asked for.
    """

    times: Ints
    wrong: Bools
    order: Floats
    batch: pa.RecordBatch


def known_errors(reference: Reference, task: str) -> ErrorBins | None:
    """How many test rows were wrong; in an older package of a classifier as its accuracy says, in one bin."""
    accuracy = (reference.facts["performance"].get("accuracy") or {}).get("value")
    if reference.errors is not None or task == "regression" or accuracy is None:
        return reference.errors
    rows = float(reference.facts["output_rows"])
    return ErrorBins(
        np.array([0.0, 1.0]), np.array([rows]), np.array([round(rows * (1 - accuracy))]), np.zeros(0)
    )


def labelled(watched: Watched, known: ErrorBins, inputs: Sequence[str] = ()) -> Iterator[Labelled]:
    """Stream the rows whose first label came in the window's span.

    Args:
        inputs: of the model, also wanted.
    """
    import pyarrow.parquet as pq

    signature = watched.model.signature
    path = _copied(watched)
    if path is None:
        return
    with pq.ParquetFile(path) as file:
        if not file.metadata.num_rows:
            return
        columns = ["label", "label_time", *_outputs(signature), *(f"in.{name}" for name in inputs)]
        for batch in file.iter_batches(65_536, columns=columns):
            yield _judged(batch, signature, known)


def _copied(watched: Watched) -> Path | None:
    """The rows as a Parquet file beside the window: the log is read once for all watchers. None: nothing is logged."""
    import pyarrow.parquet as pq

    window, version = watched.window, watched.model.version
    path = window.path.with_name(
        f"labelled-{window.start:%Y%m%dT%H%M%S.%f}-{window.end:%Y%m%dT%H%M%S.%f}.parquet"
    )
    if path.exists():
        return path
    span = (window.start.replace(tzinfo=dt.UTC), window.end.replace(tzinfo=dt.UTC))
    try:
        reader = labelled_between(watched.log, watched.name, *span, version=version)
    except UsageError:
        return None
    unfinished = path.with_suffix(".part")
    with pq.ParquetWriter(unfinished, reader.schema) as file:
        for batch in reader:
            file.write_batch(batch)
    return unfinished.rename(path)


def _outputs(signature: Signature) -> list[str]:
    if signature.task == "regression":
        return ["out.prediction"]
    if signature.task == "binary":
        return ["out.prediction", "out.probability", "out.score"]
    return ["out.prediction", *(f"out.probability_{name}" for name in signature.classes)]


def _judged(batch: pa.RecordBatch, signature: Signature, known: ErrorBins) -> Labelled:
    predicted, probability, _ = outputs_in(batch, signature)
    truth = truth_of(batch.column("label"), signature)
    order = predicted if signature.task == "regression" else order_of(signature.task, probability)
    there = np.isfinite(truth) & np.isfinite(predicted)
    times = batch.column("label_time").cast("int64").to_numpy()[there]
    wrong = known.wrong(truth[there], predicted[there])
    return Labelled(times, wrong, order[there], batch.filter(_mask(there)))


def _mask(there: Bools) -> pa.Array:
    import pyarrow as pa

    return pa.array(there)


def moment(microseconds: int) -> str:
    """A time for a sentence or JSON, UTC, to the second.

    >>> moment(1767225600_000000)
    '2026-01-01T00:00:00'
    """
    return (dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=microseconds)).isoformat(timespec="seconds")
