"""A folder or bucket that an engine and this process both see, through which tables travel as Parquet."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 65_536


class SharedFolder:
    """`url` is a local folder, or a URL that fsspec and the engine both understand."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def _open(self, name: str = "") -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        system, root = url_to_fs(self.url)
        return system, f"{root}/{name}" if name else root

    def place(self, name: str) -> str:
        """How the engine calls something in it."""
        return f"{self.url}/{name}" if "://" in self.url else str(Path(self.url).absolute() / name)

    def bring(self, name: str, files: Sequence[Path]) -> str:
        """Copy files into a folder of that name, in place of what was there; gives its place."""
        self.remove(name)
        system, folder = self._open(name)
        system.makedirs(folder, exist_ok=True)
        for number, file in enumerate(files):
            with (
                file.open("rb") as source,
                system.open(f"{folder}/part-{number:06d}.parquet", "wb") as target,
            ):
                shutil.copyfileobj(source, target, 2**20)
        return self.place(name)

    def has(self, path: str) -> bool:
        system, whole = self._open(path)
        return bool(system.exists(whole))

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """The rows of all Parquet files in the folder of that name, file by file."""
        import pyarrow.parquet as pq

        system, folder = self._open(name)
        for path in sorted(system.find(folder)):
            if not path.endswith(".parquet"):
                continue
            with system.open(path, "rb") as opened, pq.ParquetFile(opened, pre_buffer=False) as file:
                yield from file.iter_batches(_BLOCK)

    def remove(self, name: str) -> None:
        system, folder = self._open(name)
        if system.exists(folder):
            system.rm(folder, recursive=True)
