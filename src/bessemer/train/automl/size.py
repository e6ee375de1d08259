"""How much of the data the budget is enough for: LightGBM's first fold tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bessemer.core.errors import BessemerError
from bessemer.train.automl.folds import holdout
from bessemer.train.checkpoint import Checkpoints

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.train.automl.bag import Workshop
    from bessemer.train.automl.folds import Resampling
    from bessemer.train.automl.members import Member

#: What the first fold may take of the budget before it is stopped.
_FIRST_SHARE = 0.2
#: The time that a single fit of the first learner may take; the others take several times as long.
_SINGLE_SHARE = 0.25
#: Rows that judge a single fit, at most: more would take their time in every round and say no more.
_JUDGES = 50_000
#: A portfolio worth its name takes so many times what LightGBM takes, one fit after the other.
_PORTFOLIO = 5.0
_FEW_FOLDS = 3
FEWEST_ROWS = 1000


@dataclass(frozen=True)
class Size:
    """What is learnt from: so many folds (1 is a single validation part), and so many rows to learn from, or all."""

    folds: int
    rows: int | None = None


def fitted_to_budget(
    shop: Workshop, member: Member, refold: Callable[[int], Resampling], ctx: Context
) -> Workshop:
    """The workshop with fewer folds, then fewer rows, where the budget is too small for all of them.

    It is decided once: a run that was killed and goes on has less time left, and the same folds.

    Args:
        member: the one whose first fold is fitted to find out. Where nothing changes, that fit is not lost.
        refold: cuts the same rows into so many folds.
    """
    decided = Checkpoints(shop.callbacks.workdir / "size.npz", shop.callbacks.fingerprint)
    if (found := decided.load()) is not None:
        size = Size(**found[0])
    else:
        size = _size(shop, member, ctx)
        decided.save(asdict(size), {})
    return _resized(shop, size, refold, ctx)


def _size(shop: Workshop, member: Member, ctx: Context) -> Size:
    folds, left = len(shop.resampling.folds), shop.clock.left()
    fold = _seconds(_single(shop, ctx), member, left * _FIRST_SHARE)
    if fold * folds * _PORTFOLIO <= left:
        return Size(folds)
    if folds > _FEW_FOLDS and fold * _FEW_FOLDS * _PORTFOLIO <= left:
        return Size(_FEW_FOLDS)
    rows = len(shop.resampling.folds[0].learn)
    fewer = max(FEWEST_ROWS, int(rows * left * _SINGLE_SHARE / fold)) if fold > left * _SINGLE_SHARE else rows
    return Size(1, fewer if fewer < rows else None)


def _resized(shop: Workshop, size: Size, refold: Callable[[int], Resampling], ctx: Context) -> Workshop:
    folds = len(shop.resampling.folds)
    if size.folds == folds > 1:
        return shop
    if size.folds > 1:
        ctx.note(f"{size.folds} folds instead of {folds}: the budget is small for so many rows")
        return replace(shop, resampling=refold(size.folds))
    if folds > 1:
        ctx.note("one validation part instead of folds: the budget is small for so many rows")
    return _with_fewer_rows(_single(shop, ctx), size.rows, ctx)


def _single(shop: Workshop, ctx: Context) -> Workshop:
    """One validation part, of not too many rows."""
    one = holdout(shop.resampling)
    (only,) = one.folds
    judge = _drawn(only.judge, _JUDGES, _classes(shop), ctx.rng("automl", "judges"))
    return replace(shop, resampling=replace(one, folds=(replace(only, judge=judge),), judged=judge))


def _seconds(first: Workshop, member: Member, most: float) -> float:
    """Seconds of a fit of the member; one that takes longer than `most` is not let go on to its end."""
    folder = first.callbacks.workdir / "first"
    folder.mkdir(exist_ok=True)
    one_round = replace(first, callbacks=replace(first.callbacks, rounds=1, workdir=folder))
    try:
        one_round.fit(member)  # loads the library, which is not to be counted
        one_round.forget(member)
        (fit,) = first.fit(member, most=most).folds
    except (BessemerError, MemoryError):  # what is wrong is said when the floor itself is fitted
        return 0.0
    if fit.cut:
        first.forget(member)
    return fit.whole_seconds


def _with_fewer_rows(shop: Workshop, rows: int | None, ctx: Context) -> Workshop:
    """A single fold with so many rows to learn from, and no more to judge by: judging takes time too."""
    if rows is None:
        return shop
    resampling = shop.resampling
    (only,) = resampling.folds
    y, rng = _classes(shop), ctx.rng("automl", "rows")
    learn, judge = _drawn(only.learn, rows, y, rng), _drawn(only.judge, rows, y, rng)
    ctx.warn(f"learns from {rows:,} of {len(only.learn):,} rows: the budget is too small for all of them")
    fold = replace(only, learn=learn, judge=judge)
    return replace(shop, resampling=replace(resampling, folds=(fold,), judged=judge))


def _classes(shop: Workshop) -> np.ndarray | None:
    """(N,) the class of each row of the pool; None for numbers."""
    return shop.resampling.pool.y if shop.problem.classes else None


def _drawn(rows: np.ndarray, most: int, y: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """At most so many of the rows, in order; of each class its share, and one at least."""
    if len(rows) <= most:
        return rows
    shuffled = rng.permutation(rows)
    if y is None:
        return np.sort(shuffled[:most])
    parts = (shuffled[y[shuffled] == label] for label in np.unique(y[rows]))
    return np.sort(np.concatenate([part[: max(1, round(most * len(part) / len(rows)))] for part in parts]))
