"""JSON rows to tuples in the order of a model's inputs, the quick way where they are as they should be.

The quick way is one typed msgspec decoder a model: it reads the bytes straight into rows and refuses what is not of its
column's type. What it refuses goes the long way, which reads it or says what is wrong with which row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec

from bessemer.core.errors import did_you_mean
from bessemer.core.signature import Signature
from bessemer.serve.columns import value_faults
from bessemer.serve.errors import MOST_FAULTS, RequestError, RowFault, bad_rows, shown

Row = tuple[Any, ...]

_TYPES: Mapping[str, Any] = {
    "boolean": bool | float | None,
    "integer": float | None,
    "number": float | None,
    "string": str | None,
    "timestamp": str | int | None,
}
#: A class of more fields takes longer to make than it saves.
_MOST_FIELDS = 2_000
#: How far into a body rows have begun: `{"instances": [[`.
_GLANCE = 48


class RowReader:
    """Reads rows for one signature.

    Args:
        signature: whose inputs the rows have.
        max_rows: the most rows of one request; more are refused with 413.

    >>> from bessemer.core.signature import Field
    >>> reader = RowReader(Signature((Field("age", "number", "float32"), Field("plan", "string", "string")), ()))
    >>> reader.read([{"plan": "a", "age": 3}, {"age": 4}, [5, "b"]])
    [(3, 'a'), (4, None), (5, 'b')]
    >>> reader.decode(b'{"instances": [{"age": 3}]}', "instances")
    [(3.0, None)]
    """

    def __init__(self, signature: Signature, max_rows: int = 10_000) -> None:
        self.fields = signature.inputs
        self._max_rows = max_rows
        self._names = {field.name for field in self.fields}
        self._required = {field.name for field in self.fields if not field.nullable}
        names = [field.name for field in self.fields]
        pick = itemgetter(*names) if names else None
        self._pick = (lambda row: (pick(row),)) if pick and len(names) == 1 else pick
        self._decoders: dict[str, tuple[Any, Any]] = {}
        self._width = len(names)
        # msgspec takes no name that JSON would have to escape
        plain = all(name.isprintable() and not set(name) & {'"', "\\"} for name in names)
        self._can_be_typed = plain and 0 < self._width <= _MOST_FIELDS
        self._numeric = all(field.dtype in ("number", "integer") for field in self.fields)

    def check(self, rows: int) -> None:
        """Refuse (413) more rows than the server takes in one request."""
        if rows > self._max_rows:
            raise RequestError(
                413,
                f"{rows} rows are more than the {self._max_rows} one request may have",
                fix="send several requests, or raise `max_rows`",
            )

    # the quick way ---------------------------------------------------------------------------------
    def decode(self, body: bytes, key: str) -> list[Row] | None:
        """The rows of a body `{KEY: [...]}` that has nothing else; None where it must go the long way."""
        made = self._decoders.get(key)
        if made is None:
            if not self._can_be_typed:
                return None
            made = self._decoders[key] = self._make(key)
        objects, lists = made
        listed = b"[[" in body[:_GLANCE]  # a wrong guess costs time only
        try:
            rows = (lists if listed else objects).decode(body).rows
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        if len(rows) > self._max_rows:
            self.check(len(rows))
        if not listed or not self._numeric:
            return [msgspec.structs.astuple(row) for row in rows]
        width = self._width
        for row in rows:
            if len(row) != width:
                return None
        found: list[Row] = rows
        return found

    def _make(self, key: str) -> tuple[Any, Any]:
        """The decoders of rows that are objects, and of rows that are lists."""
        rename = {f"f{i}": field.name for i, field in enumerate(self.fields)}
        types = [(f"f{i}", _TYPES[field.dtype]) for i, field in enumerate(self.fields)]
        absent = [
            (name, kind, None) if field.nullable else (name, kind)
            for (name, kind), field in zip(types, self.fields, strict=True)
        ]
        # keyword-only: a required field may stand behind one that is not
        named = msgspec.defstruct(
            "Row", absent, rename=rename, forbid_unknown_fields=True, kw_only=True, gc=False
        )
        listed: Any = list[float | None]
        if not self._numeric:
            listed = msgspec.defstruct("Row", types, array_like=True, forbid_unknown_fields=True, gc=False)
        return _envelope(key, named), _envelope(key, listed)

    # the long way ----------------------------------------------------------------------------------
    def read(self, rows: Sequence[Any], *, ignore_extra: bool = False) -> list[Row]:
        """Rows that are objects, or lists in the order of the inputs, as tuples.

        A key that is absent is a missing value where the training data had missing values, and a fault elsewhere;
        null is a missing value everywhere. The types of the values are looked at when the rows become tensors.

        Raises:
            RequestError: 413 for too many; 400 with every fault: a row that is neither, a key the model does not know
                (unless `ignore_extra`), a required key that is absent, and, where there is one of these, values that
                are not of their type.
        """
        self.check(len(rows))
        found: list[Row] = []
        faults: list[RowFault] = []
        for number, row in enumerate(rows):
            if isinstance(row, dict):
                found.append(self._object(number, row, ignore_extra, faults))
            elif isinstance(row, list | tuple):
                found.append(self._list(number, row, faults))
            else:
                what = f"{shown(row)} is not an object"
                faults.append(RowFault(number, "", what, shown(row), "send each row as {name: value}"))
                found.append((None,) * len(self.fields))
            if len(faults) > MOST_FAULTS:
                break
        if faults:
            faults += value_faults(found, self.fields)
            raise bad_rows(sorted(faults, key=lambda fault: fault.row or 0))
        return found

    def _object(self, number: int, row: dict[str, Any], ignore_extra: bool, faults: list[RowFault]) -> Row:
        if row.keys() == self._names and self._pick is not None:
            picked: Row = self._pick(row)
            return picked
        if not ignore_extra:
            faults += [self._unknown(number, name, row[name]) for name in row if name not in self._names]
        faults += [_absent(number, name) for name in sorted(self._required - row.keys())]
        return tuple(row.get(field.name) for field in self.fields)

    def _list(self, number: int, row: Sequence[Any], faults: list[RowFault]) -> Row:
        if len(row) == len(self.fields):
            return tuple(row)
        what = f"{len(row)} values for {len(self.fields)} inputs"
        fix = "send them in this order: " + ", ".join(field.name for field in self.fields)
        faults.append(RowFault(number, "", what, shown(row), fix))
        return (None,) * len(self.fields)

    def _unknown(self, number: int, name: str, value: Any) -> RowFault:
        fix = did_you_mean(name, sorted(self._names)) or "add ?extra=ignore to ignore it"
        return RowFault(number, name, "the model has no such input", shown(value), fix)


def _absent(number: int, name: str) -> RowFault:
    return RowFault(
        number, name, "this input is required and absent", fix="send it, or null when it is not known"
    )


def _envelope(key: str, row: Any) -> Any:
    """A decoder of `{KEY: [row, ...]}`."""
    body = msgspec.defstruct(
        "Body", [("rows", list[row])], rename={"rows": key}, forbid_unknown_fields=True, gc=False
    )
    return msgspec.json.Decoder(body)
