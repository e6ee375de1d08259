"""A model on a server as a victim: raw rows go there, scores of classes come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bessemer.package.remote.scores import class_scores

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.attack.raw_matrix import RawMatrix
    from bessemer.package.remote.client import Client


class ServerOracle:
    """Answers of a server, as `protocol.Oracle` has them.

    gives_scores: whether every answer so far had more than the class.
    """

    def __init__(self, client: Client, classes: Sequence[Any], matrix: RawMatrix) -> None:
        self._client, self._classes, self._matrix = client, tuple(classes), matrix
        self.gives_scores = True

    def scores(self, table: pa.Table) -> npt.NDArray[np.float64]:
        found, more = class_scores(self._client.ask(table.to_pylist()), self._classes)
        self.gives_scores = self.gives_scores and bool(more.all())
        return found

    def table(self, X: npt.NDArray[np.float32], base: pa.Table) -> pa.Table:
        return self._matrix.table(X, base)
