"""Calibrated limits: how far a window may be from the reference before that says something.

A limit compares a few groups of bins or values, not the whole sketch: with fewer groups the same window tells
smaller changes from chance. The groups follow from the reference alone and are written beside the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import numpy as np

from bessemer.stats.arrays import tidy
from bessemer.stats.binning import merge_adjacent, regroup
from bessemer.stats.distance import psi_threshold

Key = TypeVar("Key", bound=Hashable)

#: A category stands alone where a window is expected to hold at least this many rows of it.
MIN_EXPECTED = 5


def limits(
    sketches: Mapping[Key, Mapping[str, Any]],
    rng: Callable[[Key], np.random.Generator],
    *,
    window: int,
    false_alarm: float,
    groups: int,
) -> dict[Key, dict[str, Any]]:
    """A limit for each sketch that can have one, each with an equal share of the false alarms (Bonferroni).

    Timestamps have none: time goes on, and that is no alarm. A column without values has none either.

    Returns:
        key -> {"psi": the limit, "groups": starts of groups of bins, or the categories that stand alone}.
    """
    watched = {
        name: sketch
        for name, sketch in sketches.items()
        if sketch["dtype"] != "timestamp" and sketch["count"] > 0
    }
    share = false_alarm / max(1, len(watched))
    found = {}
    for name, sketch in watched.items():
        chosen, counts = grouped(sketch, window, groups)
        found[name] = {"psi": tidy(psi_threshold(counts, window, share, rng(name))), "groups": chosen}
    return found


def grouped(sketch: Mapping[str, Any], window: int, groups: int) -> tuple[list[Any], np.ndarray[Any, Any]]:
    """The groups of a sketch, and its counts in them: the groups, then (categories only) the rest, then missing."""
    if "counts" in sketch:
        starts = merge_adjacent(sketch["counts"], groups)
        return list(starts), np.append(regroup(sketch["counts"], starts), sketch["missing"])
    rows = sketch["count"] + sketch["missing"]
    alone = [(v, n) for v, n in sketch["categories"] if n * window >= MIN_EXPECTED * rows][: groups - 1]
    counts = [n for _, n in alone]
    rest = sketch["count"] - sum(counts)
    return [value for value, _ in alone], np.array([*counts, rest, sketch["missing"]], dtype=np.float64)
