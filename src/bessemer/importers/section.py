"""A mapping of a tool's file, read with types checked, that knows which of its keys nobody asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from bessemer.importers.findings import Findings, show

#: Key -> (why it has no counterpart, what comes nearest).
Hints = Mapping[str, tuple[str, str]]

_WORDS = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}


class Section:
    """One mapping of the file. A value of a wrong type becomes a fault and counts as not said."""

    def __init__(self, findings: Findings, path: str, value: Mapping[str, Any]) -> None:
        self.findings, self.path, self._value = findings, path, value
        self._read: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return self._value.get(key) is not None

    def at(self, key: str) -> str:
        """The path of a key."""
        return f"{self.path}.{key}" if self.path else key

    def any(self, key: str) -> Any:
        """The value as it stands; None where there is none."""
        self._read.add(key)
        return self._value.get(key)

    def text(self, key: str) -> str | None:
        """A text; a number that stands for one (a column called 2020) is one too."""
        value = self.any(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        return value if value is None or isinstance(value, str) else self._wrong(key, "a text")

    def number(self, key: str) -> float | None:
        """A finite number."""
        value = self.any(key)
        if is_number(value) and math.isfinite(value):
            return value  # type: ignore[no-any-return]
        if value is not None:
            self._wrong(key, "a number")
        return None

    def integer(self, key: str) -> int | None:
        """A whole number; 100.0 is one too."""
        value = self.any(key)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if value is not None:
            self._wrong(key, "a whole number")
        return None

    def flag(self, key: str) -> bool | None:
        """A boolean, also as the words that older YAML takes for one."""
        value = self.any(key)
        if isinstance(value, str):
            value = _WORDS.get(value.lower(), value)
        return value if value is None or isinstance(value, bool) else self._wrong(key, "true or false")

    def texts(self, key: str) -> list[str]:
        """A list of texts; a lone one is a list of one."""
        value = self.any(key)
        listed = value if isinstance(value, list) else [] if value is None else [value]
        if all(isinstance(item, str) or is_number(item) for item in listed):
            return [str(item) for item in listed]
        self._wrong(key, "a list of texts")
        return []

    def section(self, key: str, word: str = "") -> Section:
        """A mapping; where `word` is given, a lone text `x` is `{word: x}`."""
        value = self.any(key)
        if word and isinstance(value, str):
            value = {word: value}
        if value is not None and not isinstance(value, dict):
            self._wrong(key, "a mapping")
            value = None
        return Section(self.findings, self.at(key), value or {})

    def sections(self, key: str) -> list[Section]:
        """A list of mappings."""
        value = self.any(key)
        if value is not None and not isinstance(value, list):
            self._wrong(key, "a list of mappings")
            return []
        found = []
        for i, item in enumerate(value or []):
            path = f"{self.at(key)}.{i}"
            if isinstance(item, dict):
                found.append(Section(self.findings, path, item))
            else:
                self.findings.fault(path, f"should be a mapping, not {show(item)}")
        return found

    def unread(self) -> Iterator[tuple[str, Any]]:
        """The keys nobody asked for, with their values."""
        for key, value in self._value.items():
            if key not in self._read and value is not None:
                yield key, value

    def lose(self, hints: Hints, why: str, nearest: str = "") -> None:
        """List every key nobody asked for as without counterpart, with its hint or else `why`."""
        for key, value in list(self.unread()):
            self._read.add(key)
            self.findings.lost(self.at(key), value, *hints.get(key, (why, nearest)))

    def lost(self, key: str, why: str, nearest: str = "") -> None:
        """List one key as without counterpart, where it is said."""
        if (value := self.any(key)) is not None:
            self.findings.lost(self.at(key), value, why, nearest)

    def near(self, key: str, became: str, why: str) -> None:
        """List one key as translated approximately."""
        self.findings.near(self.at(key), self.any(key), became, why)

    def _wrong(self, key: str, wanted: str) -> Any:
        self.findings.fault(self.at(key), f"should be {wanted}, not {show(self._value[key])}")
        return None


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
