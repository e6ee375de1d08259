"""A victim, rows that are attacked, and what of them may be moved; the graph alone says whether a row has fallen."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bessemer.attack.answers import answers_of, check_twin, twin_of
from bessemer.attack.frame import Frame
from bessemer.attack.protocol import Sample, Victim
from bessemer.attack.surface import Surface, surface_of

Norm = Literal["l_inf", "l_2"]
Rows = npt.NDArray[np.int64]
Moves = npt.NDArray[Any]


class Arena:
    """A victim, a sample, and what may be moved.

    y: (N,) int64, the right class. right: (N,) rows that are answered rightly; attackable: those of them that have
    something to move.
    """

    def __init__(self, victim: Victim, sample: Sample, surface: Surface) -> None:
        self.victim, self.sample, self.surface = victim, sample, surface
        self.answers = answers_of(victim, sample)
        self.y = sample.y.astype(np.int64)
        rows = np.arange(len(sample))
        self.right = self.answers.answers(sample.X, rows) == self.y
        known = np.isfinite(sample.X[:, surface.places])
        self.attackable = self.right & (known.all(axis=1) if surface.whole else known.any(axis=1))

    @cached_property
    def twin(self) -> Any:
        found = twin_of(self.victim)
        check_twin(found, self.answers, self.sample)
        return found

    def frame(self, rows: Rows) -> Frame:
        offset = None if self.answers.offset is None else self.answers.offset[rows]
        return Frame(self.surface, self.sample.X[rows], rows, offset)

    def fallen(self, frame: Frame, moves: Moves, norm: Norm) -> npt.NDArray[np.float64]:
        """How far each row of a frame was moved to fall, (R,); infinity where it still stands."""
        X, which = frame.taken(moves)
        finite = np.isfinite(np.asarray(moves)).reshape(len(X), -1).all(axis=1)
        own = which == np.arange(len(X)) if frame.numbered else True
        asked = self.answers.asked
        said = self.answers.answers(X, frame.rows)
        self.answers.asked = asked  # it is we who ask, not the attacker
        wrong = (said != self.y[frame.rows]) & finite & own
        return np.where(wrong, self.surface.distance(frame.base, X, norm), np.inf)

    def chunks(self, rows: Rows, size: int) -> Iterator[Rows]:
        for start in range(0, len(rows), size):
            yield rows[start : start + size]


def arena_of(victim: Victim, sample: Sample) -> Arena:
    """The arena of a victim of which something can be moved: `refuses` has looked."""
    surface = surface_of(victim)
    assert surface is not None
    return Arena(victim, sample, surface)


def ask(arena: Arena, frame: Frame, hard: bool) -> Any:
    """The graph behind a frame as a black box of the library: scores, or the answer alone."""
    from bessemer.attack.library import black_box

    classes = arena.answers.classes

    def asked(shown: np.ndarray) -> np.ndarray:
        X, which = frame.taken(shown)
        scores = arena.answers.scores(X, frame.rows[which])
        return np.eye(classes, dtype=np.float32)[scores.argmax(axis=1)] if hard else scores

    return black_box(asked, frame.shape, classes, frame.bounds)
