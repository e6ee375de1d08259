"""Tables as JSON writes them to rows: a list of rows, columns of values, or names beside rows (pandas' split)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bessemer.core.errors import did_you_mean
from bessemer.serve.columns import to_feeds
from bessemer.serve.dialect import Subject
from bessemer.serve.errors import RequestError, RowFault, bad_rows, shown
from bessemer.serve.wire import Batch


class _Split(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    columns: list[str]
    data: list[tuple[float | None, ...]]
    index: msgspec.Raw = msgspec.Raw()


class _SplitBody(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    dataframe_split: _Split


_SPLIT = msgspec.json.Decoder(_SplitBody)


def places(subject: Subject, names: Sequence[Any], *, ignore_extra: bool = False) -> list[int | None]:
    """Where among some columns' names each of the model's inputs stands; None where it is absent and may be.

    Columns without names (None, or 0, 1, 2 ... as pandas counts) are in the order of the inputs. Names the model does
    not know are ignored where all inputs are there; where one is absent they may be its name misspelt.

    Raises:
        RequestError: 400 when a required input is absent, a name is unknown, or stands twice.
    """
    fields = subject.signature.inputs
    if list(names) == list(range(len(fields))):
        return list(range(len(fields)))
    where = {name: i for i, name in enumerate(names) if isinstance(name, str)}
    if len(where) < len(names):
        raise RequestError(400, f"the columns {shown(list(names))} are not different names")
    absent = [field for field in fields if field.name not in where]
    faults = [
        RowFault(None, field.name, "this input is required and absent")
        for field in absent
        if not field.nullable
    ]
    if absent and not ignore_extra:
        known = {field.name for field in fields}
        faults += [
            RowFault(None, name, "the model has no such input", fix=did_you_mean(name, known))
            for name in where
            if name not in known
        ]
    if faults:
        raise bad_rows(faults)
    return [where.get(field.name) for field in fields]


def read_split_quickly(subject: Subject, body: bytes) -> Batch | None:
    """The rows of `{"dataframe_split": ...}` where all inputs are numbers and in order; else None: go the long way."""
    fields = subject.signature.inputs
    if any(field.dtype not in ("number", "integer") for field in fields):
        return None
    try:
        frame = _SPLIT.decode(body).dataframe_split
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    width = len(frame.columns)
    if frame.columns != [field.name for field in fields] or any(len(row) != width for row in frame.data):
        return None
    subject.check_rows(len(frame.data))
    return Batch(len(frame.data), frame.data, typed=True)


def read_split(subject: Subject, frame: Any, *, ignore_extra: bool = False) -> Batch:
    """The rows of `{"columns": [...], "data": [[...], ...]}`; an `index` is ignored.

    Raises:
        RequestError: 400 for another form, 413 for too many rows.
    """
    if not isinstance(frame, dict) or "data" not in frame or frame.keys() - {"columns", "data", "index"}:
        what = "'dataframe_split' must have 'data', and may have 'columns' and 'index'"
        raise RequestError(400, what, fix='send {"columns": [...], "data": [[...], ...]}')
    fields, names, rows = subject.signature.inputs, frame.get("columns"), frame["data"]
    if names is None:
        names = list(range(len(fields)))
    if not isinstance(names, list) or not isinstance(rows, list):
        raise RequestError(400, "'columns' and 'data' must be lists")
    subject.check_rows(len(rows))
    order = places(subject, names, ignore_extra=ignore_extra)
    faults = [
        RowFault(number, "", f"{shown(row)} is not a list of {len(names)} values")
        for number, row in enumerate(rows)
        if not isinstance(row, list) or len(row) != len(names)
    ]
    if faults:
        raise bad_rows(faults)
    values = [tuple([None if i is None else row[i] for i in order]) for row in rows]
    moments = [i for i, field in enumerate(fields) if field.dtype == "timestamp"]
    if moments:  # pandas' word for a timestamp that is missing
        values = [_without_nat(row, moments) if "NaT" in row else row for row in values]
    return Batch(len(values), values)


def _without_nat(row: tuple[Any, ...], moments: Sequence[int]) -> tuple[Any, ...]:
    return tuple(None if i in moments and value == "NaT" else value for i, value in enumerate(row))


def read_columns(subject: Subject, columns: Mapping[str, Any], *, ignore_extra: bool = False) -> Batch:
    """The rows of `{name: [value, ...]}`; a column may be nested, [[v], [v]], and a single row may be bare values.

    Raises:
        RequestError: 400 for columns of other lengths, unknown or absent ones, and wrong values; 413 for too many rows.
    """
    order = places(subject, list(columns), ignore_extra=ignore_extra)
    values = list(columns.values())
    found: dict[str, list[Any] | None] = {}
    for field, place in zip(subject.signature.inputs, order, strict=True):
        found[field.name] = None if place is None else _column(field.name, values[place])
    lengths = {len(column): name for name, column in found.items() if column is not None}
    if len(lengths) != 1:
        text = ", ".join(f"'{name}' has {rows}" for rows, name in sorted(lengths.items())) or "there are none"
        raise RequestError(400, f"the columns differ in their rows: {text}")
    rows = next(iter(lengths))
    subject.check_rows(rows)
    whole = {name: [None] * rows if column is None else column for name, column in found.items()}
    return Batch(rows, feeds=to_feeds(whole, subject.signature.inputs))


def _column(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    if any(isinstance(each, list) for each in value):
        if not all(isinstance(each, list) and len(each) == 1 for each in value):
            raise RequestError(400, f"the column '{name}' is nested otherwise than [[v], [v], ...]")
        return [each[0] for each in value]
    return value


def read_rows(subject: Subject, rows: Any, key: str, *, ignore_extra: bool = False) -> Batch:
    """Rows that are objects, lists in the order of the inputs, or, where there is one input, bare values.

    Raises:
        RequestError: 400 where they are something else, 413 for too many.
    """
    if not isinstance(rows, list):
        raise RequestError(400, f"'{key}' is {shown(rows)}, not a list of rows", fix="send [{...}, {...}]")
    subject.check_rows(len(rows))
    names = {field.name for field in subject.signature.inputs}
    if len(names) == 1:
        rows = [row if isinstance(row, dict | list) else [row] for row in rows]
    ignore_extra = ignore_extra or all(isinstance(row, dict) and names <= row.keys() for row in rows)
    values = subject.rows.read(rows, ignore_extra=ignore_extra)
    return Batch(len(values), values)
