"""The ONNX graph against the trained model: they must say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bessemer.core.errors import PackageError
from bessemer.package.parity import sizes

#: Of the score, relative to its size: float32 has seven digits, a sum of thousands of trees keeps five.
TOLERANCE = 1e-4
#: Values of the rows that are looked at at once: the layers of a network for images need many times as many.
_VALUES = 2**21


def run_graph(model: Any, feeds: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
    """The named outputs of an ONNX model (or its bytes), on one thread."""
    from bessemer.package.graph import serialize
    from bessemer.package.runtime import open_session

    session = open_session(model if isinstance(model, bytes) else serialize(model), 1)
    found: list[np.ndarray] = session.run(
        list(outputs), {k: np.ascontiguousarray(v) for k, v in feeds.items()}
    )
    return found


def check_parity(graph: Any, X: np.ndarray, score: np.ndarray) -> float:
    """The worst difference between the graph's `score` and what the native model says, on these rows.

    Args:
        graph: `features` (N, F) float32 -> at least `score`.
        score: (N, K') float64.

    Raises:
        PackageError: the difference is above `TOLERANCE`.
    """
    return check_same(scores_of(graph, X), score) if len(X) else 0.0


def check_same(twin: np.ndarray, score: np.ndarray) -> float:
    """The worst difference between what a graph says, (N, K'), and what the native model says, of the same rows.

    Raises:
        PackageError: the difference is above `TOLERANCE`.
    """
    if not len(score):
        return 0.0
    twin = twin.astype(np.float64)
    difference = np.abs(twin - score) / sizes(score)
    worst = float(np.max(difference))
    if not worst <= TOLERANCE:
        row = int(np.argmax(difference.max(axis=1)))
        raise PackageError(
            f"the ONNX graph and the trained model differ by {worst:.3g} (row {row} of the validation rows)",
            why=f"the graph says {twin[row].tolist()}, the model says {score[row].tolist()}",
            fix="this is a fault of Bessemer or of a learner plug-in; try another learner and report it",
        )
    return worst


def scores_of(graph: Any, X: np.ndarray) -> np.ndarray:
    """What an ONNX model (or its bytes) from `features` to `score` says of all rows, some at once."""
    from bessemer.package.onnx_format import serialize
    from bessemer.package.runtime import open_session

    session = open_session(graph if isinstance(graph, bytes) else serialize(graph), 1)
    at_once = max(1, _VALUES // X.shape[1])
    parts = [np.ascontiguousarray(X[first : first + at_once]) for first in range(0, len(X), at_once)]
    return np.concatenate([session.run(["score"], {"features": part})[0] for part in parts])
