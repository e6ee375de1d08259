"""How much of the data the budget is enough for: LightGBM's first fold tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bessemer.core.errors import BessemerError
from bessemer.train.automl.folds import holdout

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.train.automl.bag import Workshop
    from bessemer.train.automl.folds import Resampling
    from bessemer.train.automl.members import Member

#: What the first fold may take of the budget before it is stopped.
_FIRST_SHARE = 0.2
#: The time that a single fit of the first learner may take; the others take several times as long.
_SINGLE_SHARE = 0.15
#: A portfolio worth its name takes so many times what LightGBM takes, one fit after the other.
_PORTFOLIO = 5.0
_FEW_FOLDS = 3
_FEWEST_ROWS = 1000


def fitted_to_budget(
    shop: Workshop, member: Member, refold: Callable[[int], Resampling], ctx: Context
) -> Workshop:
    """The workshop with fewer folds, then fewer rows, where the budget is too small for all of them.

    Args:
        member: the one whose first fold is fitted to find out. Where nothing changes, that fit is not lost.
        refold: cuts the same rows into so many folds.
    """
    folds, left = len(shop.resampling.folds), shop.clock.left()
    fold = _seconds(shop, member, left * _FIRST_SHARE)
    if fold * folds * _PORTFOLIO <= left:
        return shop
    if folds > _FEW_FOLDS and fold * _FEW_FOLDS * _PORTFOLIO <= left:
        ctx.note(f"{_FEW_FOLDS} folds instead of {folds}: the budget is small for so many rows")
        return replace(shop, resampling=refold(_FEW_FOLDS))
    if folds > 1:
        ctx.note("one validation part instead of folds: the budget is small for so many rows")
        shop = replace(shop, resampling=holdout(shop.resampling))
    if fold > left * _SINGLE_SHARE:
        shop = _with_fewer_rows(shop, left * _SINGLE_SHARE / fold, ctx)
    return shop


def _seconds(shop: Workshop, member: Member, most: float) -> float:
    """Seconds of a fold of the member; one that takes longer than `most` is not let go on to its end."""
    first = replace(shop, resampling=holdout(shop.resampling))
    one_round = replace(first, callbacks=replace(first.callbacks, rounds=1))
    try:
        one_round.fit(member)  # loads the library, which is not to be counted
        one_round.forget(member)
        (fit,) = first.fit(member, most=most).folds
    except BessemerError:  # what is wrong is said when the floor itself is fitted
        return 0.0
    if fit.cut:
        first.forget(member)
    return fit.whole_seconds


def _with_fewer_rows(shop: Workshop, share: float, ctx: Context) -> Workshop:
    (only,) = shop.resampling.folds
    rows = max(_FEWEST_ROWS, int(len(only.learn) * share))
    if rows >= len(only.learn):
        return shop
    chosen = np.sort(ctx.rng("automl", "rows").choice(only.learn, rows, replace=False))
    ctx.warn(f"learns from {rows:,} of {len(only.learn):,} rows: the budget is too small for all of them")
    return replace(shop, resampling=replace(shop.resampling, folds=(replace(only, learn=chosen),)))
