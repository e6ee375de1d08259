"""A window of rows, sketched in the bins of the reference: all that detectors see of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bessemer.monitor.reference import Pairs, Sketch


@dataclass(frozen=True)
class Column:
    """One column of a window.

    sketch: in the reference's bins or values. wrong: values that are not of the column's type; they count as missing.
    below, above: values outside the reference's range; low, high: the window's own range (None: no values).
    examples: what is new or wrong, the most frequent first.
    """

    sketch: Sketch
    wrong: int = 0
    below: int = 0
    above: int = 0
    low: float | None = None
    high: float | None = None
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Window:
    """rows: how many there are. columns: those that are there, of the model's inputs. absent: those that are not.

    pairs: of the columns that go together in the reference, correlations and how many rows they are of, (k, k) each.
    """

    rows: int
    columns: Mapping[str, Column]
    absent: tuple[str, ...] = ()
    pairs: Pairs | None = None
