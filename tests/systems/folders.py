"""Sources that are folders of files: what their systems share in the tests that every source must pass."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pyarrow as pa

from bessemer.testing.sources import Options


class Folders:
    """A folder of files, one for what was put there and one for what was added."""

    kind = ""
    ending = ""
    lacks = frozenset({"credentials", "interruption"})

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, file: Path, table: pa.Table) -> None:
        raise NotImplementedError

    def put(self, name: str, table: pa.Table) -> Options:
        (self.folder / name).mkdir(parents=True)
        self.write(self.folder / name / f"a{self.ending}", table)
        return {self.kind: str(self.folder / name)}

    def add(self, name: str, table: pa.Table) -> None:
        self.write(self.folder / name / f"b{self.ending}", table)

    def missing(self, name: str) -> Options:
        return {self.kind: str(self.folder / name)}

    def refused(self, name: str) -> Options:
        raise NotImplementedError

    def interrupted(self) -> AbstractContextManager[None]:
        return nullcontext()
