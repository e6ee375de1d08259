"""Universal Binary JSON (draft 12), as XGBoost writes it: https://ubjson.org."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Deepest nesting, and most values that are no numbers of a typed array.
_DEEPEST, _MOST = 64, 20_000_000
_NUMBERS = {"i": ">i1", "U": ">u1", "I": ">i2", "l": ">i4", "L": ">i8", "d": ">f4", "D": ">f8"}
_WORDS = {"Z": None, "T": True, "F": False}


def loads(data: bytes) -> Any:
    """The value in these bytes; typed arrays of numbers come as arrays of numpy.

    Raises:
        ValueError: they are no UBJSON, or it is nested too deeply.

    >>> loads(b"{i\\x01a[$U#i\\x03\\x01\\x02\\x03}")["a"].tolist()
    [1, 2, 3]
    """
    reader = _Reader(data)
    value = reader.value(reader.marker(), 0)
    if reader.at != len(data):
        raise ValueError(f"{len(data) - reader.at} bytes are left over")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self.at, self._left = data, 0, _MOST

    def _take(self, size: int) -> bytes:
        if size < 0 or size > len(self._data) - self.at:
            raise ValueError(f"{size} bytes are wanted at byte {self.at}, and the file ends")
        self.at += size
        return self._data[self.at - size : self.at]

    def marker(self) -> str:
        """The next marker that says something: N stands for nothing."""
        while (found := self._take(1).decode("latin-1")) == "N":
            pass
        return found

    def _peek(self) -> str:
        return self._data[self.at : self.at + 1].decode("latin-1")

    def _integer(self) -> int:
        kind = self.marker()
        if kind not in "iUIlL":
            raise ValueError(f"a size of type {kind!r} at byte {self.at}")
        return int(self._number(kind))

    def _number(self, kind: str) -> int | float:
        dtype = np.dtype(_NUMBERS[kind])
        value: int | float = np.frombuffer(self._take(dtype.itemsize), dtype)[0].item()
        return value

    def _text(self) -> str:
        return self._take(self._integer()).decode("utf-8")

    def value(self, kind: str, depth: int) -> Any:
        """The value that a marker announces."""
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            raise ValueError("nested too deeply" if depth > _DEEPEST else "too many values")
        if kind in _WORDS:
            return _WORDS[kind]
        if kind in _NUMBERS:
            return self._number(kind)
        if kind in ("S", "H"):
            return self._text()
        if kind == "C":
            return self._take(1).decode("latin-1")
        if kind == "[":
            return self._array(depth)
        if kind == "{":
            return self._object(depth)
        raise ValueError(f"no type {kind!r} (byte {self.at})")

    def _head(self) -> tuple[str, int | None]:
        """The type and count that a container may say of itself."""
        kind = ""
        if self._peek() == "$":
            self._take(1)
            kind = self.marker()
        if self._peek() != "#":
            if kind:
                raise ValueError(f"a type without a count at byte {self.at}")
            return "", None
        self._take(1)
        return kind, self._integer()

    def _array(self, depth: int) -> Any:
        kind, count = self._head()
        if count is None:
            found = []
            while (marker := self.marker()) != "]":
                found.append(self.value(marker, depth + 1))
            return found
        if kind in _NUMBERS:
            dtype = np.dtype(_NUMBERS[kind])
            content = self._take(count * dtype.itemsize)
            return np.frombuffer(content, dtype).astype(dtype.newbyteorder("="))
        if count > len(self._data) - self.at:
            raise ValueError(f"{count} values at byte {self.at}, where the file ends")
        return [self.value(kind or self.marker(), depth + 1) for _ in range(count)]

    def _object(self, depth: int) -> dict[str, Any]:
        kind, count = self._head()
        found: dict[str, Any] = {}
        while count is None or len(found) < count:
            if count is None and self._peek() == "}":
                self._take(1)
                break
            name = self._text()
            if name in found:
                raise ValueError(f"two values are named {name[:80]!r}")
            found[name] = self.value(kind or self.marker(), depth + 1)
        return found
