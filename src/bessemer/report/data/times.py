"""A time column over time: where rows are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bessemer.report.data.calendar import Calendar
    from bessemer.report.data.tally import Tally

_PLURAL = {"century": "centuries", "millennium": "millennia"}


def time_facts(calendar: Calendar, tally: Tally) -> dict[str, Any]:
    """The unit, each unit's first moment, and the units between the first and the last row that have no row."""
    counts = tally.by_part[:, :-1].sum(axis=0)
    there = np.flatnonzero(counts)
    empty = [i for i in range(int(there[0]), int(there[-1])) if not counts[i]] if len(there) else []
    facts = {"unit": calendar.unit, "starts": list(calendar.starts), "gaps": empty, "gaps_text": ""}
    if empty:
        units = (
            f"{len(empty)} {_PLURAL.get(calendar.unit, calendar.unit + 's')}"
            if len(empty) > 1
            else f"one {calendar.unit}"
        )
        first = calendar.starts[empty[0]].replace("T", " ").removesuffix(" 00:00:00")
        facts["gaps_text"] = f"has no row in {units}, the first from {first} on"
    return facts
