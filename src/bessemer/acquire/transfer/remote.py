"""A file that is elsewhere, and the places such files come from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

#: Told the bytes that came; fewer than none where some have to come again.
Advance = Callable[[int], None]
#: Bytes of a file's name: file systems have 255, and a suffix comes.
_LONGEST = 200


class Changed(Exception):
    """The file is not what it was when it was listed."""


@dataclass(frozen=True)
class Remote:
    """One file of a listing.

    address: what its place calls it. inside: its path below what was listed, with `/`. size: bytes, None where it is
    not told. version: a text that differs when the file was changed; '' where the place does not tell.
    """

    address: str
    inside: str
    size: int | None
    version: str

    def local_name(self) -> Path:
        r"""`inside` as a relative path that cannot lead out of a folder.

        >>> Remote("", "../day=1/a.csv", None, "").local_name().as_posix()
        '__/day=1/a.csv'
        """
        parts = [_plain(part) for part in self.inside.split("/") if part]
        return Path(*parts or ["file"])


def _plain(part: str) -> str:
    """A name that a file system can have, and that DuckDB does not take for a pattern; its end stays."""
    if set(part) == {"."}:
        return "_" * len(part)
    name = re.sub(r"[\x00-\x1f\\*?\[\]]", "_", part).encode("utf-8", "replace")
    return name[-_LONGEST:].decode("utf-8", "ignore")


class Origin(Protocol):
    """A place that files come from. workers: how many of its files may be fetched at once."""

    workers: int

    def listed(self) -> list[Remote]:
        """The files there now, sorted by `inside`.

        Raises:
            DataError: there are none, or the place does not answer.
        """

    def fetch(self, remote: Remote, part: Path, advance: Advance) -> str:
        """Bring a file's content to `part`; what stands there of the same version is not brought again.

        Returns:
            The version of what came; '' where it is not known.

        Raises:
            Changed: it is another one now. DataError: it cannot be read.
        """

    def changed(self, fetched: list[Remote]) -> set[str]:
        """The addresses of those that are not what they were when they were listed."""

    def close(self) -> None:
        """Let connections go."""
