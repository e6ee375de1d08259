"""A reference of 20,000 rows, and windows against it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from package_support import write
from window_support import reference_of, rows, scanned, scanned_one_by_one, table

from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window
from bessemer.testing.models import TASKS


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return reference_of(table(rows(20_000, 0)), tmp_path_factory.mktemp("reference"))


@pytest.fixture
def window_of(tmp_path: Path, reference: Reference) -> Callable[..., Window]:
    """window_of(table, reference=...): the window of a table in memory."""

    def made(data: pa.Table, against: Reference = reference) -> Window:
        return scanned(data, against, tmp_path)

    return made


@pytest.fixture(scope="session")
def unchanged(reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> list[Window]:
    """200 windows in which nothing has changed."""
    folder = tmp_path_factory.mktemp("unchanged")
    return list(scanned_one_by_one((table(rows(1500, seed)) for seed in range(1, 201)), reference, folder))


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("monitor")
    return {task: write(folder, task) for task in TASKS}


@pytest.fixture
def package(packages: dict[str, Path]) -> Path:
    return packages["binary"]
