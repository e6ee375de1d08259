"""Randomised smoothing: how far a row can be moved before the majority of its noisy copies is answered otherwise.

Cohen, Rosenfeld and Kolter, Certified adversarial robustness via randomized smoothing (2019). It asks the graph as a
black box, and what it says is true of every attack, known or not: of the answer by majority, not of a single answer.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.attack.arena import Arena, arena_of
from bessemer.attack.protocol import Found, Kind, Sample, Victim, share_point
from bessemer.attack.surface import Surface, surface_of
from bessemer.core.spec import Spec
from bessemer.core.stage import Context
from bessemer.stats.intervals import clopper_pearson

#: Noisy copies that are answered at once.
_BATCH = 1000


class SmoothingSettings(Spec):
    """How noisy the copies are, and how many."""

    sigma: float = Field(0.25, gt=0, le=100, description="spread of the noise on each value, in its unit")
    copies: int = Field(1000, ge=10, le=10_000_000, description="noisy copies that are counted")
    first: int = Field(100, ge=1, le=100_000, description="noisy copies that say which answer is counted")
    alpha: float = Field(0.001, gt=0, lt=0.5, description="chance that what is said of a row is wrong")
    budgets: list[Annotated[float, Field(gt=0, le=1e6)]] = Field(
        [0.1, 0.25, 0.5, 1.0], min_length=1, max_length=50, description="radii of the curve, by l_2"
    )


class Smoothing:
    """A certificate; the share of rows that are right, and certainly so within a radius."""

    kind: ClassVar[Kind] = "certificate"
    Settings: ClassVar[type[Spec]] = SmoothingSettings

    def __init__(self, settings: SmoothingSettings) -> None:
        self.settings = settings

    def refuses(self, victim: Victim) -> str:
        if victim.task == "regression":
            return "a number has no right and wrong answer"
        return "" if surface_of(victim) is not None else "no column is an image, and no feature is a number"

    def attack(self, victim: Victim, sample: Sample, ctx: Context, advance: Callable[[], None]) -> Found:
        arena = arena_of(victim, sample)
        radius = np.zeros(len(sample))
        for row in range(len(sample)):
            radius[row] = self._radius(arena, row, ctx.rng("smoothing", row))
            advance()
        return self._found(radius, sample, arena.surface, int(arena.right.sum()))

    def _radius(self, arena: Arena, row: int, rng: np.random.Generator) -> float:
        """Within which the majority's answer is certainly the right one; below 0 where nothing can be said."""
        own = self.settings
        best = int(self._counts(arena, row, own.first, rng).argmax())
        if best != arena.y[row]:
            return -1.0
        hits = int(self._counts(arena, row, own.copies, rng)[best])
        low, _ = clopper_pearson(hits, own.copies, 1 - 2 * own.alpha)
        return own.sigma * NormalDist().inv_cdf(low) if low > 0.5 else -1.0

    def _counts(self, arena: Arena, row: int, copies: int, rng: np.random.Generator) -> Any:
        """How often each class is the answer to a noisy copy, (K,). Noise may leave the range of a value."""
        surface, base = arena.surface, arena.sample.X[row : row + 1]
        counts = np.zeros(arena.answers.classes, dtype=np.int64)
        for start in range(0, copies, _BATCH):
            size = min(_BATCH, copies - start)
            noise = rng.normal(0, self.settings.sigma, (size, len(surface.places))).astype(np.float32)
            X = np.repeat(base, size, axis=0)
            X[:, surface.places] += noise * surface.scale
            said = arena.answers.answers(X, np.full(size, row))
            counts += np.bincount(said, minlength=len(counts))
        return counts

    def _found(self, radius: np.ndarray, sample: Sample, surface: Surface, right: int) -> Found:
        own, n = self.settings, len(sample)
        asked = float(own.first + own.copies)
        points = [
            share_point(r, int((radius >= r).sum()), n, sample.confidence, queries=asked)
            for r in sorted({0.0, *own.budgets})
        ]
        most = own.sigma * NormalDist().inv_cdf(clopper_pearson(own.copies, own.copies, 1 - 2 * own.alpha)[0])
        notes = (
            f"of the answer by majority of copies with noise of spread {own.sigma:g}, not of the graph's single "
            f"answer, which is right for {right / n:.1%} of these rows",
            f"with {own.copies} copies no radius can be greater than {most:.3g}",
        )
        return Found(
            "certified accuracy by majority",
            f"length of the change, in {surface.unit}",
            n,
            tuple(points),
            notes,
        )
