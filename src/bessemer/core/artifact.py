"""What a stage hands to the next one: a reference, and what the store gives for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import StoreError, did_you_mean

if TYPE_CHECKING:
    from bessemer.core.store import Store


@dataclass(frozen=True)
class ArtifactRef:
    """A kind (the name of an artifact in the flow's table) and the digest of its content.

    >>> str(ArtifactRef("raw", "ab" * 32))
    'raw:abababababab'
    """

    kind: str
    digest: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.digest[:12]}"


@dataclass(frozen=True)
class FileEntry:
    """One file of an artifact: sha256 as hex, size in bytes."""

    digest: str
    size: int


@dataclass(frozen=True)
class Artifact:
    """An artifact that stands in a store: its files (verified when they are read) and its facts.

    `meta` holds small JSON facts about the content (rows, columns, task); it is part of the digest.
    """

    ref: ArtifactRef
    files: Mapping[str, FileEntry]
    meta: Mapping[str, Any] = field(default_factory=dict)
    store: Store | None = None

    def _repr_html_(self) -> str:
        from bessemer.core.rich_html import card, table, text

        files = [[text(name), text(f"{entry.size:,} bytes")] for name, entry in self.files.items()]
        facts = [
            (name, text(value)) for name, value in self.meta.items() if isinstance(value, str | int | float)
        ]
        return card(str(self.ref), facts, table(["file", "size"], files))

    def _entry(self, name: str) -> FileEntry:
        if name not in self.files:
            raise StoreError(f"{self.ref} has no file '{name}'", fix=did_you_mean(name, self.files))
        return self.files[name]

    def path(self, name: str) -> Path:
        """A local, read-only path with the file's verified content (a file name without an ending).

        Raises:
            StoreError: no such file in this artifact, or the blob is missing or damaged.
        """
        assert self.store is not None
        return self.store.blob(self._entry(name))

    def bytes(self, name: str) -> bytes:
        return self.path(name).read_bytes()

    def text(self, name: str) -> str:
        return self.bytes(name).decode("utf-8")

    def json(self, name: str) -> Any:
        return json.loads(self.bytes(name))
