"""Versions are timed as briefly as can be: no test is decided by how long anything takes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bessemer.optimize import measure


@pytest.fixture(scope="session", autouse=True)
def brief_timing() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "_SECONDS", 0.01)
        yield
