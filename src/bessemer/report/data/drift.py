"""Whether the parts of the split hold the same kind of rows: each column of valid and test against train."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.stats.arrays import Floats, tidy
from bessemer.stats.binning import merge_adjacent, regroup
from bessemer.stats.dependence import homogeneity
from bessemer.stats.distance import jensen_shannon
from bessemer.stats.multiple import benjamini_hochberg

if TYPE_CHECKING:
    from bessemer.report.data.layout import Layout
    from bessemer.report.data.tally import Tally

#: Groups of neighbouring bins that are compared, and the distance from which on a change is pointed at.
_GROUPS = 10
FAR, SURE = 0.1, 0.01


def drift(
    layouts: Sequence[Layout], tallies: Mapping[str, Tally], parts: Sequence[str], method: str | None
) -> dict[str, dict[str, dict[str, Any]]]:
    """column -> part -> {distance, chance, p}: all rows, "missing" as a value of its own.

    distance: Jensen-Shannon, 0 (the same) to 1 (nothing in common). chance: what it would be about if nothing had
    changed. p: of a chi-square test, corrected over all columns and parts (Benjamini and Hochberg); None where it
    says nothing: times, if the split is by time.
    """
    if not parts or parts[0] != "train":
        return {}
    found: list[tuple[str, str, dict[str, Any]]] = []
    for layout in layouts:
        if layout.kind in ("identifier", "image"):
            continue
        counts = _grouped(layout, tallies[layout.name].by_part)
        for part, window in zip(parts[1:], counts[1:], strict=True):
            if counts[0].sum() and window.sum():
                tested = not (layout.kind == "time" and method == "time")
                found.append((layout.name, part, _compared(counts[0], window, tested=tested)))
    adjusted = benjamini_hochberg([facts["p"] for _, _, facts in found])
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for (name, part, facts), p in zip(found, adjusted, strict=True):
        result.setdefault(name, {})[part] = tidy({**facts, "p": float(p)}, 3)
    return result


def _grouped(layout: Layout, by_part: Any) -> Floats:
    """Counts (parts, groups + 1), the last is "missing"; numbers in groups of about the same weight."""
    if layout.kind in ("category", "boolean"):
        return np.asarray(by_part, dtype=np.float64)
    starts = merge_adjacent(by_part[:, :-1].sum(axis=0), _GROUPS)
    return np.array([np.append(regroup(counts[:-1], starts), counts[-1]) for counts in by_part])


def _compared(reference: Floats, window: Floats, *, tested: bool) -> dict[str, float]:
    used = int(np.count_nonzero(reference + window))
    n, m = float(reference.sum()), float(window.sum())
    return {
        "distance": float(jensen_shannon(reference, window)),
        "chance": math.sqrt(max(0, used - 1) / (8 * math.log(2)) * (1 / n + 1 / m)),
        "p": homogeneity(reference, window) if tested else math.nan,
    }
