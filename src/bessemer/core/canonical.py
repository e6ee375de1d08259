"""One way to write a value as JSON, so that equal values have equal bytes and digests."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """The value as plain JSON data: mappings, lists, texts, numbers, booleans, None."""
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(v) for v in value), key=lambda v: json.dumps(v, sort_keys=True))
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, Path | dt.datetime | dt.date | dt.timedelta):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(mode="json"))
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy
        return plain(value.tolist())
    raise TypeError(f"cannot write {type(value).__name__} as canonical JSON")


def dumps(value: Any, *, indent: int | None = None) -> str:
    """JSON text with sorted keys; sets are sorted; NaN and infinity become null.

    >>> dumps({"b": {2, 1}, "a": float("nan")})
    '{"a":null,"b":[1,2]}'
    """
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(plain(value), sort_keys=True, ensure_ascii=False, separators=separators, indent=indent)


def dump_bytes(value: Any, *, indent: int | None = None) -> bytes:
    return dumps(value, indent=indent).encode("utf-8")


def digest(value: Any) -> str:
    """The sha256 of the value's canonical JSON, as hex."""
    return hashlib.sha256(dump_bytes(value)).hexdigest()
