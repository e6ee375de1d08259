"""Edits of a contract's text that leave everything else of it as it is: comments, order, spaces, quotes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from bessemer.validate.writing import scalar_text, value_text


@dataclass
class _Asked:
    """What is to change in one mapping: values by key, keys that go, and lines that come."""

    put: dict[str, str] = field(default_factory=dict)
    remove: set[str] = field(default_factory=set)
    add: list[str] = field(default_factory=list)


class Edits:
    """Changes of a YAML text, which are made at once.

    >>> edits = Edits("columns:\\n  age: {type: integer, min: 0}  # years\\n")
    >>> edits.put(("columns", "age"), "min", -1)
    >>> edits.put(("columns", "age"), "max", 99)
    >>> print(edits.text(), end="")
    columns:
      age: {type: integer, min: -1, max: 99}  # years
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self._newline = "\r\n" if "\r\n" in source else "\n"
        # the loader in Python: its marks count characters, also behind those outside of Latin
        self._root = yaml.compose(source, Loader=yaml.SafeLoader)
        self._asked: dict[int, _Asked] = {}

    def put(self, path: tuple[str, ...], key: str, value: Any) -> None:
        """Set a key of the mapping at a path, which is there."""
        mapping = self._mapping(path)
        asked = self._of(mapping)
        if any(k.value == key for k, _ in mapping.value):
            asked.put[key] = value_text(value)
        else:
            asked.add.append(f"{scalar_text(key)}: {value_text(value)}")

    def add(self, path: tuple[str, ...], key: str, values: Mapping[str, Any]) -> None:
        """Add a key with a mapping of values, on one line."""
        inner = ", ".join(f"{name}: {value_text(value)}" for name, value in values.items())
        self._of(self._mapping(path)).add.append(f"{scalar_text(key)}: {{{inner}}}")

    def remove(self, path: tuple[str, ...], key: str) -> None:
        """Remove a key of the mapping at a path; one that is not there is no matter."""
        self._of(self._mapping(path)).remove.add(key)

    def text(self) -> str:
        """The text with all changes."""
        pieces, at = [], 0
        for start, end, new in sorted(self._splices(self._root), key=lambda splice: splice[0]):
            pieces += [self.source[at:start], new]
            at = end
        return "".join([*pieces, self.source[at:]])

    def _of(self, mapping: Any) -> _Asked:
        return self._asked.setdefault(id(mapping), _Asked())

    def _mapping(self, path: tuple[str, ...]) -> Any:
        node: Any = self._root
        for part in path:
            node = next(value for key, value in node.value if key.value == part)
        return node

    def _splices(self, node: Any) -> list[tuple[int, int, str]]:
        """(start, end, new text) of all that changes within a node."""
        if not isinstance(node, yaml.MappingNode):
            return []
        if node.flow_style:
            start, end = node.start_mark.index, node.end_mark.index
            made = self._flow(node)
            return [] if made == self.source[start:end] else [(start, end, made)]
        asked = self._asked.get(id(node), _Asked())
        found: list[tuple[int, int, str]] = []
        for key, value in node.value:
            if key.value in asked.remove:
                start = self.source.rfind("\n", 0, key.start_mark.index) + 1
                found.append((start, self._line_end(_end(value)) + 1, ""))
            elif key.value in asked.put:
                found.append((value.start_mark.index, _end(value), self._spaced(value, asked.put[key.value])))
            else:
                found += self._splices(value)
        if asked.add:
            at = self._line_end(_end(node))
            indent = self._newline + " " * node.value[0][0].start_mark.column
            new = "".join(indent + line for line in asked.add)
            cut = next(
                (s for s in found if s[1] == at + 1), None
            )  # the last key goes: its line's end with it
            if cut is None:
                at -= self.source[at - 1 : at] == "\r"
                found.append((at, at, new))
            else:
                found.append((at + 1, at + 1, new.removeprefix(self._newline) + self._newline))
        return found

    def _flow(self, node: Any) -> str:
        """The text of a mapping in braces; what stands between two keys that stay, stays."""
        if not isinstance(node, yaml.MappingNode):
            return self.source[node.start_mark.index : node.end_mark.index]
        asked, made, last = self._asked.get(id(node), _Asked()), "", -1
        for i, (key, value) in enumerate(node.value):
            if key.value in asked.remove:
                continue
            if made:
                between = (
                    node.value[i - 1][1].end_mark.index
                    if last < i - 1
                    else node.value[last][1].end_mark.index
                )
                made += self.source[between : key.start_mark.index]
            to_value = self.source[key.start_mark.index : value.start_mark.index]
            new = asked.put.get(key.value)
            made += to_value + (self._flow(value) if new is None else self._spaced(value, new))
            last = i
        made = ", ".join([*([made] if made else []), *asked.add])
        first = node.value[0][0].start_mark.index if node.value else node.end_mark.index - 1
        ends = node.value[-1][1].end_mark.index if node.value else first
        opening, closing = self.source[node.start_mark.index : first], self.source[ends : node.end_mark.index]
        return opening + made + closing

    def _spaced(self, value: Any, new: str) -> str:
        """The new text of a value; where there was none, a blank after the colon is missing."""
        at = value.start_mark.index
        return new if self.source[at - 1 : at].isspace() else f" {new}"

    def _line_end(self, at: int) -> int:
        found = self.source.find("\n", at)
        return len(self.source) if found < 0 else found


def _end(node: Any) -> int:
    """Where a value ends: a block's own mark stands behind the comments below it, so that of its last value counts."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)
