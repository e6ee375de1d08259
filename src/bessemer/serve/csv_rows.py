"""CSV to rows (RFC 4180), with a header that names the columns or in the order of the model's inputs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from bessemer.core.signature import Field
from bessemer.serve.columns import wrong_type
from bessemer.serve.dialect import Subject
from bessemer.serve.errors import MOST_FAULTS, RequestError, RowFault, bad_rows
from bessemer.serve.frames import places
from bessemer.serve.row_reader import Row
from bessemer.serve.wire import Batch

_NUMBERS = msgspec.json.Decoder(list[tuple[float, ...]])
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "<na>", "nat"})
_TRUE, _FALSE = frozenset({"true", "1", "1.0"}), frozenset({"false", "0", "0.0"})


def read_csv(
    subject: Subject, body: bytes, *, header: bool | None = None, ignore_extra: bool = False
) -> Batch:
    """The rows of a CSV text in UTF-8.

    Args:
        header: whether the first line names the columns; None: it does when at least half of its cells are names of
            inputs.
        ignore_extra: whether columns the model does not know are ignored (they are too where all inputs are there).

    Empty cells are missing; in columns that are not text so are NA, NaN, null and None. Blank lines are skipped.

    Raises:
        RequestError: 400 with every cell that cannot be read, 413 for too many rows.
    """
    numbers = _read_numbers(subject, body) if not header else None
    if numbers is not None:
        return Batch(len(numbers), numbers, typed=True)
    lines = _lines(subject, body)
    names = [field.name for field in subject.signature.inputs]
    if lines and (header or (header is None and _is_header(lines[0], names))):
        order = places(subject, [cell.strip() for cell in lines[0]], ignore_extra=ignore_extra)
        width, lines = len(lines[0]), lines[1:]
    else:
        order, width = list(range(len(names))), len(names)
    subject.check_rows(len(lines))
    rows = text_rows(subject.signature.inputs, lines, order, width)
    return Batch(len(rows), rows, typed=True)


def _read_numbers(subject: Subject, body: bytes) -> list[Row] | None:
    """The rows of a body in which every cell is a number as JSON has it too; None where it goes the long way.

    Such lines are JSON but for the brackets, and a decoder of JSON is 20 times as quick as one of CSV.
    """
    fields = subject.signature.inputs
    if b"[" in body or b"]" in body or any(field.dtype not in ("number", "integer") for field in fields):
        return None
    text = body.strip(b"\r\n").replace(b"\r\n", b"\n").replace(b"\n", b"],[")
    try:
        rows = _NUMBERS.decode(b"[[%b]]" % text)
    except (msgspec.MsgspecError, ValueError):
        return None
    subject.check_rows(len(rows))
    width = len(fields)
    return rows if all(len(row) == width for row in rows) else None


def _lines(subject: Subject, body: bytes) -> list[list[str]]:
    """The cells of each line that is not blank; at most one line more than there may be, and a header."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(400, f"the body is not UTF-8: {error}", fix="send UTF-8") from None
    found: list[list[str]] = []
    most = subject.spec.max_rows + 2
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), strict=True):
            if cells:
                found.append(cells)
                if len(found) > most:
                    break
    except csv.Error as error:
        raise RequestError(400, f"the body is not valid CSV: {error}") from None
    return found


def _is_header(cells: Sequence[str], names: Sequence[str]) -> bool:
    known = set(names)
    return 2 * sum(cell.strip() in known for cell in cells) >= len(cells)


def text_rows(
    fields: Sequence[Field],
    lines: Sequence[Sequence[str]],
    order: Sequence[int | None] | None = None,
    width: int | None = None,
) -> list[Row]:
    """Rows of text as rows of values of the fields' types.

    Args:
        order: where in a line each field's text stands, None where it is absent; by default in the fields' order.
        width: how many cells a line must have.

    Raises:
        RequestError: 400 with the row, field and text of everything that cannot be read.

    >>> text_rows([Field("age", "number", "float32"), Field("plan", "string", "string")], [["3", "a"], ["", ""]])
    [(3.0, 'a'), (None, None)]
    """
    order = list(range(len(fields))) if order is None else order
    width = len(fields) if width is None else width
    quick = _quick(fields, order, width)
    found: list[Row] = []
    faults: list[RowFault] = []
    for number, cells in enumerate(lines):
        try:
            found.append(quick(cells))
        except (ValueError, IndexError):  # something is missing, or wrong
            row = _row(number, cells, fields, order, width, faults)
            if len(faults) > MOST_FAULTS:
                break
            found.append(row)
    if faults:
        raise bad_rows(faults)
    return found


def _quick(
    fields: Sequence[Field], order: Sequence[int | None], width: int
) -> Callable[[Sequence[str]], Row]:
    """Reads a line in which nothing is missing; raises ValueError for another."""
    if list(order) == list(range(width)) and all(_READERS[field.dtype] is _number for field in fields):

        def numbers(cells: Sequence[str]) -> Row:
            if len(cells) != width:
                raise ValueError(len(cells))
            return tuple(map(_plain, cells))

        return numbers
    quick = [_plain if _READERS[field.dtype] is _number else _READERS[field.dtype] for field in fields]
    plan = list(zip(quick, order, strict=True))

    def mixed(cells: Sequence[str]) -> Row:
        if len(cells) != width:
            raise ValueError(len(cells))
        return tuple([None if place is None else read(cells[place]) for read, place in plan])

    return mixed


def _row(
    number: int,
    cells: Sequence[str],
    fields: Sequence[Field],
    order: Sequence[int | None],
    width: int,
    faults: list[RowFault],
) -> Row:
    """Reads any line, and adds what is wrong with it to the faults."""
    if len(cells) != width:
        faults.append(RowFault(number, "", f"{len(cells)} values for {width} columns"))
        return ()
    row: list[Any] = []
    for field, place in zip(fields, order, strict=True):
        try:
            row.append(None if place is None else _READERS[field.dtype](cells[place]))
        except ValueError:
            assert place is not None
            faults.append(wrong_type(number, field, cells[place]))
    return tuple(row)


def _plain(text: str) -> float:
    if "_" in text:  # Python reads 1_000; nobody else does
        raise ValueError(text)
    return float(text)


def _number(text: str) -> float | None:
    return None if text.strip().lower() in _MISSING else _plain(text)


def _flag(text: str) -> float | None:
    word = text.strip().lower()
    if word in _TRUE:
        return 1.0
    if word in _FALSE:
        return 0.0
    if word in _MISSING:
        return None
    raise ValueError(text)


def _text(text: str) -> str | None:
    return text or None


def _moment(text: str) -> str | None:
    return None if text.strip().lower() in _MISSING else text


_READERS: Mapping[str, Callable[[str], Any]] = {
    "boolean": _flag,
    "integer": _number,
    "number": _number,
    "string": _text,
    "timestamp": _moment,
}
