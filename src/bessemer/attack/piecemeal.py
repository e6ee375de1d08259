"""An attack that runs row by row, so that it can end when the purse is empty or the server is gone: what it found of
whole rows counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bessemer.attack.nets import BudgetAttack
from bessemer.attack.outside import part
from bessemer.attack.protocol import Attack, Found, Point, Sample, Victim, share_point
from bessemer.core.errors import UsageError
from bessemer.core.stage import Context
from bessemer.package.remote.purse import Purse, SpentError

#: Rows that go together where an attack moves several at once.
_TOGETHER = 16
#: Why an attack ended before its rows did.
_ENOUGH = "the questions were enough"


class Piecemeal:
    """Runs attacks (`trial.Run`) on what the purse is still enough for.

    share: how many attacks are still to come, this one among them; each may spend its part of what is left.
    """

    def __init__(self, purse: Purse, attacks: int) -> None:
        self._purse, self._left, self._most = purse, attacks, purse.most

    def __call__(
        self, attack: Attack, victim: Victim, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Found:
        if self._most is not None:
            share = (self._most - self._purse.asked) // max(1, self._left)
            self._purse.most = self._purse.asked + share
            if share < (needed := most_of_a_row(attack)):
                ctx.warn(
                    f"{type(attack).__name__} may ask {share:,} questions, and one row may take {needed:,}: allow more "
                    "questions, or name fewer attacks"
                )
        self._left -= 1
        size = _TOGETHER if isinstance(attack, BudgetAttack) else 1
        found: list[Found] = []
        ended = _ENOUGH
        for start in range(0, len(sample), size):
            rows = part(sample, np.arange(start, min(start + size, len(sample))))
            try:
                found.append(attack.attack(victim, rows, _seeded(ctx, start), advance))
            except SpentError:
                break
            except UsageError as error:
                ended = f"{error.what}{f' ({error.why})' if error.why else ''}: what was found is"
                ctx.warn(f"{type(attack).__name__} ends early: {error.what}")
                break
        return merged(found, sample.confidence, len(sample), ended)


def most_of_a_row(attack: Attack) -> int:
    """The questions that an attack may ask of one row, by its settings, at least; 0 where they do not say.

    >>> from bessemer.attack.attacks.moeva import Moeva
    >>> most_of_a_row(Moeva(Moeva.Settings(generations=9, population=20)))
    200
    """
    own: Any = getattr(attack, "settings", None)
    if hasattr(own, "population"):
        return int(own.population * (own.generations + 1))
    if hasattr(own, "questions"):
        return int(own.questions)
    return int(getattr(own, "steps", 0) * getattr(own, "searches", 1))


def _seeded(ctx: Context, start: int) -> Context:
    """Another seed for each part: an attack names its random numbers by the place of a row in its sample."""
    return replace(ctx, seed=int(ctx.rng("part", start).integers(2**31)))


def merged(found: Sequence[Found], confidence: float, wanted: int, ended: str = _ENOUGH) -> Found:
    """What was found of the parts of a sample, as of the whole; queries are of the rows that were right. ended: why
    parts are missing.

    >>> one = Found("accuracy", "", 1, (share_point(0.0, 1, 1, 0.95), share_point(0.1, 0, 1, 0.95, queries=4.0)))
    >>> merged([one, one], 0.95, 3).curve[1].value, merged([one, one], 0.95, 3).notes
    (0.0, ('the questions were enough for 2 of 3 rows',))
    """
    if not found:
        none = "the questions were not enough for one row" if ended == _ENOUGH else f"{ended} of no row"
        return Found("accuracy under attack", "", 0, (), (none,))
    rows = sum(one.rows for one in found)
    points = [_point([one.curve[i] for one in found], found, confidence) for i in range(len(found[0].curve))]
    notes = dict.fromkeys(note for one in found for note in one.notes)
    if rows < wanted:
        notes[f"{ended} {'for' if ended == _ENOUGH else 'of'} {rows} of {wanted} rows"] = None
    samples: list[Any] = [sample for one in found for sample in one.samples]
    return replace(found[0], rows=rows, curve=tuple(points), notes=tuple(notes), samples=tuple(samples))


def _point(points: Sequence[Point], found: Sequence[Found], confidence: float) -> Point:
    rows = [one.rows for one in found]
    right = [round(one.curve[0].value * one.rows) for one in found]
    stands = sum(round(point.value * n) for point, n in zip(points, rows, strict=True))
    more = {
        name: sum(point.more[name] * n for point, n in zip(points, right, strict=True)) / max(1, sum(right))
        for name in points[0].more
    }
    return share_point(points[0].budget, stands, sum(rows), confidence, **more)
