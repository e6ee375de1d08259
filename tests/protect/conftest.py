"""Owners of their own, never the user's; and one real table, prepared once."""

from __future__ import annotations

from pathlib import Path

import pytest
from protect_support import OWNER, prepared, write_project

from bessemer.api import Project
from bessemer.protect.protocol import Pool


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An owner's key in the environment, and an empty config folder, which it gives."""
    monkeypatch.setenv("BESSEMER_OWNER_KEY", OWNER)
    monkeypatch.setenv("BESSEMER_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture(scope="session")
def churn(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> tuple[Project, Pool]:
    """1,200 customers, of whom it is to be told who leaves, after prepare."""
    folder = tmp_path_factory.mktemp("churn")
    return prepared(write_project(folder, shared / "telco" / "train.csv", "Churn", 1200))
