"""The covers of one mark, which several families of markers may share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from bessemer.core.errors import DataError, Fault, ProjectError
from bessemer.protect.covers import features_of, new_rows
from bessemer.protect.protocol import Draw, Taught

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context
    from bessemer.protect.protocol import Marker, Pool


def name_of(markers: Mapping[str, object]) -> str:
    """What the families of a mark are called together."""
    return " + ".join(markers)


def usually_taught(markers: Mapping[str, object]) -> Taught:
    """How keys are learnt where nothing is said: of several families as that one asks which takes the most copies.

    >>> usually_taught({"crossover": object()})
    Taught(copies=1, weight=3.0, lost=0.4)
    """
    return max((getattr(one, "TAUGHT", Taught()) for one in markers.values()), key=lambda one: one.copies)


def check_families(markers: Mapping[str, Marker], pool: Pool) -> None:
    """Raises:
    ProjectError: these rows cannot be marked so; it has a fault for each marker.
    """
    refused = {name: why for name, marker in markers.items() if (why := marker.refuses(pool))}
    fix = "choose another marker, or leave `mark` out"
    if refused:
        raise ProjectError([Fault(f"protect.mark.{name}", None, why, fix) for name, why in refused.items()])


def covers_of(
    markers: Mapping[str, Marker], pool: Pool, n: int, draw: Draw, ctx: Context, advance: Callable[[], None]
) -> tuple[pa.Table, dict[str, bytes]]:
    """`n` covers, and what the owner is to keep beside them: file name -> content.

    Families take turns, so that each block of a dispute has as many of each. One alone draws as the mark does, of
    several each by its name.

    Raises:
        DataError: too few rows for so many covers.
    """
    import pyarrow as pa

    parts: list[pa.Table] = []
    material: dict[str, bytes] = {}
    for turn, (name, marker) in enumerate(markers.items()):
        count = len(range(turn, n, len(markers)))
        own = draw if len(markers) == 1 else Draw(draw.bytes("family", name))
        if count:
            parts.append(marker.covers(pool, count, own, ctx, advance))
            material.update(getattr(marker, "material", {}))
    turns = np.concatenate([np.arange(len(part)) * len(markers) + turn for turn, part in enumerate(parts)])
    covers = pa.concat_tables(parts).take(np.argsort(turns))
    if len(parts) > 1 and len(new_rows(pool, features_of(pool, covers))) < n:
        raise DataError(
            f"two of {' and '.join(markers)} made the same key row",
            why="each key has an answer of its own",
            fix="name one marker, or set `protect: {keys: ...}` to less",
        )
    return covers, material
