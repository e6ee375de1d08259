"""Values of messages, one by one, as the type of their column: for what cannot be done by the column."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from bessemer.acquire.streams.decoded import Decoded, refused, table_of

if TYPE_CHECKING:
    import pyarrow as pa

_LONG = 2**63


class Misfit(ValueError):
    """A value that its column cannot hold."""


def fit(value: Any, kind: pa.DataType) -> Any:
    """The value as a column of this type takes it; None stays None.

    Raises:
        Misfit: the column cannot hold it.

    >>> import pyarrow as pa
    >>> fit(1.0, pa.int64()), fit(True, pa.string()), fit(3, pa.float64())
    (1, 'true', 3.0)
    """
    return None if value is None else _fitting(kind)(value)


def _fitting(kind: pa.DataType) -> Callable[[Any], Any]:
    """What makes a value that is not None fit a column of this type."""
    import pyarrow.types as pt

    if pt.is_string(kind):
        return _text
    if pt.is_boolean(kind):
        return partial(_of, kinds=(bool,), what="a boolean")
    if pt.is_int64(kind):
        return _integer
    if pt.is_float64(kind):
        return _float
    if pt.is_decimal(kind):
        return partial(_decimal, kind=kind)
    if pt.is_timestamp(kind):
        return partial(_of, kinds=(dt.datetime,), what="a time")
    if pt.is_date(kind):
        return partial(_of, kinds=(dt.date,), what="a date")
    if pt.is_binary(kind):
        return partial(_of, kinds=(bytes,), what="bytes")
    return partial(_homeless, kind=kind)


def _homeless(value: Any, kind: pa.DataType) -> Any:
    raise Misfit(f"{value!r:.60} has no place in a column of {kind}")


def _integer(value: Any) -> int:
    whole = isinstance(value, float) and value.is_integer()
    number = int(value) if whole else _of(value, (int,), "an integer")
    if not -_LONG <= number < _LONG:
        raise Misfit(f"{value!r:.60} does not fit 64 bits")
    return number


def _float(value: Any) -> float:
    try:
        return float(_of(value, (int, float), "a number"))
    except OverflowError:
        raise Misfit("an integer is too large for a number") from None


def _decimal(value: Any, kind: pa.DataType) -> Decimal:
    import pyarrow as pa

    _of(value, (Decimal, int), "a decimal")
    try:
        pa.scalar(Decimal(value), kind)
    except pa.ArrowInvalid:
        raise Misfit(f"{value} does not fit {kind}") from None
    return Decimal(value)


def _of(value: Any, kinds: tuple[type, ...], what: str) -> Any:
    if isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool)):
        return value
    raise Misfit(f"{value!r:.60} is not {what}")


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        raise Misfit("bytes are not a text")
    if not isinstance(value, str):
        value = _as_json(value) if isinstance(value, dict | list | int | float) else str(_plain(value))
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Misfit("a text has half of a surrogate pair") from None
    return str(value)


def _as_json(value: Any) -> str:
    try:
        return json_text(value)
    except RecursionError:
        raise Misfit("too many values are within each other") from None


def json_text(value: Any) -> str:
    """A value as JSON; times in ISO 8601, decimals and bytes as text.

    >>> json_text({"a": [1, None, "ü"]})
    '{"a":[1,null,"ü"]}'
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value)


def columns_of(
    messages: Mapping[int, Mapping[str, Any]],
    faults: Mapping[int, str],
    known: Mapping[str, pa.DataType],
    wanted: Mapping[str, pa.DataType] | None,
    infer: Callable[[Iterable[Any]], pa.DataType | None],
) -> Decoded:
    """Messages that were parsed, as a table; those with a value that its column cannot hold are faults.

    Args:
        messages: position -> field -> value. faults: of the messages that could not be parsed.
        known: the types that columns have already.
        wanted: the only fields to keep, with their types; all where it is None.
        infer: the type of a new column from its values that are not None; None where they say none.
    """
    import pyarrow as pa

    told: dict[int, str] = dict(faults)
    kinds = dict(wanted or {})
    if wanted is None:
        kinds = _kinds(messages, told, known, infer)
    fitting = [(name, _fitting(kind)) for name, kind in kinds.items()]
    kept: dict[int, list[Any]] = {}
    for position, message in messages.items():
        if position not in told:
            try:
                kept[position] = [_named(message.get(name), name, fits) for name, fits in fitting]
            except Misfit as misfit:
                told[position] = str(misfit)
    columns = {
        name: pa.array([row[number] for row in kept.values()], kind)
        for number, (name, kind) in enumerate(kinds.items())
    }
    return Decoded(table_of(columns, len(kept)), list(kept), told)


def _named(value: Any, name: str, fits: Callable[[Any], Any]) -> Any:
    try:
        return None if value is None else fits(value)
    except Misfit as misfit:
        raise Misfit(f"{name}: {misfit}") from None


def _kinds(
    messages: Mapping[int, Mapping[str, Any]],
    told: dict[int, str],
    known: Mapping[str, pa.DataType],
    infer: Callable[[Iterable[Any]], pa.DataType | None],
) -> dict[str, pa.DataType]:
    """The type of each field that occurs; messages with a field that cannot be a column become faults."""
    kinds: dict[str, pa.DataType] = {}
    new: dict[str, list[Any]] = {}
    for position, message in messages.items():
        if not all(name in known or name in new for name in message):
            names = {**known, **new}
            if reason := next(filter(None, (refused(name, names) for name in message)), ""):
                told[position] = reason
                continue
        for name, value in message.items():
            if name in known:
                kinds[name] = known[name]
            elif value is not None:
                new.setdefault(name, []).append(value)
    for name, values in new.items():
        if (kind := infer(values)) is not None:
            kinds[name] = kind
    return kinds


def rows_kept(values: Sequence[bytes], decoded: Decoded) -> list[bytes]:
    """The messages that a table's rows were made of."""
    return [values[row] for row in decoded.rows]
