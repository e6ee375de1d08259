"""Rows that are spread evenly: over time, over whatever comes in turn, and the same in SQL and in memory."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bessemer.core.sql import connect
from bessemer.package.even import halves, places, spread

SIZES = (
    (40_000, 50_000),
    (50_000, 50_000),
    (50_001, 50_000),
    (120_000, 50_000),
    (600_000, 50_000),
    (9999, 300),
)


@pytest.mark.parametrize(("rows", "most"), SIZES)
def test_every_turn_is_even(rows: int, most: int) -> None:
    """Of every period each place is as frequent as any other, but for chance; so is each hundredth of the table."""
    found = places(rows, most)
    wanted = min(rows, most)
    assert len(np.unique(found)) == wanted
    assert (np.diff(found) > 0).all()
    assert 0 <= found[0] <= found[-1] < rows
    for period in (2, 3, 7, 12, 24, 60, rows // most + 1):
        counts = np.bincount(found % period, minlength=period)
        assert np.abs(counts - wanted / period).max() < 5 * (wanted / period) ** 0.5, period
    by_time = np.bincount(found * 100 // rows, minlength=100)
    assert np.abs(by_time - wanted / 100).max() <= 5 * (wanted / 100) ** 0.5


def test_no_period_has_a_beat() -> None:
    """Periods that are no whole numbers, the golden section of the step among them: every k-th row has a beat of 1."""
    rows, most = 1_000_000, 20_000
    found = places(rows, most)
    step = rows / most
    for period in (
        step,
        step * 1.6180339887,
        step * 2.6180339887,
        step / 1.6180339887,
        step / 2,
        24.0,
        365.25,
    ):
        assert abs(np.exp(2j * np.pi * found / period).mean()) < 4 * most**-0.5, period


@pytest.mark.parametrize(("rows", "most"), [*SIZES, (10, 3), (1, 1), (0, 5)])
def test_sql_takes_the_same_rows_whatever_the_threads(rows: int, most: int, tmp_path: Path) -> None:
    table = pa.table({"place": np.arange(rows) * 2, "stretch": np.arange(rows) * 3})
    for threads in (1, 3):
        connection = connect(threads=threads, memory=2**30, temporary=tmp_path)
        connection.register("data", table)
        found = connection.execute(spread("data", "place AS v, stretch", rows, most)).fetchnumpy()
        assert list(found) == ["v", "stretch"]
        np.testing.assert_array_equal(found["v"], places(rows, most) * 2)
        np.testing.assert_array_equal(found["stretch"], places(rows, most) * 3)


def test_halves_share_every_turn() -> None:
    for rows, period in itertools.product((0, 1, 7, 1000, 50_000), (2, 4, 24)):
        first = halves(rows)
        assert first.sum() == rows - rows // 2
        counts = np.bincount(np.flatnonzero(first) % period, minlength=period)
        assert np.abs(counts - rows / 2 / period).max() <= 1 + 4 * (rows / 2 / period) ** 0.5
