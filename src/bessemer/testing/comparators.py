"""What every comparator must keep. In a plug-in's own tests:

from bessemer.testing.comparators import check_comparator

def test_my_comparator(tmp_path):
    check_comparator(MyComparator, tmp_path)
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.testing.learners import problem
from bessemer.train.automl.folds import Fold
from bessemer.train.comparators.comparator import Comparator, Contest

ROWS = 360
#: Seconds after its time that a comparator may take to stop.
_LATE = 1.0


def check_comparator(comparator: type[Comparator], folder: Path, seconds: float = 120.0) -> None:
    """Raises AssertionError where the comparator breaks a law."""
    comparator().check()
    _check_folds(comparator, folder / "folds", seconds)
    _check_cut(comparator, folder / "cut", seconds)


def _check_folds(comparator: type[Comparator], folder: Path, seconds: float) -> None:
    """The target is the fold's own number, and a column says which fold: only who learnt from the fold knows it."""
    import pyarrow as pa

    number = np.random.default_rng(1).integers(0, 4, ROWS)
    table = raw_rows().append_column("fold's name", pa.array([f"fold {k}" for k in number]))
    y = number * 100.0 + np.random.default_rng(2).normal(size=ROWS)
    output = _compared(comparator, contest(folder, table, y, folds(number), seconds=seconds), ROWS)
    assert output.shape == (ROWS,)
    assert np.mean(output[number == 3]) < 250, (
        "it has learnt from the rows of the last fold that it is judged on"
    )
    assert np.mean(output[number == 0]) > 50, (
        "it has learnt from the rows of the first fold that it is judged on"
    )


def _check_cut(comparator: type[Comparator], folder: Path, seconds: float) -> None:
    """Three classes, one of them rare and only where it is judged; groups and weights."""
    rng = np.random.default_rng(3)
    table = raw_rows()
    y = np.array([0.0 if word == "plain" else 1.0 for word in table["word"].to_pylist()])
    y[-1] = 2.0
    fold = Fold(np.arange(240), np.arange(240, ROWS))
    made = contest(
        folder,
        table,
        y,
        (fold,),
        problem=replace(problem("multiclass"), classes=3),
        weight=rng.uniform(1, 2, ROWS),
        groups=np.arange(ROWS) // 10,
        seconds=seconds,
    )
    output = _compared(comparator, made, len(fold.judge))
    assert output.shape == (len(fold.judge), 3)
    assert output.min() >= 0
    np.testing.assert_allclose(output.sum(axis=1), 1, atol=1e-5)
    plain = y[fold.judge] == 0
    assert np.mean(output[plain, 0]) > np.mean(output[~plain, 0]), "it has learnt nothing"


def _compared(comparator: type[Comparator], made: Contest, rows: int) -> np.ndarray:
    before, begin = set(made.workdir.iterdir()), time.monotonic()
    answer = comparator().compare(made)
    assert time.monotonic() - begin < made.seconds + _LATE
    assert np.isfinite(answer.output).all()
    assert len(answer.output) == rows
    assert answer.note
    assert answer.fit_seconds > 0
    assert set(made.workdir.iterdir()) == before, "it has left something behind"
    return answer.output


def folds(number: np.ndarray) -> tuple[Fold, ...]:
    """The folds of (N,) fold numbers."""
    rows = np.arange(len(number))
    return tuple(Fold(rows[number != k], rows[number == k]) for k in np.unique(number))


def raw_rows(rows: int = ROWS) -> Any:
    """A table with columns of every type that a project can have, and what is hard about each."""
    import pyarrow as pa

    rng = np.random.default_rng(0)
    number = rng.normal(size=rows)
    number[::7], number[3] = np.nan, np.inf
    words = rng.choice(np.array(['a"b', "c,d", "two\nlines", "ü✓", "plain"]), rows)
    return pa.table(
        {
            "a number": pa.array(number, from_pandas=True),
            "count": pa.array(rng.integers(-(2**40), 2**40, rows)),
            "word": pa.array([None if i % 11 == 0 else str(word) for i, word in enumerate(words)]),
            "flag": pa.array(
                [None if i % 13 == 0 else bool(b) for i, b in enumerate(rng.random(rows) < 0.5)]
            ),
            "at": pa.array(rng.integers(0, 10**15, rows), pa.timestamp("us")),
        }
    )


def contest(folder: Path, table: Any, y: np.ndarray, cut: tuple[Fold, ...], **settings: Any) -> Contest:
    """A contest whose raw rows are in two files, as those of train and valid are."""
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    files = (folder / "train.parquet", folder / "valid.parquet")
    for file, part in zip(files, (table[:200], table[200:]), strict=True):
        pq.write_table(part, file)
    given: dict[str, Any] = {
        "problem": problem("regression"),
        "weight": None,
        "groups": None,
        "seconds": 120.0,
        "seed": 1,
        "threads": 2,
        "memory": 2**30,
        "workdir": folder,
    }
    return Contest(files=files, columns=tuple(table.column_names), y=y, folds=cut, **{**given, **settings})
