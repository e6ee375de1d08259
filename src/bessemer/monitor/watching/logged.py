"""A window of a prediction log: its rows as a Parquet file, scanned like any table, and what was said of them."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import UsageError
from bessemer.core.signature import Signature
from bessemer.monitor.reference import Sketch
from bessemer.monitor.scored import Scored, Tally, further_outputs, outputs_of, truth_of
from bessemer.package.prediction_log.operations import failures
from bessemer.package.prediction_log.read import read_log
from bessemer.stats.metrics.outcome import class_indices

if TYPE_CHECKING:
    import pyarrow as pa

#: The form of a hash in the log.
HASHED = "^[0-9a-f]{32}$"
_EPOCH = dt.datetime(1970, 1, 1)


@dataclass(frozen=True)
class LoggedWindow:
    """The rows of a log from `start` (included) to `end` (not), kept in a file while they are looked at.

    path: Parquet with the log's columns (`in.NAME`, `out.NAME`, `label`...). inputs: those of the model that were
    logged as they are; one that is hashed or left out says nothing.
    """

    path: Path
    rows: int
    inputs: tuple[str, ...]
    start: dt.datetime
    end: dt.datetime


def read_window(
    log: Path,
    model: str,
    version: str,
    signature: Signature,
    start: dt.datetime,
    end: dt.datetime,
    path: Path,
) -> LoggedWindow:
    """Copy a window of a log into a Parquet file, streaming. Times are naive and UTC.

    Where nothing was ever logged of the model, the file has no rows, and the first columns only.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        reader = read_log(log, model, version=version, since=_utc(start), until=_utc(end))
    except UsageError:
        names = ("prediction_id", "time", "client", "latency_us")
        pq.write_table(pa.table({name: pa.nulls(0) for name in names}), path)
        return LoggedWindow(path, 0, (), start, end)
    rows, hashes = 0, _Hashes(f"in.{field.name}" for field in signature.inputs if field.dtype == "string")
    with pq.ParquetWriter(path, reader.schema) as file:
        for batch in reader:
            file.write_batch(batch)
            rows += batch.num_rows
            hashes.see(batch)
    typed = {field.name: str(field.type) for field in reader.schema}
    inputs = [
        field.name
        for field in signature.inputs
        if f"in.{field.name}" in typed
        and (field.dtype == "string" or typed[f"in.{field.name}"] != "string")
        and f"in.{field.name}" not in hashes.found
    ]
    return LoggedWindow(path, rows, tuple(inputs), start, end)


class _Hashes:
    """Texts that a log has hashes of: all their values, of which there is one, have the form of its hashes.

    Inputs of other types show by theirs.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._possible, self._seen = set(names), set[str]()

    @property
    def found(self) -> set[str]:
        return self._possible & self._seen

    def see(self, batch: pa.RecordBatch) -> None:
        import pyarrow.compute as pc

        for name in self._possible & set(batch.schema.names):
            values = batch.column(name).drop_null()
            if len(values):
                self._seen.add(name)
                if not pc.all(pc.match_substring_regex(values, HASHED)).as_py():
                    self._possible.discard(name)


def filled(
    log: Path,
    model: str,
    version: str,
    span: tuple[dt.datetime, dt.datetime],
    every: float,
    least: int,
    *,
    goes_on: bool,
    longest: float | None = None,
) -> list[tuple[dt.datetime, dt.datetime]]:
    """The windows within a span that have enough rows, the oldest first; one with fewer goes on until it has them.

    Requests that failed count as rows: a server that answers nobody is looked at, too.

    Args:
        span: from (included) and to (not); all times are naive and UTC.
        every: the length of a window in seconds.
        goes_on: the first window begins with the span; else at a multiple of `every` since 1970 before the first row.
        longest: in seconds: a window that is so long ends, however few rows it has.
    """
    counts: Counter[int] = Counter()
    since, end = span
    origin = since if goes_on else _EPOCH
    try:
        for batch in read_log(
            log, model, version=version, since=_utc(since), until=_utc(end), labels=False, columns=["time"]
        ):
            passed = batch.column("time").cast("int64").to_numpy() - _micros(origin)
            counts.update(dict(zip(*_tallied(passed // round(every * 1e6)), strict=True)))
    except UsageError:
        pass  # nothing is logged of it yet
    for time, count in failures(log, model, version, _seconds(since), _seconds(end)):
        counts[math.floor((time - _seconds(origin)) / every)] += count
    step = dt.timedelta(seconds=every)
    places = _cut(
        counts, least, 0 if goes_on else min(counts, default=None), (end - origin) // step, every, longest
    )
    return [(origin + begun * step, origin + stop * step) for begun, stop in places]


def _cut(
    counts: Mapping[int, int], least: int, first: int | None, stop: int, every: float, longest: float | None
) -> Iterator[tuple[int, int]]:
    """Windows as steps, from (included) and to (not): from `first` on, none beyond `stop`.

    counts: rows by step. first: None where there are no rows to begin with.
    """
    most = math.inf if longest is None else max(1, math.ceil(longest / every))
    begun, rows = first, 0
    for place in sorted({*(p for p in counts if p < stop), stop - 1}):
        while begun is not None and begun + most <= place:  # nothing came for so long
            # a long silence is one window, where nobody looked meanwhile
            until = begun + int(most) * (1 if rows else (place - begun) // int(most))
            yield begun, until
            begun, rows = until, 0
        rows += counts.get(place, 0)
        if begun is not None and begun <= place and (rows >= least or place + 1 - begun >= most):
            yield begun, place + 1
            begun, rows = place + 1, 0


def _tallied(places: Any) -> tuple[list[int], list[int]]:
    values, counts = np.unique(places, return_counts=True)
    return values.tolist(), counts.tolist()


def _seconds(moment: dt.datetime) -> float:
    return _utc(moment).timestamp()


def _micros(moment: dt.datetime) -> int:
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.replace(tzinfo=dt.UTC)


def said(
    window: LoggedWindow, signature: Signature, reference: dict[str, Sketch], rng: np.random.Generator
) -> Scored:
    """What the log says that the model said, added up like fresh predictions."""
    tally = Tally(reference, window.rows, rng)
    for batch in _batches(window.path):
        predicted, probability, score = outputs_in(batch, signature)
        truth = truth_of(batch.column("label"), signature)
        outputs = outputs_of(signature.task, predicted, probability, score)
        outputs |= further_outputs(signature, _predictions(batch))
        tally.add(outputs, predicted, probability, truth)
    return tally.done()


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        names = [name for name in file.schema_arrow.names if name.startswith("out.") or name == "label"]
        yield from file.iter_batches(65_536, columns=names)


def _predictions(batch: pa.RecordBatch) -> dict[str, Any]:
    """What was predicted in logged rows, by the outputs' names; None or NaN where it was not logged."""
    return {
        name.removeprefix("out."): batch.column(name).to_numpy(zero_copy_only=False)
        for name in batch.schema.names
        if name.startswith("out.prediction_")
    }


def outputs_in(batch: pa.RecordBatch, signature: Signature) -> tuple[Any, Any, Any]:
    """Class index or number (n,), probability (n, classes) and score (n,) of logged rows."""

    def numbers(name: str) -> Any:
        return batch.column(name).to_numpy(zero_copy_only=False).astype(np.float64)

    if signature.task == "regression":
        predicted = numbers("out.prediction")
        return predicted, np.zeros((len(predicted), 0)), predicted
    labels = np.array(batch.column("out.prediction").to_pylist(), dtype=object)
    predicted = class_indices(labels, signature.classes).astype(np.float64)
    if signature.task == "binary":
        positive = numbers("out.probability")
        return predicted, np.stack([1 - positive, positive], axis=1), numbers("out.score")
    probability = np.stack([numbers(f"out.probability_{name}") for name in signature.classes], axis=1)
    return predicted, probability, probability[:, 0]
