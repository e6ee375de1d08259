"""What coded rows are compared by: random Fourier features of them, and the rows as plain vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bessemer.package.row_codes import Coded, Codes
from bessemer.stats.arrays import Floats
from bessemer.stats.random_features import cosines, frequencies

_LABEL = "bessemer joint row"


class RowCosines:
    """Random Fourier features of coded rows: a column counts as much as any other, a level as far as any other.

    Args:
        columns: of the rows. features: how many, k.
        exact: in float64, which takes twice as long: the same to fifteen digits on every kind of processor.
    """

    def __init__(self, columns: Sequence[Coded], features: int, *, exact: bool = False) -> None:
        self._type: type[np.floating] = np.float64 if exact else np.float32
        share = max(1, len(columns)) ** -0.5
        numbers = [_weights(column.name, "", features) for column in columns if column.is_number]
        stacked = share * np.stack(numbers) if numbers else np.zeros((0, features))
        self._numbers = stacked.astype(np.float32).astype(self._type)
        self._levels = {
            column.name: (share * column.scale * _table(column, features))
            .astype(np.float32)
            .astype(self._type)
            for column in columns
            if not column.is_number
        }

    def of(self, codes: Codes) -> Floats:
        """(n, k)."""
        phases = codes.numbers().astype(self._type) @ self._numbers
        for column, values in codes.levels():
            phases += self._levels[column.name][values]
        return cosines(phases, _LABEL)


def _table(column: Coded, features: int) -> Floats:
    """The weights of a column's levels (levels + 2, features): all others and missing have their own."""
    named = [f"={level}" for level in column.levels]
    return np.stack([_weights(column.name, level, features) for level in (*named, "other", "missing")])


def _weights(name: str, level: str, features: int) -> Floats:
    return frequencies(f"{_LABEL}\0{name}\0{level}", features)


def vectors(codes: Codes) -> Floats:
    """Coded rows as vectors (n, width): scores, and a coordinate a level."""
    parts = [codes.numbers()]
    for column, values in codes.levels():
        parts.append(column.scale * (values[:, None] == np.arange(column.width)))
    return np.concatenate(parts, axis=1)


def narrow(columns: Sequence[Coded], width: int) -> list[Coded]:
    """The first columns whose vectors are no wider than `width`."""
    ends = np.cumsum([column.width for column in columns])
    return [column for column, end in zip(columns, ends, strict=True) if end <= width]
