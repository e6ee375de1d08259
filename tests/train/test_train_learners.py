"""Every learner keeps the laws of the conformance suite. `ebm` does so in its own tests, with smaller bags."""

from __future__ import annotations

from pathlib import Path

import pytest

from bessemer.testing.learners import check_learner
from bessemer.train.plugins import LEARNERS


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("name", [name for name in LEARNERS.names() if name != "ebm"])
def test_a_learner_conforms(name: str, task: str, tmp_path: Path) -> None:
    check_learner(LEARNERS.load(name), task, tmp_path)
