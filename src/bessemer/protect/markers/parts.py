"""Columns cut into few parts, so that it can be counted which stand together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns that are cut, parts of a number, levels of a text: one with more says nothing about what goes together.
_COLUMNS, _PARTS, _LEVELS = 40, 6, 200


def parts_of(rows: pa.Table, names: Sequence[str]) -> np.ndarray:
    """(N, C) int32: the part of its column that each value is in, from 0; missing is a part too. All of a column that
    is not cut is one part.

    >>> import pyarrow as pa
    >>> parts_of(pa.table({"a": ["x", None, "x"], "b": [1.0, 2.0, None]}), ["a", "b"]).tolist()
    [[0, 1], [1, 6], [0, 0]]
    """
    import pyarrow as pa

    parts = np.zeros((rows.num_rows, len(names)), dtype=np.int32)
    for place, name in enumerate(names[:_COLUMNS]):
        values = rows[name].combine_chunks()
        if pa.types.is_string(values.type) or pa.types.is_boolean(values.type):
            coded = values.dictionary_encode(null_encoding="encode")
            if len(coded.dictionary) <= _LEVELS:
                parts[:, place] = coded.indices.to_numpy(zero_copy_only=False)
            continue
        if pa.types.is_timestamp(values.type):
            values = values.cast(pa.int64())
        numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        parts[:, place] = _cut(numbers)
    return parts


def _cut(numbers: np.ndarray) -> np.ndarray:
    known = np.isfinite(numbers)
    if not known.any():
        return np.zeros(len(numbers), dtype=np.int32)
    edges = np.unique(np.quantile(numbers[known], np.linspace(0, 1, _PARTS + 1)[1:-1]))
    found: np.ndarray = np.where(known, np.searchsorted(edges, numbers, side="right") + 1, 0).astype(np.int32)
    return found
