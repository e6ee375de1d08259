"""Small real models, made once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from made_support import Made, make


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Made]:
    """made("binary", "lightgbm"): a model of that task and learner, made once."""
    known: dict[tuple[str, str], Made] = {}

    def get(task: str, learner: str = "lightgbm") -> Made:
        if (task, learner) not in known:
            known[task, learner] = make(tmp_path_factory.mktemp(f"{task}-{learner}"), task, learner)
        return known[task, learner]

    return get
