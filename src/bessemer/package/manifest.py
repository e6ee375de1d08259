"""The manifest: what a package is and the digest of everything in it. It is what gets signed.

The format number is one integer. A change that an older reader would misunderstand raises it; `READERS` keeps
a reader for every number there ever was, and tests/package/golden keeps a file of each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bessemer.core import canonical
from bessemer.core.errors import FormatError, IntegrityError

FORMAT = 1


@dataclass(frozen=True)
class Member:
    """A member's digest (hex) and size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """created: UTC, ISO 8601; the only time in a package. bessemer: the version that wrote it."""

    name: str
    version: str
    created: str
    bessemer: str
    task: str
    target: str
    members: Mapping[str, Member]
    format: int = FORMAT

    def to_bytes(self) -> bytes:
        return canonical.dump_bytes(asdict(self), indent=1) + b"\n"

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all of it: two packages of one digest are the same."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def describe(members: Mapping[str, bytes]) -> dict[str, Member]:
    """The digests and sizes of some members.

    >>> describe({"a": b""})["a"].size
    0
    """
    return {name: Member(hashlib.sha256(data).hexdigest(), len(data)) for name, data in members.items()}


def _read_1(value: Mapping[str, Any]) -> Manifest:
    texts = {name: value[name] for name in ("name", "version", "created", "bessemer", "task", "target")}
    members = {name: Member(**entry) for name, entry in value["members"].items()}
    if not all(isinstance(text, str) for text in texts.values()):
        raise TypeError("a text is not a text")
    return Manifest(**texts, members=members, format=1)


READERS: Mapping[int, Callable[[Mapping[str, Any]], Manifest]] = {1: _read_1}


def parse(data: bytes) -> Manifest:
    """The manifest in these bytes, whose signature has been checked.

    Raises:
        FormatError: it is no manifest, or of a format this version does not read.
    """
    try:
        value = json.loads(data)
        number = value["format"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise FormatError("the manifest of the package cannot be read", why="it is not a manifest") from None
    if isinstance(number, bool) or not isinstance(number, int) or number not in READERS:
        known = ", ".join(str(n) for n in sorted(READERS))
        writer = str(value.get("bessemer", "")) or "a newer version"
        raise FormatError(
            f"the package is of format {number!r}, and this version reads {known}",
            why=f"it was written by Bessemer {writer}",
            fix=f"pip install 'bessemer>={writer}'" if value.get("bessemer") else "pip install -U bessemer",
        )
    try:
        return READERS[number](value)
    except (KeyError, TypeError, AttributeError):
        raise FormatError(
            f"the manifest does not say what format {number} says", fix="get the package again"
        ) from None


def check_members(manifest: Manifest, members: Mapping[str, memoryview]) -> None:
    """Hold every member against the manifest.

    Raises:
        IntegrityError: a member is missing, added, or differs by a byte.
    """
    for name in sorted(set(manifest.members) | set(members)):
        if name not in members:
            raise _tampered(f"member '{name}' is missing")
        if name not in manifest.members:
            raise _tampered(f"member '{name}' is not in the signed manifest")
        expected = manifest.members[name]
        if len(members[name]) != expected.size:
            raise _tampered(
                f"member '{name}' has {len(members[name])} bytes and was signed with {expected.size}"
            )
        if hashlib.sha256(members[name]).hexdigest() != expected.sha256:
            raise _tampered(f"member '{name}' differs from what was signed")


def _tampered(what: str) -> IntegrityError:
    return IntegrityError(
        what, why="the package was changed after it was signed", fix="get it again from where it was made"
    )
