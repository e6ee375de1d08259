"""Whether a classifier can tell rows of the window from rows of training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bessemer.monitor.finding import WHOLE_ROWS, Kind, Test
from bessemer.monitor.joint import JointReference
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window
from bessemer.stats.arrays import Bools, Floats
from bessemer.stats.mean_features import LEAST_ROWS
from bessemer.stats.rank_sum import RankSum

_SEED = 7

#: Few and shallow trees: of some thousand rows more would be learnt by heart.
_TREES = 60
_PARAMETERS = {
    "objective": "binary",
    "num_leaves": 8,
    "learning_rate": 0.1,
    "min_data_in_leaf": 20,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": _SEED,
    "verbosity": -1,
}

#: So many columns that tell most are named.
_NAMED = 3


@dataclass(frozen=True)
class _Told:
    """How well one half was told apart by the trees of the other; gains: of each column, (columns,)."""

    ranks: RankSum
    gains: Floats


class DomainClassifier:
    """Boosted trees of one half of the rows of both are judged on the other half, and the other way round.

    In each half the area under the ROC curve is tested by Mann and Whitney; the surer of the two counts, at twice its
    p-value: the halves are not independent, each has made the trees of the other.
    """

    kind: ClassVar[Kind] = "drift"
    reads: ClassVar[tuple[str, ...]] = ("rows",)

    def tests(self, reference: Reference, window: Window) -> Iterator[Test]:
        if window.joint is None or window.joint.rows is None or len(window.joint.rows) < LEAST_ROWS:
            return
        known = JointReference(reference)
        halves = _told_apart(known.rows, window.joint.rows, [not c.is_number for c in known.columns])
        ranks = max((half.ranks for half in halves), key=lambda each: (-each.p_value, each.area))
        gains = np.sum([half.gains for half in halves], axis=0)
        named = [known.columns[i].name for i in np.argsort(-gains, kind="stable") if gains[i] > 0][:_NAMED]
        quoted = ", ".join(f"'{name}'" for name in named) or "none"
        yield Test(
            *("domain_classifier", WHOLE_ROWS, self.kind, "area under the ROC curve", ranks.area),
            f"rows can be told from those of training: AUC {ranks.area:.3g}; the columns that tell most: {quoted}",
            min(1.0, 2 * ranks.p_value),
            lambda probability: ranks.critical(probability / 2),
        )


def _told_apart(before: Floats, now: Floats, levels: list[bool]) -> list[_Told]:
    rng = np.random.default_rng(_SEED)
    rows = np.concatenate([before, now])
    new = np.arange(len(rows)) >= len(before)
    first = np.zeros(len(rows), dtype=bool)
    for group in (np.flatnonzero(~new), np.flatnonzero(new)):
        first[rng.permutation(group)[: len(group) // 2]] = True
    categories = [i for i, level in enumerate(levels) if level]
    return [_judged(rows, new, learnt, categories) for learnt in (first, ~first)]


def _judged(rows: Floats, new: Bools, learnt: Bools, categories: list[int]) -> _Told:
    import lightgbm

    data: Any = lightgbm.Dataset(
        rows[learnt], new[learnt], categorical_feature=categories, params=dict(_PARAMETERS)
    )
    trees: Any = lightgbm.train(dict(_PARAMETERS), data, _TREES)
    scores = np.asarray(trees.predict(rows[~learnt], num_threads=1), dtype=np.float64)
    gains = np.asarray(trees.feature_importance("gain"), dtype=np.float64)
    return _Told(RankSum.of(new[~learnt], scores), gains)
