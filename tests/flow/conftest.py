"""Whole projects on real tables, and a way to run the command line as a user does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests_support import write_project

Bessemer = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def bessemer() -> Bessemer:
    """Runs the command line in a folder; the environment is the test session's with `env` added."""

    def call(*args: object, cwd: Path, env: dict[str, str] | None = None, timeout: float = 900) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "bessemer", *map(str, args)],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return call


@pytest.fixture(scope="session")
def telco(tmp_path_factory: pytest.TempPathFactory, shared: Path, bessemer: Bessemer) -> dict[str, Any]:
    """One finished run on a real table, for all tests that look at what came out. Do not change its folder."""
    folder = tmp_path_factory.mktemp("telco")
    keys = {"evaluate": {"slices": ["Contract", "tenure"]}}
    write_project(folder, data=str(shared / "telco" / "train.csv"), target="Churn", **keys)
    done = bessemer("run", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return {"folder": folder, "test": shared / "telco" / "test.csv", **json.loads(done.stdout)}
