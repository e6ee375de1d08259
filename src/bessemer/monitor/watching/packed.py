"""Arrays in a watcher's memory, which is JSON."""

from __future__ import annotations

import base64
import zlib
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T", bound=np.generic)


def packed(values: NDArray[Any]) -> str:
    """An array's bytes as text.

    >>> unpacked(packed(np.uint16([1, 2])), np.uint16).tolist()
    [1, 2]
    """
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes(), 1)).decode()


def unpacked(text: str, kind: type[_T]) -> NDArray[_T]:
    """The array (n,) that a text was made of; none where it is empty."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)) if text else b"", dtype=kind).copy()
