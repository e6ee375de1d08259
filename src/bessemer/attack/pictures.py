"""Attacked rows for a reader: an image before and after, or the numbers that were moved furthest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bessemer.attack.arena import Arena, Moves
from bessemer.attack.frame import Frame

#: Attacked rows that are shown.
SHOWN = 6
#: Moved numbers that are told of a row, and values of an image that is shown.
_NUMBERS, _LARGEST = 5, 3 * 64 * 64


def pictures(
    arena: Arena, frame: Frame, moves: Moves, fell: npt.NDArray[np.bool_], budget: float
) -> Iterator[dict[str, Any]]:
    """The first rows that fell, before and after: pixels from 0 to 255, or numbers by their feature."""
    surface, classes = arena.surface, arena.victim.classes
    X, _ = frame.taken(moves)
    names = [str(one["name"]) for one in arena.victim.features]
    for i in np.flatnonzero(fell)[:SHOWN]:
        row = int(frame.rows[i])
        said = int(arena.answers.answers(X[i : i + 1], frame.rows[i : i + 1])[0])
        told = {"budget": budget, "true": classes[int(arena.y[row])], "answer": classes[said]}
        before, after = frame.base[i, surface.places], X[i, surface.places]
        if surface.image is not None:
            yield {**told, "shape": list(surface.image), "before": _grey(before), "after": _grey(after)}
        elif not surface.pixels:
            far = np.abs(after - before) / surface.scale
            furthest = [j for j in np.argsort(-far, kind="stable")[:_NUMBERS] if far[j] > 0]
            columns = {names[surface.places[j]]: [float(before[j]), float(after[j])] for j in furthest}
            yield {**told, "columns": columns}


def _grey(values: npt.NDArray[np.float32]) -> list[int]:
    """Pixels as whole numbers, none where an image is large."""
    if len(values) > _LARGEST:
        return []
    return [int(v) for v in np.rint(np.clip(values, 0, 1) * 255)]
