"""Which columns are missing together: the patterns of the sample's rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.stats.arrays import tidy

if TYPE_CHECKING:
    from bessemer.report.data.sample import Sample

#: Columns and patterns that are drawn: those that are missing most, and those that are seen most.
COLUMNS, PATTERNS = 30, 12


def patterns(sample: Sample, names: Sequence[str]) -> dict[str, Any] | None:
    """The commonest sets of columns that are missing in the same row; None where nothing is missing.

    Returns:
        columns: those that are missing anywhere, most first; patterns: [columns by place in that list, rows], most
        first; rows: of the sample; others: rows of rarer patterns; left_out: columns beyond those.
    """
    masks = {name: sample.missing[name] for name in names}
    lost = {name: int(mask.sum()) for name, mask in masks.items() if mask.any()}
    if not lost:
        return None
    columns = sorted(lost, key=lambda name: (-lost[name], name))[:COLUMNS]
    codes = np.zeros(len(sample), dtype=np.int64)
    for place, name in enumerate(columns):
        codes |= masks[name].astype(np.int64) << place
    found, counts = np.unique(codes, return_counts=True)
    order = np.lexsort((found, -counts))[:PATTERNS]
    listed: list[list[Any]] = [[_places(int(found[k])), int(counts[k])] for k in order.tolist()]
    facts: dict[str, Any] = tidy(
        {
            "columns": columns,
            "missing": [lost[name] for name in columns],
            "patterns": listed,
            "rows": len(sample),
            "others": len(sample) - sum(rows for _, rows in listed),
            "left_out": len(lost) - len(columns),
        }
    )
    return facts


def _places(code: int) -> list[int]:
    """The places of the bits that are set."""
    return [place for place in range(code.bit_length()) if code >> place & 1]
