"""A training killed by SIGKILL in the middle of an epoch, again and again, ends in the same bytes."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
pytest.importorskip("torch")

#: All that could have a state: moments, averages, dropout, augmentation, parts of a step, a rate that is found.
SETTINGS: dict[str, dict[str, Any]] = {
    "adamw": {"ema": 0.9, "accumulate": 2, "shift": 1, "cutout": 0.3, "mixup": 0.2, "learning_rate": "auto"},
    "sgd": {"optimizer": "sgd", "sampler": "balanced", "schedule": "one_cycle", "precision": "bfloat16"},
    "pruned": {"objective": "pruned"},
    "several": {"mixup": 0.2, "accumulate": 2, "ema": 0.9},
}


def child(folder: str, settings: dict[str, Any], dies_at: int) -> None:
    """Fit, and die at a step of this process (-1: never) that is no step of a checkpoint; else print what came out."""
    from network_support import DIGITS, SEVERAL, opened, several, some

    params = {**settings, "epochs": 6, "checkpoint_steps": 3, "checkpoint_seconds": 1e6}
    problem, rows = (SEVERAL, several) if settings == SETTINGS["several"] else (DIGITS, some)
    own = opened(problem, rows(0, 150), rows(150, 200), Path(folder), params)
    take, taken = own.training.stepper.take, 0

    def counted(*args: Any) -> float:
        nonlocal taken
        loss = float(take(*args))
        if (taken := taken + 1) == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return loss

    own.training.stepper.take = counted
    own.run()
    model = own.model()
    print(hashlib.sha256(model.form.content + model.whole).hexdigest(), own.training.progress.step, taken)
    print(model.iterations, model.params, model.curves)


@pytest.mark.parametrize("name", SETTINGS)
def test_killed_in_the_middle_of_an_epoch(name: str, tmp_path: Path) -> None:
    def go(folder: str, dies_at: int) -> subprocess.CompletedProcess[str]:
        call = (
            f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_train_network_kills as t; "
            f"t.child({str(tmp_path / folder)!r}, {SETTINGS[name]!r}, {dies_at})"
        )
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [sys.executable, "-c", call],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env=environment,
        )

    for dies_at in (5, 7):
        killed = go("killed", dies_at)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert (tmp_path / "killed" / "network.npz").exists()
    resumed, whole = go("killed", -1), go("whole", -1)
    assert resumed.returncode == 0, resumed.stderr
    (same, steps, again), told = resumed.stdout.splitlines()[0].split(), resumed.stdout.splitlines()[1]
    (expected, all_steps, at_once), all_told = (
        whole.stdout.splitlines()[0].split(),
        whole.stdout.splitlines()[1],
    )
    assert same == expected
    assert told == all_told
    assert steps == all_steps == at_once
    assert int(again) == int(steps) - 9  # 3 of 5, then 6 of 7 steps were in a checkpoint
