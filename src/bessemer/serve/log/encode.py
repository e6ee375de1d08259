"""Batches and labels -> records of the journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from bessemer.package.prediction_log.journal import FEEDS, LABELS, MODEL, ROWS, frame
from bessemer.package.prediction_log.model import LoggedModel
from bessemer.package.prediction_log.values import packed
from bessemer.serve.log.entry import Entry, Label
from bessemer.serve.log.redact import Redactor

_MOST_INTEGER = 2**63


def _plain(value: Any) -> Any:
    """What MessagePack does not know and a batch may hold."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be logged")


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_plain)


def model_frame(number: int, model: LoggedModel) -> bytes:
    """The frame that says what a number stands for."""
    return frame(_ENCODER.encode([MODEL, number, model.to_bytes()]))


def entry_frame(number: int, entry: Entry, redactor: Redactor) -> bytes:
    """The frame of a batch."""
    if entry.rows is not None:
        kind, inputs = ROWS, redactor.rows(entry.rows)
    else:
        assert entry.feeds is not None, "an entry has rows or feeds"
        kind, inputs = FEEDS, redactor.feeds(entry.feeds)  # type: ignore[assignment]
    outputs = {name: packed(array) for name, array in entry.outputs.items()}
    record = (
        kind, number, entry.time, entry.ids, entry.latency, entry.client, entry.dialect, inputs, outputs,
    )  # fmt: skip
    return frame(_encoded(record))


def labels_frame(number: int, model: LoggedModel, labels: Sequence[Label], sequence: int) -> bytes:
    """The frame of some labels. `sequence`: a number that grows with every label this process takes."""
    said = [float(each.label) if model.task == "regression" else each.label for each in labels]
    record = (
        LABELS, number, [each.prediction_id for each in labels], said, [each.time for each in labels],
        [each.client for each in labels], sequence,
        [each.time if each.arrived is None else each.arrived for each in labels],
    )  # fmt: skip
    return frame(_encoded(record))


def _encoded(record: tuple[Any, ...]) -> bytes:
    try:
        return _ENCODER.encode(record)
    except (OverflowError, UnicodeEncodeError):  # JSON has integers and text that MessagePack has not
        return _ENCODER.encode(_mended(record))


def _mended(value: Any) -> Any:
    """The nearest that can be written: a float for an integer beyond 64 bits, `?` for half a surrogate pair."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not isinstance(value, bool) and not -_MOST_INTEGER <= value < _MOST_INTEGER:
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    if isinstance(value, list | tuple):
        return [_mended(each) for each in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(each) for name, each in value.items()}
    return value
