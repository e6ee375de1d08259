"""A run as MLflow and TensorBoard show it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests_support import write_project

from bessemer.tracking import flat
from patience import until

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _tracked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user has it: other tests leave tracking out."""
    monkeypatch.delenv("BESSEMER_TRACK")


def finished(client: Any, folder: Path) -> Any:
    """The one run of the store, when its worker has told all of it: a run does not wait for its trackers."""
    until(lambda: not list((folder / ".bessemer").glob("track-*.jsonl")), "the end of the worker")
    experiments = [e.experiment_id for e in client.search_experiments() if e.name == "test"]
    (run,) = client.search_runs(experiments)
    return run


def test_a_run_is_in_mlflow_and_tensorboard(shared: Path, tmp_path: Path, bessemer: Any) -> None:
    import mlflow
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write_project(
        tmp_path, data=str(shared / "telco" / "test.csv"), target="Churn", track={},
        train={"learner": "lightgbm", "rounds": 30}, evaluate={"gates": {"beats": []}},
    )  # fmt: skip
    done = bessemer("run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/.bessemer/mlflow.db")
    tracked = finished(client, tmp_path)
    assert tracked.info.run_name == run["run"]
    assert tracked.info.status == "FINISHED"
    assert tracked.data.params["train.rounds"] == "30"
    assert tracked.data.params["model.learner"] == "lightgbm"
    assert tracked.data.metrics["test_roc_auc"] == pytest.approx(run["metrics"]["roc_auc"]["value"])
    assert tracked.data.metrics["test_roc_auc.low"] < tracked.data.metrics["test_roc_auc"]
    assert "report.html" in [a.path for a in client.list_artifacts(tracked.info.run_id)]
    (events,) = (tmp_path / ".bessemer" / "tensorboard").glob("*")
    board = EventAccumulator(str(events)).Reload()
    curves = [name for name in board.Tags()["scalars"] if "valid_" in name]
    assert curves
    assert len(board.Scalars(curves[0])) > 5
    assert bessemer("run", cwd=tmp_path).returncode == 0
    assert finished(client, tmp_path).info.run_id == tracked.info.run_id, (
        "a run from the cache is not tracked again"
    )


def test_settings_become_dotted_names() -> None:
    assert flat({"a": {"b": [1, 2], "c": None, "d": False}, "e": "x"}) == {
        "a.b": "[1, 2]",
        "a.d": "false",
        "e": "x",
    }
