"""Every learner keeps the laws of the conformance suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from bessemer.testing.learners import check_learner
from bessemer.train.plugins import LEARNERS


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("name", LEARNERS.names())
def test_a_learner_conforms(name: str, task: str, tmp_path: Path) -> None:
    check_learner(LEARNERS.load(name), task, tmp_path)
