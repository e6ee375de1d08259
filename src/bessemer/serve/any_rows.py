"""Rows of JSON for protocols that leave the form of a body to the model: a row, or a list of rows, bare or in a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bessemer.serve.dialect import Subject
from bessemer.serve.errors import RequestError, shown
from bessemer.serve.row_reader import Row


@dataclass(frozen=True)
class AnyRows:
    """The rows of a body, and whether they were one row that stood alone, whose answer stands alone too."""

    values: Sequence[Row]
    alone: bool
    typed: bool = False


def read_any(subject: Subject, body: bytes, keys: Sequence[str]) -> AnyRows | None:
    """The rows of a body the quick way: in a key, bare, or one row; None where it must go through `any_rows`."""
    head = body[:64].lstrip()
    for key in keys:
        if head.startswith(b'{"%b"' % key.encode("ascii")):
            values = subject.rows.decode(body, key)
            return None if values is None else AnyRows(values, alone=False, typed=True)
    if head[:1] not in (b"[", b"{") or b'"rows"' in body or b"\\" in body:
        return None  # what stands in the brackets below must not be able to end them
    alone = head[:1] == b"{"
    values = subject.rows.decode(b'{"rows":[%b]}' % body if alone else b'{"rows":%b}' % body, "rows")
    if values is None or (alone and len(values) != 1):
        return None
    return AnyRows(values, alone, typed=True)


def any_rows(
    subject: Subject, value: Any, keys: Sequence[str] = (), *, ignore_extra: bool = False
) -> AnyRows:
    """The rows in a JSON value.

    Args:
        value: an object (a row, or with its rows in one of `keys`), a list of rows, or the values of one row in the
            order of the inputs. A row is an object or such a list. Of a model with one input a bare value is a row.
        keys: where an object may have its rows. A key that is the name of an input is none of these.

    Raises:
        RequestError: 400 where it is something else, or has faults; 413 for too many rows.

    >>> from bessemer.testing.dialects import repository
    >>> any_rows(repository().get(), {"tenure": 8}).values
    [(8, None, None, None, None)]
    """
    names = {field.name for field in subject.signature.inputs}
    if isinstance(value, dict):
        inner = next((key for key in keys if key in value and key not in names), None)
        if inner is not None:
            if len(value) > 1 and not ignore_extra:
                others = ", ".join(repr(key) for key in list(value)[:5] if key != inner)
                raise RequestError(400, f"{others} does not belong beside '{inner}'")
            value = value[inner]
    alone = isinstance(value, dict) or (isinstance(value, list) and _is_row(value, len(names)))
    if not alone and not isinstance(value, list):
        if len(names) != 1:
            raise RequestError(
                400, f"{shown(value)} is neither a row nor a list of rows", fix="send [{...}, {...}]"
            )
        alone, value = True, [value]
    rows = [value] if alone else value
    if len(names) == 1:
        rows = [row if isinstance(row, dict | list) else [row] for row in rows]
    return AnyRows(subject.rows.read(rows, ignore_extra=ignore_extra), alone)


def _is_row(value: list[Any], inputs: int) -> bool:
    """Whether a list is the values of one row rather than a list of rows."""
    return inputs > 1 and bool(value) and not any(isinstance(each, dict | list) for each in value)
