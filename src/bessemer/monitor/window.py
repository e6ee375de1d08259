"""A window of rows, sketched in the bins of the reference: all that detectors see of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bessemer.monitor.joint import Joint
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
class Broken:
    """A rule of the data contract in a window. rows: how many break it, of so many; allowed: the share that may."""

    column: str
    rule: str
    rows: int
    of: int
    allowed: float


@dataclass(frozen=True)
class Window:
    """rows: how many there are. columns: those that are there, of the model's inputs. absent: those that are not.

    pairs: of the columns that go together in the reference, correlations and how many rows they are of, (k, k) each;
        None where no detector asks.
    broken: the rules of the package's contract; empty where it has none, or nobody asks.
    joint: what is kept of whole rows; None where no detector asks.
    """

    rows: int
    columns: Mapping[str, Column]
    absent: tuple[str, ...] = ()
    pairs: Pairs | None = None
    broken: tuple[Broken, ...] = ()
    joint: Joint | None = None
