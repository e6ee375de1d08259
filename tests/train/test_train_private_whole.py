"""Private training as a whole: what it learns, what its answers give away, and that a kill repeats nothing."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow

ASKED = {"objective": {"private": {"epsilon": 8.0, "accountant": "rdp"}}}


def child(folder: str, dies_at: int) -> None:
    """Fit, and die in a step of this process (-1: never) that is no step of a checkpoint; else print what came out."""
    from network_support import DIGITS, opened, some

    params = {**ASKED, "ema": 0.9, "accumulate": 2, "shift": 1, "epochs": 3}
    own = opened(
        DIGITS, some(0, 150), some(150, 200), Path(folder),
        {**params, "checkpoint_steps": 3, "checkpoint_seconds": 1e6},
    )  # fmt: skip
    finish, taken = own.training.stepper._objective.finish, 0

    def counted(net: Any, step: int) -> None:
        nonlocal taken
        finish(net, step)
        if (taken := taken + 1) == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    own.training.stepper._objective.finish = counted
    own.run()
    model = own.model()
    print(hashlib.sha256(model.form.content).hexdigest(), model.private, model.curves)
    print(taken)


def test_killed_behind_the_noise_of_a_step(tmp_path: Path) -> None:
    def go(folder: str, dies_at: int) -> subprocess.CompletedProcess[str]:
        call = (
            f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_train_private_whole as t; "
            f"t.child({str(tmp_path / folder)!r}, {dies_at})"
        )
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [sys.executable, "-c", call],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            env=environment,
        )

    killed = go("killed", 8)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed, whole = go("killed", -1), go("whole", -1)
    assert resumed.returncode == 0, resumed.stderr
    (same, again), (expected, at_once) = (run.stdout.splitlines() for run in (resumed, whole))
    assert same == expected, "the steps, and the noise of each, are counted over the kill"
    assert "'steps_taken': 15" in same
    assert (int(again), int(at_once)) == (9, 15)  # 6 of 8 steps were in a checkpoint


def test_digits_are_learnt_and_not_by_heart(tmp_path: Path) -> None:
    """Against a network that learns few digits by heart."""
    from network_support import DIGITS, opened, some

    from bessemer.attack.parts import odds_of
    from bessemer.stats.rank_sum import RankSum

    train, valid, test = some(0, 900), some(900, 950), some(950, 1797)
    size = {"hidden_size": 64, "dropout": 0.0}
    private = {**ASKED, "table_encoder": "linear", "epochs": 30, "batch_size": 450, "learning_rate": 1e-2}
    plain = {"image_encoder": {"convnet": {"width": 8, "stages": 2, "dropout": 0.0}}, "epochs": 40}
    flat = replace(DIGITS, blocks=())
    areas, right = {}, {}
    for name, of, params in (("private", flat, private), ("plain", DIGITS, plain)):
        fit = opened(of, train, valid, tmp_path / name, {**size, **params}, rounds=1000)
        fit.run()
        model = fit.model()
        sure = [odds_of(model.margin(part.X), part.y, "multiclass") for part in (train, test)]
        areas[name] = RankSum.of(np.arange(1747) < 900, np.concatenate(sure)).area
        right[name] = float((model.margin(test.X).argmax(axis=1) == test.y).mean())
    assert right["private"] > 0.75
    assert areas["private"] < 0.56
    assert areas["plain"] > areas["private"] + 0.03
