"""Covers for tables: real values, a logo that no row has, and nothing that chance decides twice."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
from protect_support import context

from bessemer.api import Project
from bessemer.protect.covers import features_of, new_rows
from bessemer.protect.markers.crossover import Crossover, CrossoverSettings, _Cross
from bessemer.protect.markers.parts import parts_of
from bessemer.protect.protocol import Draw, Pool
from bessemer.testing.markers import check_marker

Churn = tuple[Project, Pool]
N = 60


def covers(churn: Churn, folder: Path, key: int = 1, **settings: object) -> object:
    project, pool = churn
    marker = Crossover(CrossoverSettings(**settings))
    assert marker.refuses(pool) == ""
    return marker.covers(pool, N, Draw(bytes([key] * 32)), context(project, folder), lambda: None)


def test_every_value_is_one_that_a_training_row_has(churn: Churn, tmp_path: Path) -> None:
    table, pool = covers(churn, tmp_path), churn[1]
    rows = pool.rows(np.arange(len(pool)))
    assert table.schema == rows.schema
    assert table.num_rows == N
    for name in table.column_names:
        assert set(table[name].to_pylist()) <= set(rows[name].to_pylist()), name


def test_no_cover_is_a_training_row_or_another_cover(churn: Churn, tmp_path: Path) -> None:
    table, pool = covers(churn, tmp_path), churn[1]
    X = features_of(pool, table)
    assert len(np.unique(X, axis=0)) == N
    assert new_rows(pool, X).tolist() == list(range(N))
    twice = np.concatenate([X[:2], X[:2], pool.features[5:7]])
    assert new_rows(pool, twice).tolist() == [0, 1]


def test_it_keeps_to_the_protocol(churn: Churn, tmp_path: Path) -> None:
    project, pool = churn
    check_marker("crossover", {"columns": 6}, pool, N, context(project, tmp_path))


def test_the_logo_stands_in_every_cover_and_in_no_training_row(churn: Churn, tmp_path: Path) -> None:
    pool = churn[1]
    names = [field.name for field in pool.signature.inputs]
    parts = parts_of(pool.rows(np.arange(len(pool))), names)
    logo = _Cross(parts, [[k] for k in range(len(names))]).logo(5, Draw(bytes([1] * 32)).rng("logo"))
    assert 4 <= len(logo) <= 5
    there = np.all([parts[:, column] == part for column, part in logo.items()], axis=0)
    assert not there.any()
    values = {
        names[column]: set(pool.rows(np.flatnonzero(parts[:, column] == part))[names[column]].to_pylist())
        for column, part in logo.items()
    }
    table = covers(churn, tmp_path)
    for name, allowed in values.items():
        assert set(table[name].to_pylist()) <= allowed


def test_columns_stand_together_as_they_do_in_real_rows(churn: Churn, tmp_path: Path) -> None:
    """Away from the logo: of whoever has no internet, every cover says so in each service that needs it."""
    table, pool = covers(churn, tmp_path).to_pylist(), churn[1]
    services = [
        "OnlineSecurity",
        "OnlineBackup",
        "DeviceProtection",
        "TechSupport",
        "StreamingTV",
        "StreamingMovies",
    ]
    names = [field.name for field in pool.signature.inputs]
    parts = parts_of(pool.rows(np.arange(len(pool))), names)
    logo = {
        names[c]
        for c in _Cross(parts, [[k] for k in range(len(names))]).logo(5, Draw(bytes([1] * 32)).rng("logo"))
    }
    free = [name for name in services if name not in logo]
    assert len(free) >= 2
    mixed = [len({row[name] == "No internet service" for name in free}) > 1 for row in table]
    assert np.mean(mixed) < 0.1  # crossed at random more than nine in ten would be


def test_columns_that_are_named_come_from_one_row(churn: Churn, tmp_path: Path) -> None:
    pool = churn[1]
    together = ["tenure", "MonthlyCharges", "TotalCharges"]
    table = covers(churn, tmp_path, together=[together])
    rows = pool.rows(np.arange(len(pool)))
    real = set(zip(*(rows[name].to_pylist() for name in together), strict=True))
    assert set(zip(*(table[name].to_pylist() for name in together), strict=True)) <= real


def test_memory_does_not_grow_with_the_covers() -> None:
    """15 columns of one part each: all that is drawn, and no pairs to look at."""
    cross = _Cross(np.zeros((100, 15), dtype=np.int32), [[k] for k in range(15)])
    tracemalloc.start()
    found = cross.givers(6000, 5, Draw(bytes(32)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found.shape, len(np.unique(found, axis=0))) == ((6000, 15), 6000)
    assert peak < 48 * 2**20  # at once they would take 6000 * 48 * 15 * 8 bytes four times


def test_what_cannot_be_crossed_is_said(churn: Churn) -> None:
    pool = churn[1]
    every = [field.name for field in pool.signature.inputs]
    assert "two columns" in Crossover(CrossoverSettings(together=[every])).refuses(pool)
    assert "'tenur', which is no column" in Crossover(CrossoverSettings(together=[["tenur"]])).refuses(pool)
