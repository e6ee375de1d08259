"""Where each raw column of a row may go within a budget, whatever the others do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bessemer.attack.columns import Column, Norm

Floats = npt.NDArray[np.float64]


def reach(columns: Sequence[Column], own: Floats, budget: float, norm: Norm) -> tuple[Floats, Floats]:
    """The least and the greatest value of each column of rows (R, C), twice (R, C); both are the row's own where it
    stays. Categories are places of levels.

    A missing value stays missing, and a row that breaks the constraints itself moves only back into them.
    """
    low, high = own.copy(), own.copy()
    for c, column in enumerate(columns):
        known = ~np.isnan(own[:, c])
        if column.limit.immutable or not known.any():
            continue
        if column.ordered:
            least, most = _ordered(column, own[known, c], budget, norm)
        else:
            least, most = _levels(column, own[known, c], budget)
        low[known, c], high[known, c] = least, most
    return low, high


def _ordered(column: Column, own: Floats, budget: float, norm: Norm) -> tuple[Floats, Floats]:
    far = np.inf if norm == "l0" else budget * column.scale / column.limit.cost
    low = own if column.limit.increase_only else np.maximum(column.low, own - far)
    high = own if column.limit.decrease_only else np.minimum(column.high, own + far)
    low, high = np.maximum(low, column.low), np.minimum(high, column.high)
    if column.kind == "integer":
        low, high = np.ceil(low), np.floor(high)
    stays = low > high
    return np.where(stays, own, low), np.where(stays, own, high)


def _levels(column: Column, own: Floats, budget: float) -> tuple[Floats, Floats]:
    fits = (column.limit.cost <= budget) & (own < column.known)
    return np.where(fits, 0.0, own), np.where(fits, column.known - 1.0, own)


def repaired(columns: Sequence[Column], own: Floats, wanted: Floats, low: Floats, high: Floats) -> Floats:
    """Rows (R, C) that the constraints allow, as near to the wanted ones as they let: within `reach`, whole where
    numbers are, back towards the row."""
    found = np.clip(wanted, low, high)
    for c, column in enumerate(columns):
        if column.kind == "integer":
            by = found[:, c] - own[:, c]
            found[:, c] = own[:, c] + np.trunc(by * (1 + 1e-12))
            found[:, c] = np.clip(found[:, c], low[:, c], high[:, c])
        elif not column.ordered:
            found[:, c] = np.rint(found[:, c])
    return np.where(np.isnan(own) | np.isnan(found), own, found)
