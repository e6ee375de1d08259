"""The threshold that ships: chosen on the rows that judged the model, never on the rows it learnt from or the test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bessemer.core.errors import DataError
from bessemer.core.grouping import Grouping, group
from bessemer.package.decision import Decision, places
from bessemer.stats.decision import Choices, best, best_by_group, choices
from bessemer.train.metrics import output_of

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.artifact import Artifact
    from bessemer.core.stage import Context
    from bessemer.train.outcome import Outcome
    from bessemer.train.threshold import ThresholdSpec

#: A group of fewer judging rows, or fewer of either class, has the common threshold.
FEWEST_ROWS, FEWEST_OF_A_CLASS = 100, 10
#: The most combinations of groups.
MOST_GROUPS = 1000


def decide(spec: ThresholdSpec | None, outcome: Outcome, splits: Artifact, ctx: Context) -> Decision:
    """The decision of a binary model.

    Raises:
        DataError: the columns have too many groups.
    """
    if spec is None:
        return Decision()
    if spec.value is not None:
        return Decision(threshold=float(np.float32(spec.value)))
    costs = spec.costs.model_dump() if spec.costs is not None else None
    probability = output_of("binary", outcome.chosen.calibration.score(outcome.chosen.margin))
    positive = outcome.y > 0
    everyone = choices(positive, probability.reshape(-1))
    common = best(everyone, spec.wanted, costs)
    if not spec.groups:
        ctx.note(f"says positive from {common:.3g} on: best {spec.wanted} on {len(positive):,} judging rows")
        return Decision(common, spec.wanted, costs)
    groups, place = _groups(spec, splits, judged_rows(outcome))
    sizes = tuple(one.size + 1 for one in groups)
    size = int(np.prod(sizes))
    own, rows = _by_place(positive, probability.reshape(-1), place, sizes)
    if len(own) < 2:
        what = " and ".join(spec.groups)
        ctx.warn(f"'{what}' has fewer than two groups with rows enough to choose by: all have one threshold")
        return Decision(common, spec.wanted, costs)
    table = [common] * size
    found = best_by_group(list(own.values()), spec.wanted, spec.fair, spec.tolerance, costs)
    for where, threshold in zip(own, found, strict=True):
        table[where] = threshold
    decision = Decision(common, spec.wanted, costs, groups, spec.fair, spec.tolerance, tuple(table), rows)
    _tell(decision, ctx)
    return decision


def _groups(
    spec: ThresholdSpec, splits: Artifact, judged: np.ndarray
) -> tuple[tuple[Grouping, ...], np.ndarray]:
    """The groups that the training rows make, and the place of each judging row among them.

    Raises:
        DataError: too many groups.
    """
    tables = [_read(splits, part, spec.groups) for part in ("train", "valid")]
    groups = tuple(group(name, tables[0][name], spec.bins.get(name)) for name in spec.groups)
    groups = tuple(one for one in groups if one.size)  # a text column may have no value at all
    if not groups:
        return (), np.zeros(len(judged), dtype=np.int64)
    size = int(np.prod([one.size + 1 for one in groups]))
    if size > MOST_GROUPS:
        raise DataError(
            f"{' and '.join(spec.groups)} make {size:,} groups for `train.threshold.groups`",
            why=f"a threshold each needs rows of each; at most {MOST_GROUPS:,} are tried",
            fix="name fewer columns, or cut numbers with `bins`",
        )
    both = np.concatenate([places(groups, table) for table in tables])
    return groups, both[judged]


def _read(splits: Artifact, part: str, columns: Sequence[str]) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(splits.path(f"{part}.parquet"), columns=list(columns))


def judged_rows(outcome: Outcome) -> np.ndarray:
    """The numbers of the judging rows in train, then valid, in the order of `outcome.y`."""
    found = np.sort(np.concatenate([fold.judge for fold in outcome.folds]))
    if len(found) != len(outcome.y):  # a distilled model is judged on the first fold alone
        found = outcome.folds[0].judge
    assert len(found) == len(outcome.y)
    return found


def _by_place(
    positive: np.ndarray, probability: np.ndarray, place: np.ndarray, sizes: tuple[int, ...]
) -> tuple[dict[int, Choices], tuple[int, ...]]:
    """The choices of each place that has rows enough, and how many rows each such place has (0: too few).

    The last places of a column are of values that are unknown or missing: they have none of their own.
    """
    found, rows = {}, [0] * int(np.prod(sizes))
    for where in np.unique(place):
        if any(k == size - 1 for k, size in zip(np.unravel_index(where, sizes), sizes, strict=True)):
            continue
        mask = place == where
        count, positives = int(mask.sum()), int(positive[mask].sum())
        if count >= FEWEST_ROWS and min(positives, count - positives) >= FEWEST_OF_A_CLASS:
            found[int(where)] = choices(positive[mask], probability[mask])
            rows[int(where)] = count
    return found, tuple(rows)


def _tell(decision: Decision, ctx: Context) -> None:
    some = [
        f"{' '.join(name)} {threshold:.3g}"
        for name, threshold, rows in zip(decision.names(), decision.table, decision.rows, strict=True)
        if rows
    ]
    more = ["..."] if len(some) > 8 else []
    ctx.note(f"says positive from: {', '.join([*some[:8], *more, f'all others {decision.threshold:.3g}'])}")
