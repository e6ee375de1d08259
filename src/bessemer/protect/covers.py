"""What all markers need of covers: their features, and whether they are rows that are there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.package.session import GraphSession

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.protect.protocol import Pool

_BLOCK = 65_536


def features_of(pool: Pool, covers: pa.Table) -> np.ndarray:
    """(n, F) float32: what the shipping preprocessing makes of raw rows."""
    session = GraphSession(pool.preprocessor.bytes("preprocessor.onnx"), pool.signature.inputs)
    found = session.run(covers, ["features"])["features"]
    return np.ascontiguousarray(found, dtype=np.float32)


def new_rows(pool: Pool, X: np.ndarray) -> np.ndarray:
    """The places of rows that equal no training row and none before them, ascending."""
    own = _whole(X)
    _, first = np.unique(own, return_index=True)
    fresh = np.zeros(len(X), dtype=bool)
    fresh[first] = True
    for start in range(0, len(pool), _BLOCK):
        fresh &= ~np.isin(own, _whole(pool.features[start : start + _BLOCK]))
    return np.flatnonzero(fresh)


def rows_as_json(covers: pa.Table) -> list[dict[str, Any]]:
    """The rows as they are committed to and sent to servers: moments as ISO 8601, missing as None."""
    import pyarrow as pa

    moments = [field.name for field in covers.schema if pa.types.is_timestamp(field.type)]
    rows: list[dict[str, Any]] = covers.to_pylist()
    for row in rows:
        for name in moments:
            row[name] = row[name].isoformat() if row[name] is not None else None
    return rows


def _whole(X: np.ndarray) -> np.ndarray:
    """(n,) one value a row; 0 and -0 are one number."""
    X = np.ascontiguousarray(X, dtype=np.float32) + np.float32(0)
    found: np.ndarray = X.view(np.dtype((np.void, X.shape[1] * 4))).ravel()
    return found
