"""Environments of tools are made once on a machine, and kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bessemer.environments.place import VARIABLE
from environments import CACHE


@pytest.fixture(scope="session", autouse=True)
def _kept_environments() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv(VARIABLE, str(CACHE / "environments"))
    yield
    patch.undo()
