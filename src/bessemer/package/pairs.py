"""Features of pairs of categories: what the levels of two columns say together, looked up in one table.

The code of a level is read off the features that the preprocessor made of its column (its indicators, or its rank),
so a learner's head needs nothing but `features`. All of it is arithmetic on whole numbers below 2^24, exact in float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core import canonical
from bessemer.core.errors import FormatError

if TYPE_CHECKING:
    from bessemer.package.graph import GraphBuilder


@dataclass(frozen=True)
class PairEncoder:
    """From (N, F) features to (N, P * W) features of P pairs, W numbers each.

    columns: (C,) int64, the features that codes are read off; they are never NaN.
    codes: (C, P) float32 and start: (P,) float32; a row's place in the table is `X[:, columns] @ codes + start`.
    table: (T, W) float32.
    owners: (P, 2) int64, the first feature of each pair's two columns: they share what the pair contributes.
    """

    columns: np.ndarray
    codes: np.ndarray
    start: np.ndarray
    table: np.ndarray
    owners: np.ndarray

    @property
    def features(self) -> int:
        """P * W, how many features it adds."""
        return len(self.start) * int(self.table.shape[1])

    def fits(self) -> bool:
        """Whether the arrays are of the shapes that belong together."""
        pairs, columns = len(self.start), len(self.columns)
        shapes = (self.codes.shape, self.start.shape, self.columns.shape, self.owners.shape)
        whole = shapes == ((columns, pairs), (pairs,), (columns,), (pairs, 2)) and self.table.ndim == 2
        return (
            whole
            and min(columns, pairs, self.table.size) > 0
            and min(self.columns.min(), self.owners.min()) >= 0
        )

    def places(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, P) int64: where each pair of levels stands in the table."""
        found: np.ndarray = (X[:, self.columns] @ self.codes + self.start).astype(np.int64)
        return found

    def added(self, X: np.ndarray) -> np.ndarray:
        """(N, F) -> (N, F + P * W) float32: the features, then those of the pairs."""
        pairs = self.table[self.places(X)].reshape(len(X), self.features)
        return np.concatenate([X, pairs], axis=1)

    def add(self, g: GraphBuilder, x: str) -> str:
        """The same as nodes of a graph; the name of the value."""
        read = g.op("Gather", [x, g.constant(self.columns)], axis=1)
        place = g.op("Add", [g.op("MatMul", [read, g.constant(self.codes)]), g.constant(self.start)])
        found = g.op("Gather", [g.constant(self.table), g.cast(place, "int64")], axis=0)
        shape = g.constant(np.array([0, self.features], dtype=np.int64))
        return g.op("Concat", [x, g.op("Reshape", [found, shape])], axis=1)

    def shared(self, each: np.ndarray) -> np.ndarray:
        """Contributions (N, F + P * W, K') -> (N, F, K'): a pair's goes half and half to its two columns."""
        width, first = self.table.shape[1], each.shape[1] - self.features
        found: np.ndarray = each[:, :first].copy()
        for pair, owners in enumerate(self.owners):
            at = first + pair * width
            half = each[:, at : at + width].sum(axis=1) / 2
            for owner in owners:
                found[:, owner] += half
        return found


_ARRAYS: Mapping[str, Any] = {
    "columns": np.int64,
    "codes": np.float32,
    "start": np.float32,
    "table": np.float32,
    "owners": np.int64,
}


def encode_paired(encoder: PairEncoder, kind: str, content: bytes) -> bytes:
    """A line of JSON with the encoder, and the native model that takes what it gives.

    >>> made = PairEncoder(
    ...     np.array([1]), np.float32([[1.0]]), np.float32([0]), np.float32([[0.5], [2.0]]), np.array([[0, 1]])
    ... )
    >>> decode_paired(encode_paired(made, "constant", b"{}"))[1:]
    ('constant', b'{}')
    """
    arrays = {name: getattr(encoder, name).tolist() for name in _ARRAYS}
    return canonical.dump_bytes({"encoder": arrays, "kind": kind}) + b"\n" + content


def decode_paired(content: bytes) -> tuple[PairEncoder, str, bytes]:
    """What `encode_paired` wrote.

    Raises:
        FormatError: it is not that.
    """
    line, _, rest = content.partition(b"\n")
    try:
        head = json.loads(line)
        kind = str(head["kind"])
        encoder = PairEncoder(**{n: np.array(head["encoder"][n], dtype=t) for n, t in _ARRAYS.items()})
        if kind in ("ensemble", "pairs") or not encoder.fits():
            raise ValueError(f"a '{kind}' of pairs")
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise FormatError("the native model of pairs cannot be read", why=str(error)) from error
    return encoder, kind, rest
