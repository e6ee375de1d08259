"""The facts of one column: from what SQL gave to what `statistics.json` says."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from bessemer.core.media import is_image

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_BINS = 20
_EPOCH = dt.datetime(1970, 1, 1)


def scale_of(facts: dict[str, Any]) -> float:
    largest = max(abs(float(facts["min"])), abs(float(facts["max"])))
    return largest if largest > 1e100 else 1.0


def bin_edges(low: float, high: float, *, whole: bool) -> list[float]:
    """Edges of equally wide bins; for integers no narrower than one, each value in a bin of its own if few."""
    bins = min(_BINS, int(high) - int(low)) if whole else _BINS
    edges = [low * (1 - i / bins) + high * (i / bins) for i in range(bins)] if bins else []
    return sorted({float(edge) for edge in [*edges, high, low] if low <= edge <= high})


def finish(facts: dict[str, Any], kind: str) -> None:
    """From what the queries gave to what `statistics.json` says."""
    if (exact := facts.pop("exact", None)) is not None:
        facts["distinct"] = exact
    facts["distinct"] = min(facts["distinct"], facts["count"])
    scale, squares = facts.pop("scale", 1.0), facts.pop("squares", None)
    facts.setdefault("mean", None)
    facts["std"] = None
    finite = facts["count"] - facts["infinite"]
    if facts["mean"] is not None:
        facts["mean"] *= scale
        facts["std"] = math.sqrt(squares / (finite - 1)) * scale if finite > 1 else 0.0
    edges, bins = facts.pop("edges", None), facts.pop("bins", None)
    if edges:
        counts = [bins.get(edge, 0) for edge in edges[1:]] if bins else [finite]
        facts["histogram"] = {"edges": edges if bins else edges * 2, "counts": counts}
    if (levels := facts.pop("levels", None)) is not None:
        facts["quantiles"] = {str(level): value for level, value in zip(LEVELS, levels, strict=True)}
    facts.setdefault("min", None)
    facts.setdefault("max", None)
    if kind == "TIMESTAMP":
        _as_times(facts)
    top = facts.get("top") or []
    if kind == "VARCHAR" and top and all(is_image(value) for value, _ in top):
        facts["images"], facts["top"] = True, []  # their base64 says nothing to a reader


def _as_times(facts: dict[str, Any]) -> None:
    for key in ("min", "max"):
        facts[key] = _iso(facts[key])
    if "quantiles" in facts:
        facts["quantiles"] = {level: _iso(value) for level, value in facts["quantiles"].items()}
    if "histogram" in facts:
        facts["histogram"]["edges"] = [_iso(edge) for edge in facts["histogram"]["edges"]]


def _iso(microseconds: float | None) -> str | None:
    """ISO 8601; years that Python's calendar does not have are cut to its ends."""
    if microseconds is None:
        return None
    try:
        return (_EPOCH + dt.timedelta(microseconds=int(microseconds))).isoformat()
    except OverflowError:
        return (dt.datetime.max if microseconds > 0 else dt.datetime.min).isoformat()
