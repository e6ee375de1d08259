"""Arrays as text in JSON: float32, little-endian, base64; of a symmetric matrix the upper triangle."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats


def pack(values: ArrayLike) -> str:
    """Text of an array, flat.

    >>> unpack(pack([1.0, -0.5])).tolist()
    [1.0, -0.5]
    """
    return base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode("ascii")


def unpack(text: str) -> Floats:
    return np.frombuffer(base64.b64decode(text), dtype="<f4").astype(np.float64)


def pack_symmetric(matrix: Floats) -> str:
    """Text of a symmetric matrix (k, k).

    >>> unpack_symmetric(pack_symmetric(np.array([[1.0, 2.0], [2.0, 3.0]]))).tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    return pack(matrix[np.triu_indices(len(matrix))])


def unpack_symmetric(text: str) -> Floats:
    flat = unpack(text)
    size = int(((8 * len(flat) + 1) ** 0.5 - 1) / 2)
    matrix = np.zeros((size, size))
    matrix[np.triu_indices(size)] = flat
    return matrix + np.triu(matrix, 1).T
