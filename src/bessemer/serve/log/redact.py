"""What of the inputs goes into the log: without what is excluded, and hashes where a hash is wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.core.errors import UsageError
from bessemer.core.signature import MISSING_TIMESTAMP, Signature
from bessemer.package.prediction_log.model import LoggedInput, LoggedModel
from bessemer.package.prediction_log.values import from_json, packed

_LEAST_KEY = 16
_MOST_KEY = 64  # of BLAKE2b
_DIGEST = 16


def read_key(path: str | Path) -> bytes:
    """The key in a file, without white space around it.

    Raises:
        UsageError: the file cannot be read or has fewer than 16 bytes.
    """
    try:
        key = Path(path).read_bytes().strip()
    except OSError as error:
        raise UsageError(
            f"the key of the prediction log, {path}, cannot be read",
            why=error.strerror or "",
            fix=f"head -c 32 /dev/urandom > {path}",
        ) from None
    if len(key) < _LEAST_KEY:
        raise UsageError(
            f"the key of the prediction log, {path}, has {len(key)} bytes, and {_LEAST_KEY} are the least",
            fix=f"head -c 32 /dev/urandom > {path}",
        )
    return key if len(key) <= _MOST_KEY else hashlib.blake2b(key).digest()


def keyed_hash(value: Any, key: bytes, field: LoggedInput) -> str | None:
    """32 hexadecimal digits for a value, None for a missing one; the same for a value as JSON and as a tensor.

    Numbers are hashed as the graph sees them, whole ones in all their digits.

    >>> field = LoggedInput("n", "number", "float32")
    >>> keyed_hash(0.1, b"k" * 16, field) == keyed_hash(float(np.float32(0.1)), b"k" * 16, field)
    True
    """
    text = _canonical(value, field)
    if text is None:
        return None
    return hashlib.blake2b(text.encode("utf-8", "replace"), key=key, digest_size=_DIGEST).hexdigest()


def _canonical(value: Any, field: LoggedInput) -> str | None:
    if field.dtype == "timestamp":
        (moment,) = from_json([value], LoggedInput(field.name, "timestamp", "int64")).cast("int64")
        value = moment.as_py()
        return None if value is None or value == MISSING_TIMESTAMP else str(value)
    if value is None or value == "" or value != value:
        return None
    if field.dtype == "string":
        return str(value)
    if field.dtype == "boolean":
        return "true" if value else "false"
    if isinstance(value, float) and not value.is_integer() and field.tensor == "float32":
        with np.errstate(over="ignore"):
            value = float(np.float32(value))
    return str(int(value)) if float(value).is_integer() else repr(value)


class Redactor:
    """Makes of a batch's inputs what may be logged of them, for one model."""

    def __init__(self, signature: Signature, logged: LoggedModel, key: bytes) -> None:
        kept = {field.name for field in logged.inputs}
        self._inputs = logged.inputs
        self._names = [field.name for field in logged.inputs]
        self._at = [i for i, field in enumerate(signature.inputs) if field.name in kept]
        self._all = len(kept) == len(signature.inputs)
        self._hashed = [(i, field) for i, field in enumerate(logged.inputs) if field.hashed]
        self._key = key
        self._pick: Callable[[Any], tuple[Any, ...]] | None = (
            itemgetter(*self._at) if len(self._at) > 1 else None
        )

    def rows(self, rows: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
        """Rows of JSON values, with the columns that are kept."""
        if not self._all:
            pick = self._pick
            rows = [pick(row) for row in rows] if pick else [tuple(row[i] for i in self._at) for row in rows]
        return self._with_hashes(rows) if self._hashed else rows

    def _with_hashes(self, rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
        made = [list(row) for row in rows]
        for row in made:
            for i, field in self._hashed:
                row[i] = keyed_hash(row[i], self._key, field)
        return made

    def feeds(self, feeds: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, list[Any]]:
        """Tensors, as a journal holds them."""
        if not self._hashed:
            return {name: packed(feeds[name]) for name in self._names}
        return {field.name: self._column(feeds[field.name], field) for field in self._inputs}

    def _column(self, array: np.ndarray[Any, Any], field: LoggedInput) -> list[Any]:
        if not field.hashed:
            return packed(array)
        return [keyed_hash(value, self._key, field) for value in array.ravel().tolist()]
