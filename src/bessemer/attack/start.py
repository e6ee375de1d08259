"""Where attacks begin that walk along the border: somewhere beyond it, as near as is found quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bessemer.attack.arena import Arena, Moves, Norm
    from bessemer.attack.frame import Frame

#: How many other rows, and how many random ones, are tried.
_OTHERS, _RANDOM = 20, 50


def start(arena: Arena, frame: Frame, y: int, norm: Norm, rng: np.random.Generator) -> Moves | None:
    """A row (1, *shape) that the model answers otherwise: the nearest of the sample's own, with what moves of them in
    this row's place, else a random one; None where none of those does it."""
    surface, sample = arena.surface, arena.sample.others or arena.sample
    others = surface.placed(frame.base, surface.moved(sample.X[np.flatnonzero(sample.y != y)]))
    near = surface.distance(frame.base, others, norm)
    tried = surface.moved(others[np.argsort(near, kind="stable")[:_OTHERS]])
    low, high = frame.bounds
    random = rng.uniform(low, high, (_RANDOM, len(surface.places))).astype(np.float32)
    every = np.concatenate([tried, random])
    X = surface.placed(frame.base, every)
    said = arena.answers.answers(X, np.repeat(frame.rows, len(every)))
    wrong = np.flatnonzero(said != y)
    return surface.moved(X[wrong[:1]]).reshape(1, *frame.shape) if len(wrong) else None
