"""The records of an answer, and the lines of JSON that they become on this disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from bessemer.core.errors import DataError, did_you_mean

#: More names than this are values that were made names.
_MOST_COLUMNS = 10_000


def inside(content: Any, path: str) -> Any:
    """What stands at a path of names in JSON; None where nothing does.

    >>> inside({"data": {"items": [1]}}, "data.items"), inside([2], ""), inside({"a": 1}, "a.b")
    ([1], [2], None)
    """
    for name in filter(None, path.split(".")):
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


def records_of(content: Any, path: str, where: str) -> list[dict[str, Any]]:
    """The records at a path of an answer.

    Raises:
        DataError: there is no list of objects.

    >>> records_of({"items": [{"id": 1}]}, "items", "https://a/b")
    [{'id': 1}]
    """
    found = inside(content, path)
    if isinstance(found, list):
        wrong = next((each for each in found if not isinstance(each, dict)), None)
        if wrong is not None:
            raise DataError(
                f"a record of '{where}' is {type(wrong).__name__}, not an object: {str(wrong)[:60]}",
                fix="name the list of objects, as in `records: data.items`",
            )
        return found
    lists = sorted(_lists(content))
    if found is None and path:
        hint = did_you_mean(path, lists) if lists else _shown(content)
        raise DataError(f"'{where}' has no list at '{path}'", fix=hint)
    raise DataError(
        f"the answer of '{where}' is no list of records",
        why=_shown(found),
        fix=f"name the list, as in `records: {lists[0] if lists else 'data.items'}`",
    )


def _lists(content: Any, before: str = "", depth: int = 3) -> Iterable[str]:
    """The paths of the lists in an answer."""
    if isinstance(content, dict) and depth:
        for name, value in content.items():
            if isinstance(value, list):
                yield f"{before}{name}"
            else:
                yield from _lists(value, f"{before}{name}.", depth - 1)


def _shown(content: Any) -> str:
    return f"it begins with {json.dumps(content)[:120]}"


class Lines:
    """Records as lines of JSON in a file, and the names that they have.

    names: in the order in which they came.
    """

    def __init__(self, file: Path, where: str) -> None:
        self._file, self._where = file, where
        self.names: dict[str, None] = {}
        self.count = 0

    def open(self) -> IO[bytes]:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        return self._file.open("wb")

    def add(self, out: IO[bytes], records: Iterable[Mapping[str, Any]]) -> None:
        for record in records:
            self.names.update(dict.fromkeys(record))
            text = json.dumps(record, ensure_ascii=False)
            out.write(text.encode("utf-8", "replace") + b"\n")  # half of a surrogate pair is no character
            self.count += 1
        if len(self.names) > _MOST_COLUMNS:
            raise DataError(
                f"'{self._where}' has more than {_MOST_COLUMNS:,} different names in its records",
                why="names that are values make a column each",
                fix="ask for other records, or make them rows with a source of `python`",
            )
