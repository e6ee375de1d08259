"""Every learner keeps the laws of the conformance suite. `ebm` does so in its own tests, with smaller bags."""

from __future__ import annotations

from pathlib import Path

import pytest

from bessemer.testing.learners import check_learner
from bessemer.train.plugins import LEARNERS

#: They learn by many small steps: to see each law kept takes seconds.
SLOW = ("mlp", "network")
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
    for name in LEARNERS.names()
    if name != "ebm"
]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("name", NAMES)
def test_a_learner_conforms(name: str, task: str, tmp_path: Path) -> None:
    check_learner(LEARNERS.load(name), task, tmp_path)
