"""Sources of files that a library reads batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.acquire.files import fetch, fingerprint_files, shown
from bessemer.acquire.protocol import Place, Relation

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context


class FileBatches:
    """Made a source by `kind`, which is the field of the options that has the path too, and by `batches`.

    The options have `sha256` beside it. Columns that only some files have are NULL in the others.
    """

    kind = ""

    def __init__(self, name: str, options: Any) -> None:
        self.name, self.options = name, options

    @property
    def _path(self) -> str:
        return str(getattr(self.options, self.kind))

    def uri(self) -> str:
        return shown(self._path)

    def fingerprint(self, place: Place) -> str:
        return fingerprint_files(self._path, place, self.kind, self.options.sha256)

    def open(self, connection: Any, ctx: Context) -> Relation:
        return Relation(batches=self.batches(fetch(self._path, ctx, self.kind, self.options.sha256)))

    def batches(self, files: list[Path]) -> Iterator[pa.RecordBatch]:
        """The rows of local files, in order; a batch without rows for a file that has none."""
        raise NotImplementedError
