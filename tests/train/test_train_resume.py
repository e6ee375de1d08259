"""A fit that was stopped at any moment ends in the bytes of one that was not."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessemer.testing.learners import callbacks, problem, rows
from bessemer.train.checkpoint import Checkpoints
from bessemer.train.learners.lightgbm import LightGBM
from bessemer.train.params import resolved

PARAMS = {
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "feature_fraction": 0.6,
    "extra_trees": True,
    "num_leaves": 7,
}


class Stop(Exception):
    pass


def fit(task: Any, workdir: Path, stop: int = 0, threads: int = 2, **settings: Any) -> Any:
    def on_round(name: str, step: int, value: float) -> None:
        if step == stop and name.startswith("valid"):
            raise Stop

    place = replace(
        callbacks(workdir, **{"rounds": 40, "checkpoint": 10, **settings}), on_round=on_round, threads=threads
    )
    params = resolved(LightGBM.PARAMS, {**PARAMS, "learning_rate": 0.2})
    return LightGBM().fit(problem(task), rows(task, 400), rows(task, 300, seed=1), params, place)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_stopped_and_resumed_is_the_same(task: str, tmp_path: Path) -> None:
    whole = fit(task, tmp_path / "whole")
    for stop in (9, 10, 11, 35, 40):
        with pytest.raises(Stop):
            fit(task, tmp_path / f"{stop}", stop=stop)
        with pytest.raises(Stop):  # stopped a second time, further on
            fit(task, tmp_path / f"{stop}", stop=min(stop + 12, 40))
        resumed = fit(task, tmp_path / f"{stop}")
        assert resumed.native() == whole.native()
        assert resumed.curves == whole.curves


@pytest.mark.slow
def test_early_stopping_counts_across_segments(tmp_path: Path) -> None:
    settings = {"rounds": 500, "checkpoint": 3, "early_stopping": 15}
    whole = fit("regression", tmp_path / "whole", **settings)
    curve = whole.curves["valid_rmse"]
    best = min(curve, key=lambda point: point[1])[0]
    assert (whole.iterations, curve[-1][0]) == (best, best + 15)
    with pytest.raises(Stop):
        fit("regression", tmp_path / "cut", stop=best + 14, **settings)
    assert fit("regression", tmp_path / "cut", **settings).native() == whole.native()


def test_a_resumed_fit_reports_the_rounds_before_it(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        fit("binary", tmp_path, stop=25)
    seen = []
    place = replace(
        callbacks(tmp_path, rounds=40, checkpoint=10),
        on_round=lambda name, step, value: seen.append((name, step)),
    )
    LightGBM().fit(
        problem("binary"),
        rows("binary", 400),
        rows("binary", 300, 1),
        resolved(LightGBM.PARAMS, PARAMS),
        place,
    )
    assert [step for name, step in seen if name.startswith("valid")] == list(range(1, 41))


@pytest.mark.slow
def test_the_model_does_not_depend_on_the_threads(tmp_path: Path) -> None:
    from bessemer.train.learners import lightgbm_boost

    before, lightgbm_boost._WORTH_THREADS = lightgbm_boost._WORTH_THREADS, 0
    try:
        one, two = (fit("binary", tmp_path / str(n), threads=n, rounds=15) for n in (1, 2))
    finally:
        lightgbm_boost._WORTH_THREADS = before
    assert one.native() == two.native()


def test_the_margins_of_a_segment_are_those_of_its_trees(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        fit("multiclass", tmp_path, stop=25)
    saved = Checkpoints(tmp_path / "lightgbm.npz", "conformance").load()
    assert saved is not None
    state, arrays = saved
    import lightgbm

    predicted = lightgbm.Booster(model_str=state["text"]).predict(
        rows("multiclass", 300, 1).X, raw_score=True
    )
    np.testing.assert_allclose(arrays["valid"], predicted, rtol=0, atol=1e-12)


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_not_used(tmp_path: Path) -> None:
    place = Checkpoints(tmp_path / "c.npz", "mine")
    assert place.load() is None
    place.save({"step": 3}, {"a": np.arange(3.0)})
    state, arrays = place.load() or ({}, {})
    assert state == {"step": 3}
    assert arrays["a"].tolist() == [0, 1, 2]
    assert Checkpoints(place.path, "other").load() is None
    for cut in (0, 10, 200, len(place.path.read_bytes()) - 1):
        place.path.write_bytes(place.path.read_bytes()[:cut])
        assert place.load() is None
        place.save({"step": 3}, {"a": np.arange(3.0)})


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from stage_support import make_context, make_parts, put_inputs
from bessemer.train.spec import TrainSpec
from bessemer.train.stage import run
at = int(sys.argv[2])
ctx = make_context(Path(sys.argv[1]))
def emit(kind, data):
    if kind == "metric" and data["step"] == at:
        os.kill(os.getpid(), signal.SIGKILL)
ctx.emit = emit
inputs = put_inputs(ctx.store, "binary", make_parts("binary", 600), ["no", "yes"])
out = run(TrainSpec(rounds=60, checkpoint=10, early_stopping=0), inputs, ctx)
print(out["model"].digest, out["history"].digest)
"""


@pytest.mark.slow
def test_a_killed_stage_gives_the_same_artifacts(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED.format(tests=str(Path(__file__).parent)))

    def go(folder: str, at: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(script), str(tmp_path / folder), str(at)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    for at in (23, 47):
        assert go("killed", at).returncode == -signal.SIGKILL
        assert (tmp_path / "killed" / "work" / "lightgbm.npz").exists()
    resumed, whole = go("killed", -1), go("whole", -1)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout == whole.stdout
    assert len(whole.stdout.split()) == 2
