"""A real package of the tiny model on disk, and rows of every shape to score with it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bessemer.package.model import Model, load
from bessemer.package.write import write_package
from bessemer.testing.models import CONTRACTS, tiny_members


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory, _own_config: object) -> Path:
    """A package signed with the key of this test session's own configuration."""
    path = tmp_path_factory.mktemp("package") / "tiny.bsm"
    facts = {"name": "tiny", "version": "1.0.0", "created": "2026-01-01T00:00:00Z"}
    write_package(path, tiny_members("binary"), **facts, task="binary", target="churned")
    return path


@pytest.fixture(scope="session")
def model(package: Path) -> Model:
    return load(package)


def rows(n: int, seed: int = 0) -> pa.Table:
    """n rows with an `id` of five digits or more, and nulls in every input that may have them."""
    rng = np.random.default_rng(seed)
    start = dt.datetime(2020, 1, 1)

    def holes(values: list[object]) -> list[object]:
        return [None if hole else v for v, hole in zip(values, rng.random(n) < 0.1, strict=True)]

    return pa.table(
        {
            "id": pa.array([f"{i:05d}" for i in range(n)]),
            "tenure": pa.array(rng.integers(0, 72, n)),
            "monthly charges": pa.array(holes(rng.uniform(18, 118, n).tolist()), pa.float64()),
            "autopay": pa.array(holes((rng.random(n) < 0.5).tolist()), pa.bool_()),
            "contract": pa.array(holes(rng.choice([*CONTRACTS, "other"], n).tolist()), pa.string()),
            "désactivé": pa.array(
                holes([start + dt.timedelta(hours=int(h)) for h in rng.integers(0, 30000, n)]),
                pa.timestamp("us"),
            ),
            "note": pa.array(rng.choice(["a", 'b "c"', "d,e", "ö"], n).tolist()),
        }
    )


@pytest.fixture(scope="session")
def make_rows() -> Callable[..., pa.Table]:
    return rows
