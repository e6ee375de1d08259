"""A suspect that is a package, whoever signed it: it is run, but not trusted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bessemer.package.container import unpack
from bessemer.package.keys import PUBLIC_BYTES
from bessemer.package.model import Model
from bessemer.package.read import read_package

if TYPE_CHECKING:
    from bessemer.protect.suspects.suspect import Marked, Row


class PackageSuspect:
    """A `.bsm` file; its signature has to be right, by whatever key, and its graph has to be safe."""

    def __init__(self, path: Path, own: Marked) -> None:
        data = path.read_bytes()
        signed = bytes(unpack(data).get("manifest.sig", b""))
        self._model = Model(read_package(data, trust=[signed[:PUBLIC_BYTES]]))

    def said(self, rows: Sequence[Row]) -> np.ndarray:
        found = self._model.predict([dict(row) for row in rows])["prediction"]
        return np.array(found.to_pylist(), dtype=object)
