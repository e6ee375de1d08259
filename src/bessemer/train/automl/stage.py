"""AutoML inside the train stage: the clock starts, the folds are cut, everything is tried, one model comes out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bessemer.train.automl.bag import Workshop, spent_file
from bessemer.train.automl.clock import Clock
from bessemer.train.automl.folds import Fold, Resampling, count_for, joined, resample
from bessemer.train.automl.outcome import finish
from bessemer.train.automl.pairs import categories
from bessemer.train.automl.run import AutoML
from bessemer.train.automl.size import FEWEST_ROWS
from bessemer.train.automl.sums import MOST_SUMS, numbers

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact
    from bessemer.core.stage import Context
    from bessemer.train.learner import Callbacks, Part, Problem
    from bessemer.train.outcome import Outcome
    from bessemer.train.spec import AutoMLSpec, TrainSpec

#: Copies of the features that are in memory at once: the pool, and for each fit at work a fold's rows and the
#: learner's own forms of them.
_COPIES, _COPIES_OF_A_FIT = 1, 3
#: Members whose out-of-fold margins are in memory at once.
_KEPT_MARGINS = 12


def fit_automl(
    spec: TrainSpec,
    problem: Problem,
    splits: Artifact,
    preprocessor: Artifact,
    train: Part,
    valid: Part,
    callbacks: Callbacks,
    ctx: Context,
    keys: Part | None = None,
) -> Outcome:
    """One model within the budget of `spec.automl`. keys: rows that mark it, which every fit learns from."""
    assert spec.automl is not None
    spent = spent_file(callbacks).load()
    clock = Clock(spec.automl.budget, spent=spent[0]["used"] if spent else 0.0)
    turn = threading.Lock()
    with ctx.progress("automl", spec.automl.budget) as bar, _settings_of_the_process():

        def on_round(name: str, step: int, value: float) -> None:
            with turn:  # several fits report at once
                bar.advance(max(0.0, clock.used() - bar.done))

        features = preprocessor.json("features.json")
        columns = numbers(features, train.X, problem.monotone)
        more = MOST_SUMS if len(columns) > 1 else 0
        refold, count, rows = _folds(spec.automl, problem, splits, train, valid, ctx, more)
        shop = Workshop(
            problem,
            refold(count),
            replace(callbacks, on_round=on_round, note=lambda text: None),
            clock,
            categories(features, train.X),
            columns,
            keys,
        )
        automl = AutoML(spec.automl, shop, refold, ctx)
        automl.run()
        folds = tuple(Fold(rows[f.learn], rows[f.judge]) for f in automl.shop.resampling.folds)
        return replace(finish(automl, spec, ctx), folds=folds)


@contextmanager
def _settings_of_the_process() -> Iterator[None]:
    """What learners set for the whole process, once around all: overlapping fits would set it back under each other."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(limits=1, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _folds(
    automl: AutoMLSpec,
    problem: Problem,
    splits: Artifact,
    train: Part,
    valid: Part,
    ctx: Context,
    more: int = 0,
) -> tuple[Callable[[int], Resampling], int, np.ndarray]:
    """What cuts the rows into so many folds, as the split allows it, how many there should be, and which rows (their
    numbers in train, then valid) the pool has. more: columns that fits may be told of besides."""
    refold, groups = splits.meta["refold"], None
    if refold == "group":
        groups = groups_of(splits, splits.meta["group"])
    numbers = np.arange(len(train) + len(valid))
    rows = len(train) + len(valid)
    count = count_for(rows) if automl.folds == "auto" else automl.folds
    copies = _COPIES + _COPIES_OF_A_FIT * min(count, ctx.threads)
    row = copies * 4 * (train.X.shape[1] + more) + _KEPT_MARGINS * 8 * problem.outputs
    most = max(FEWEST_ROWS, ctx.memory // row)
    if rows > most:
        share = most / rows
        ctx.warn(
            f"learns from {share:.0%} of {rows:,} rows: more do not fit into {ctx.memory / 2**30:.1f} GB; "
            "give the run more memory (`resources: {memory: 8GB}`)"
        )
        (train, in_train), (valid, in_valid) = (
            _sample(part, share, ctx.rng("automl", name))
            for part, name in ((train, "train"), (valid, "valid"))
        )
        numbers = np.flatnonzero(np.concatenate([in_train, in_valid]))
        if groups is not None:
            groups = groups[numbers]
    pool = joined(train, valid)
    judges = len(valid) if refold == "never" else 0

    def cut(count: int) -> Resampling:
        rng = ctx.rng("automl", "folds", count)
        return resample(pool, count, rng, classes=problem.classes, groups=groups, judges=judges)

    return cut, count_for(len(pool)) if automl.folds == "auto" else automl.folds, numbers


def _sample(part: Part, share: float, rng: np.random.Generator) -> tuple[Part, np.ndarray]:
    """So much of a part, in its order, and the (N,) mask of what is in it."""
    chosen = rng.permutation(len(part)) < round(len(part) * share)
    return part.take(chosen), chosen


def groups_of(splits: Artifact, column: str) -> np.ndarray:
    """(N,) the number of the group of each row of train, then valid; missing is a group too."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = [
        pq.read_table(splits.path(f"{name}.parquet"), columns=[column])[column] for name in ("train", "valid")
    ]
    chunks = [chunk.cast(pa.string()) for part in parts for chunk in part.chunks]
    codes = pa.chunked_array(chunks, pa.string()).combine_chunks().dictionary_encode(null_encoding="encode")
    found: np.ndarray = codes.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return found
