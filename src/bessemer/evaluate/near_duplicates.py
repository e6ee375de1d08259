"""Test rows that stand in the training rows too: exactly, or so nearly that they tell nothing new.

A row that the model has learnt from does not judge it. Exact means equal in every column that the model reads;
near means equal in every text, boolean and missing value, and within 1 % of the interquartile range in every number
and timestamp. Near rows are found with a k-d tree in the maximum norm, which misses none and compares few.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt
from numpy.typing import NDArray

from bessemer.core.sql import literal, quote
from bessemer.core.stage import Context
from bessemer.evaluate.evidence import Evidence
from bessemer.evaluate.levels import columns_of
from bessemer.stats.arrays import Bools, Floats, Ints, shown
from bessemer.stats.bootstrap import bootstrap, interval
from bessemer.stats.metrics.table import Scorer, lookup

#: Rows among which near duplicates are looked for: all of smaller parts, a sample of larger ones.
TEST_ROWS, TRAIN_ROWS = 20_000, 200_000
#: Values of the training rows that are held for it: wide tables have fewer rows looked at.
VALUES = 8_000_000
#: How near is near, in interquartile ranges of the training rows.
TOLERANCE = 0.01
#: From which share of the test rows, and share of the metric, on duplicates that flatter the model deserve a warning.
MATTERS = 0.01
_SAMPLES, _SHOWN_COLUMNS, _REPLICATES = 10, 10, 200


def duplicates(evidence: Evidence) -> dict[str, Any]:
    """`duplicates` of `evaluation.json`: how many, the main metric with and without them, samples."""
    train, columns, ctx = evidence.splits.path("train.parquet"), list(evidence.inputs), evidence.ctx
    twins = first_places(row_hashes(train, columns, ctx), row_hashes(evidence.test, columns, ctx))
    rows = evidence.sample("duplicates", TEST_ROWS)
    known = int(evidence.splits.meta["rows"]["train"])
    most, others = min(TRAIN_ROWS, VALUES // max(1, len(columns))), np.arange(known)
    if known > most:
        others = np.sort(ctx.rng("duplicates", "train").choice(known, most, replace=False))
    single = rows[twins[rows] < 0]
    near = near_places(train, evidence.test, columns, others, single, ctx)
    exact_rows = np.flatnonzero(twins >= 0)
    found = {
        "tolerance": TOLERANCE,
        "exact": {"rows": len(exact_rows), "share": len(exact_rows) / len(twins), "of": len(twins)},
        "conflicting": _conflicting(evidence, twins),
        "near": {
            "rows": int(np.sum(near >= 0)),
            "share": float(np.sum(near >= 0) / len(rows)),
            "of": len(rows),
        },
        "train_rows": len(others),
        "metric": evidence.metric,
        **_judged(evidence, rows, np.isin(rows, single[near < 0])),
        "samples": _samples(evidence, train, twins, single, near),
    }
    _tell(found, ctx)
    return found


def row_hashes(part: Path, columns: list[str], ctx: Context) -> NDArray[np.uint64]:
    """A hash of each row's values in some columns, uint64 (n,): equal rows have equal hashes."""
    if not columns:
        return np.zeros(pq.read_metadata(part).num_rows, dtype=np.uint64)
    named = ", ".join(quote(name) for name in columns)
    with ctx.connect() as connection:
        query = f"SELECT hash({named}) AS h FROM read_parquet({literal(part)})"
        made = connection.execute(query).fetchnumpy()["h"]
    return np.asarray(made, dtype=np.uint64)


def first_places(known: NDArray[Any], asked: NDArray[Any]) -> Ints:
    """For each value asked for the first place where it is known, -1 where it is not.

    >>> first_places(np.array([7, 5, 7]), np.array([7, 9])).tolist()
    [0, -1]
    """
    if not len(known):
        return np.full(len(asked), -1, dtype=np.int64)
    values, first = np.unique(known, return_index=True)
    place = np.searchsorted(values, asked).clip(0, len(values) - 1)
    return np.where(values[place] == asked, first[place], -1).astype(np.int64)


def near_places(train: Path, test: Path, columns: list[str], known: Ints, asked: Ints, ctx: Context) -> Ints:
    """For each row of test that is asked for, a row of train that is nearly equal, -1 where there is none.

    Args:
        known, asked: ascending places of the rows of train and test to look at.
    """
    from scipy.spatial import cKDTree

    found = np.full(len(asked), -1, dtype=np.int64)
    space = _space(train, test, columns, known, asked, ctx)
    if space is None:
        return found
    shared = np.intersect1d(space.known_group, space.asked_group)
    mine, theirs = np.isin(space.known_group, shared), np.isin(space.asked_group, shared)
    if not theirs.any():
        return found
    # Groups are further apart than the radius, so that only rows of one group are near each other.
    place = [
        np.column_stack([points, 4.0 * np.searchsorted(shared, group)])
        for points, group in (
            (space.known[mine], space.known_group[mine]),
            (space.asked[theirs], space.asked_group[theirs]),
        )
    ]
    tree = cKDTree(place[0], balanced_tree=False)
    distance, nearest = tree.query(
        place[1], k=1, p=np.inf, distance_upper_bound=1 + 1e-9, workers=ctx.threads
    )
    hit = np.isfinite(distance)
    found[np.flatnonzero(theirs)[hit]] = known[np.flatnonzero(mine)[nearest[hit]]]
    return found


@dataclass(frozen=True)
class _Space:
    """Numbers in units of the tolerance (n, d), and a number for all that has to be equal (n,), of both parts."""

    known: Floats
    known_group: NDArray[np.uint64]
    asked: Floats
    asked_group: NDArray[np.uint64]


def _space(
    train: Path, test: Path, columns: list[str], known: Ints, asked: Ints, ctx: Context
) -> _Space | None:
    """None where no column is a number: rows that are nearly equal are equal then."""
    types = {field.name: field.type for field in pq.read_schema(train)}
    measures = [name for name in columns if _is_measure(types[name])]
    if not measures or not len(known) or not len(asked):
        return None
    rest = [name for name in columns if name not in measures]
    groups = [row_hashes(train, rest, ctx)[known], row_hashes(test, rest, ctx)[asked]]
    points: tuple[list[Floats], list[Floats]] = ([], [])
    parts = (columns_of(part, measures, rows) for part, rows in ((train, known), (test, asked)))
    for both in zip(*parts, strict=True):
        values = [_numbers(column) for _, column in both]
        unit = _unit(values[0])
        for side, column in enumerate(values):
            missing = np.isnan(column)
            groups[side] = groups[side] * np.uint64(0x9E3779B97F4A7C15) + missing
            points[side].append(np.where(missing, 0.0, column / unit))
    return _Space(np.column_stack(points[0]), groups[0], np.column_stack(points[1]), groups[1])


def _is_measure(kind: Any) -> bool:
    return bool(pt.is_floating(kind) or pt.is_integer(kind) or pt.is_timestamp(kind))


def _numbers(values: Any) -> Floats:
    """float64 (n,), NaN where there is no finite number."""
    if pt.is_timestamp(values.type):
        values = values.cast(pa.timestamp("us")).cast(pa.int64())
    found = pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(found), found, np.nan)


def _unit(values: Floats) -> float:
    """What may lie between two numbers that are nearly equal."""
    numbers = values[~np.isnan(values)]
    if not len(numbers):
        return 1.0
    low, high = np.quantile(numbers, [0.25, 0.75])
    spread = float(high - low) or float(numbers.std())
    return TOLERANCE * spread or 1e-9 * max(1.0, float(np.abs(numbers).max()))


def _conflicting(evidence: Evidence, twins: Ints) -> int:
    """How many test rows equal a training row in all inputs, and have another target."""
    rows = np.flatnonzero(twins >= 0)
    y = np.load(evidence.splits.path("train.y.npy"), mmap_mode="r")
    return int(np.sum(np.asarray(y[twins[rows]]) != evidence.outcome.truth[rows]))


def _judged(evidence: Evidence, rows: Ints, kept: Bools) -> dict[str, Any]:
    """The main metric on the rows that were looked at, on those without a twin, and what the twins make of it.

    difference: turned so that above zero the metric is better with the twins than without.
    """
    scorer = Scorer(evidence.outcome.take(rows), [evidence.metric])
    metric = lookup(evidence.judged.task, evidence.metric)
    value, without = float(scorer()[0]), float(scorer(kept.astype(np.float64))[0]) if kept.any() else np.nan
    found = {"value": value, "without": without, "difference": None, "low": None, "high": None}
    if kept.all() or not kept.any():
        return found
    replicates = min(_REPLICATES, evidence.spec.replicates)
    (draws,) = bootstrap(
        [lambda weights: metric.gain(scorer(weights) - scorer(weights * kept))],
        len(rows),
        replicates,
        evidence.ctx.rng("duplicates", "bootstrap"),
    )
    low, high = interval(draws[:, 0], evidence.spec.confidence)
    return {**found, "difference": float(metric.gain(value - without)), "low": low, "high": high}


def _samples(evidence: Evidence, train: Path, twins: Ints, single: Ints, near: Ints) -> list[dict[str, Any]]:
    exact = np.flatnonzero(twins >= 0)[: _SAMPLES // 2]
    nearly = np.flatnonzero(near >= 0)[: _SAMPLES // 2]
    rows = [*map(int, exact), *(int(single[k]) for k in nearly)]
    others = [*map(int, twins[exact]), *(int(near[k]) for k in nearly)]
    if not rows:
        return []
    columns = list(evidence.inputs)
    mine, theirs = _rows(evidence.test, columns, rows), _rows(train, columns, others)
    return [
        {
            "kind": "exact" if k < len(exact) else "near",
            "row": row,
            "train_row": other,
            "differs": {} if k < len(exact) else _differences(mine[k], theirs[k]),
        }
        for k, (row, other) in enumerate(zip(rows, others, strict=True))
    ]


def _rows(part: Path, columns: list[str], places: list[int]) -> list[dict[str, Any]]:
    taken = {name: values.to_pylist() for name, values in columns_of(part, columns, np.array(places))}
    return [{name: taken[name][k] for name in columns} for k in range(len(places))]


def _differences(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The first columns in which two rows differ, with both values; timestamps as texts."""
    unequal = [name for name in mine if mine[name] != theirs[name]][:_SHOWN_COLUMNS]
    return {name: [_plain(mine[name]), _plain(theirs[name])] for name in unequal}


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


def _tell(found: Mapping[str, Any], ctx: Context) -> None:
    share = found["exact"]["share"] + found["near"]["share"]
    if share < MATTERS or found["low"] is None:
        return
    if found["low"] > 0 and found["difference"] >= MATTERS * abs(found["value"]):
        ctx.warn(
            f"{share:.1%} of the test rows stand in the training rows too, or nearly: without them {found['metric']} "
            f"is {shown(found['without'])} instead of {shown(found['value'])}. Remove the copies, or keep them in one "
            "part with `prepare: {split: {group: ...}}`"
        )
