"""A journal segment -> typed batches, a model, a kind and a day each, in bounded memory."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.package.prediction_log.journal import FEEDS, LABELS, MODEL, ROWS, Segment
from bessemer.package.prediction_log.layout import day_of, has_day
from bessemer.package.prediction_log.model import LoggedModel
from bessemer.package.prediction_log.values import from_json, from_tensor, joined, predicted

_LOG = logging.getLogger("bessemer.prediction_log")
_BATCH_ROWS = 16_384
_MOST_BYTES = 16 * 2**20

_Key = tuple[int, int, str]  # kind, number of the model, date


@dataclass(frozen=True)
class LogBatch:
    """Rows of one model and one day (UTC, 'YYYY-MM-DD'): predictions, or labels."""

    model: LoggedModel
    date: str
    is_labels: bool
    rows: pa.RecordBatch


def convert(segment: Segment) -> Iterator[LogBatch]:
    """All whole records of a segment as batches; rows of a model, kind and day stay in order.

    At most 16 MiB of records are held at a time (and the longest record). Labels whose time no date has (years before 1
    and after 9999) belong to no day: they are left out, and how many is a warning.

    Raises:
        FormatError: the segment is of a later format.
    """
    models: dict[int, LoggedModel] = {}
    waiting: dict[_Key, list[list[Any]]] = defaultdict(list)
    rows: dict[_Key, int] = defaultdict(int)
    held = left_out = 0
    for size, record in segment:
        kind, number = record[0], record[1]
        if kind == MODEL:
            models[number] = LoggedModel.from_bytes(record[2])
            continue
        longest = 0
        for date, part in _by_day(record) if kind == LABELS else [(day_of(record[2]), record)]:
            key = (kind, number, date)
            waiting[key].append(part)
            rows[key] += len(part[2 if kind == LABELS else 3])
            longest = max(longest, rows[key])
        if kind == LABELS:
            left_out += sum(not has_day(time) for time in record[4])
        held += size
        if held > _MOST_BYTES or longest >= _BATCH_ROWS:
            yield from _batches(waiting, models)
            waiting.clear()
            rows.clear()
            held = 0
    if left_out:
        _LOG.warning("%d labels are left out: no date has their time", left_out)
    yield from _batches(waiting, models)


def _batches(waiting: dict[_Key, list[list[Any]]], models: dict[int, LoggedModel]) -> Iterator[LogBatch]:
    for (kind, number, date), records in waiting.items():
        make = _labels if kind == LABELS else _predictions
        yield LogBatch(models[number], date, kind == LABELS, make(models[number], records))


def _by_day(record: list[Any]) -> list[tuple[str, list[Any]]]:
    """A record of labels as one for each day on which they came, with a sequence number for each label."""
    kind, number, ids, labels, times, clients, sequence = record[:7]
    arrivals = record[7] if len(record) > 7 else times
    days: dict[str, list[int]] = defaultdict(list)
    for i, (time, arrived) in enumerate(zip(times, arrivals, strict=True)):
        if has_day(time):
            days[day_of(arrived)].append(i)
    columns = (ids, labels, times, clients, range(sequence, sequence + len(ids)), arrivals)
    return [(day, [kind, number, *([c[i] for i in at] for c in columns)]) for day, at in days.items()]


def _labels(model: LoggedModel, records: Sequence[list[Any]]) -> pa.RecordBatch:
    ids, labels, times, clients, sequence, arrivals = (
        list(chain.from_iterable(record[i] for record in records)) for i in range(2, 8)
    )
    schema = model.labels()
    said = pa.array(labels, schema.field("label").type)
    names = pa.array(clients, pa.string())
    columns = [pa.array(ids), _times(times), names, said, pa.array(sequence), _times(arrivals)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _times(seconds: Any) -> pa.Array:
    micro = np.rint(np.asarray(seconds, dtype=np.float64) * 1e6).astype(np.int64)
    return pa.array(micro).cast(pa.timestamp("us"))


def _predictions(model: LoggedModel, records: Sequence[list[Any]]) -> pa.RecordBatch:
    counts = [len(record[3]) for record in records]
    ids, latencies, clients, dialects = (
        list(chain.from_iterable(record[i] for record in records)) for i in range(3, 7)
    )
    schema = model.predictions()
    columns = [
        pa.array(ids, pa.string()),
        _times(np.repeat([record[2] for record in records], counts)),
        pa.array(clients, pa.string()),
        pa.array(dialects, pa.string()),
        pa.array(np.rint(np.asarray(latencies, dtype=np.float64) * 1e6).astype(np.int64)),
        *_inputs(model, records),
        *_outputs(model, [record[8] for record in records], sum(counts), schema),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _inputs(model: LoggedModel, records: Sequence[list[Any]]) -> list[pa.Array]:
    if records[0][0] == ROWS:
        values = list(zip(*chain.from_iterable(record[7] for record in records), strict=True))
        return [from_json(column, field) for column, field in zip(values, model.inputs, strict=True)]
    assert records[0][0] == FEEDS
    return [
        from_tensor(joined([record[7][field.name] for record in records]), field) for field in model.inputs
    ]


def _outputs(
    model: LoggedModel, outputs: Sequence[dict[str, Any]], total: int, schema: pa.Schema
) -> list[pa.Array]:
    labels = joined([each["prediction"] for each in outputs])
    columns = [predicted(labels, schema.field("out.prediction").type)]
    for output, wanted in (("probability", model.probabilities()), ("score", model.scores())):
        if not wanted:
            continue
        if any(output not in each for each in outputs):
            columns += [pa.nulls(total, pa.float32())] * len(wanted)
            continue
        table = joined([each[output] for each in outputs]).reshape(total, -1)
        columns += [pa.array(np.ascontiguousarray(table[:, i]).astype(np.float32)) for _, i in wanted]
    for name, _ in model.further:
        kind = schema.field(f"out.{name}").type
        if any(name not in each for each in outputs):
            columns.append(pa.nulls(total, kind))
        else:
            columns.append(predicted(joined([each[name] for each in outputs]), kind))
    return columns
