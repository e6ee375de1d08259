"""ORC files, read stripe by stripe in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from bessemer.acquire import orc_worker
from bessemer.acquire.filebatches import FileBatches
from bessemer.acquire.options import Checksum, PathText
from bessemer.core.spec import Spec

if TYPE_CHECKING:
    import pyarrow as pa


class OrcSource(Spec):
    orc: PathText = Field(description="ORC: a file, folder, glob, URL or python:// path.")
    sha256: Checksum = None


class Orc(FileBatches):
    """One table from one or more ORC files."""

    kind = "orc"

    def batches(self, files: list[Path]) -> Iterator[pa.RecordBatch]:
        return orc_worker.read(files)
