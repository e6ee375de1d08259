"""What reading one document may cost beyond its own size: how far its functions unfold, and its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from bessemer.importers.models.foreign import refused

#: Most elements of functions that a document defines, each counted as often as one is called.
MOST_STEPS = 100_000
#: Most values of all its tables together.
MOST_CELLS = 10_000_000


_LEFT: ContextVar[dict[str, int] | None] = ContextVar("left", default=None)


@contextmanager
def budget() -> Iterator[None]:
    """Count anew while one document is read."""
    token = _LEFT.set({"steps": MOST_STEPS, "cells": MOST_CELLS})
    try:
        yield
    finally:
        _LEFT.reset(token)


def _spent(kind: str, count: int) -> bool:
    """Whether more is spent than there is; outside of a document all may be."""
    left = _LEFT.get()
    if left is None:
        return False
    left[kind] -= count
    return left[kind] < 0


def spend_steps(count: int) -> None:
    """A function of the document is called, and its elements are read again.

    Raises:
        FormatError: the document's functions unfold to too many.
    """
    if _spent("steps", count):
        raise refused(
            f"the document's own functions (DefineFunction) unfold to more than {MOST_STEPS:,} elements",
            "functions that call functions grow without end",
            "write what they compute as derived fields, which are computed once",
        )


def spend_cells(count: int) -> None:
    """A table of the document is made.

    Raises:
        FormatError: its tables have too many values together.
    """
    if _spent("cells", count):
        raise refused(
            f"the document's tables have more than {MOST_CELLS:,} values together",
            "each derived field or set of a column of categories is a value a category",
            "group the rare categories, or export ONNX",
        )
