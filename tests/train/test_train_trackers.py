"""Trackers: what MLflow and TensorBoard hold afterwards, and that no failure reaches the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bessemer.train.trackers.process import TrackConfig, TrackerProcess, configure
from bessemer.train.trackers.spec import TrackSpec
from bessemer.train.trackers.worker import events
from patience import PATIENCE, until

POINTS = [("valid_log_loss", 1 / step, step) for step in range(1, 1501)]


@pytest.fixture(autouse=True)
def _tracked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user has it: other tests leave tracking out."""
    monkeypatch.delenv("BESSEMER_TRACK")


def told(process: TrackerProcess) -> None:
    process.emit("params", {"learner": "lightgbm", "num_leaves": 31, "long": "x" * 9000})
    process.emit("tags", {"project file": "bessemer.yaml"})
    for name, value, step in POINTS:
        process.emit("metric", {"name": name, "value": value, "step": step})
    process.emit("metric", {"name": "recall@10%", "value": 0.5, "step": 0})


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    return {
        tag: [(e.step, e.value) for e in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]
    }


def mlflow_run(folder: Path) -> tuple[Any, Any]:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("flights")
    assert experiment is not None
    return client, client.search_runs([experiment.experiment_id])[0]


def wait_for_the_end_of(spool: Path) -> None:
    """The worker removes it last."""
    until(lambda: not spool.exists(), "the end of the worker")


@pytest.mark.slow
def test_a_run_is_in_mlflow_and_tensorboard(tmp_path: Path) -> None:
    folder = tmp_path / ".bessemer"
    config = configure(TrackSpec(), run="run-1", project="flights", folder=folder)
    assert set(config.trackers) == {"mlflow", "tensorboard"}
    spool = folder / "spool" / "run-1.jsonl"
    (tmp_path / "report.html").write_text("<p>report</p>")
    process = TrackerProcess(spool, config)
    assert process._process is not None
    process._process.send_signal(signal.SIGSTOP)
    told(process)  # which is not in the way: nobody takes it
    process.emit("artifacts", {"path": str(tmp_path / "report.html")})
    process._process.send_signal(signal.SIGCONT)
    assert process.close(timeout=PATIENCE) == []
    assert not spool.exists()
    client, run = mlflow_run(folder)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "run-1")
    assert run.data.params["num_leaves"] == "31"
    assert len(run.data.params["long"]) == 6000
    assert run.data.tags["project file"] == "bessemer.yaml"
    assert run.data.metrics["recall_10_"] == 0.5
    history = client.get_metric_history(run.info.run_id, "valid_log_loss")
    assert [(m.step, m.value) for m in history] == [(step, value) for _, value, step in POINTS]
    assert [f.path for f in client.list_artifacts(run.info.run_id)] == ["report.html"]
    curve = scalars(folder / "tensorboard" / "run-1")["valid_log_loss"]
    assert [step for step, _ in curve] == [step for _, _, step in POINTS]
    assert curve[1][1] == pytest.approx(0.5)


KILLED = """
import os, signal, sys
from pathlib import Path
from bessemer.train.trackers.process import TrackConfig, TrackerProcess
folder = Path(sys.argv[1])
process = TrackerProcess(folder / "spool.jsonl", TrackConfig("run-1", "flights", str(folder), {"mlflow": "auto"}))
process.emit("metric", {"name": "loss", "value": 0.25, "step": 1})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_killed_run_is_marked_killed(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    wait_for_the_end_of(tmp_path / "spool.jsonl")
    _, run = mlflow_run(tmp_path)
    assert run.info.status == "KILLED"
    assert run.data.metrics == {"loss": 0.25}


@pytest.mark.slow
def test_a_failing_tracker_warns_and_the_other_goes_on(tmp_path: Path) -> None:
    config = TrackConfig("run-1", "flights", str(tmp_path), {"mlflow": "foo://bar", "tensorboard": "auto"})
    process = TrackerProcess(tmp_path / "spool.jsonl", config)
    process.emit("metric", {"name": "loss", "value": 0.25, "step": 1})
    warnings = process.close(timeout=PATIENCE)
    assert len(warnings) == 1
    assert warnings[0].startswith("tracking in mlflow stopped: ")
    assert scalars(tmp_path / "tensorboard" / "run-1") == {"loss": [(1, 0.25)]}


def test_a_dead_worker_is_a_warning(tmp_path: Path) -> None:
    process = TrackerProcess(
        tmp_path / "spool.jsonl", TrackConfig("r", "p", str(tmp_path), {"tensorboard": "auto"})
    )
    assert process._process is not None
    process._process.kill()
    process.emit("metric", {"name": "loss", "value": 0.25, "step": 1})
    assert process.close(timeout=PATIENCE) == ["tracking stopped (exit code -9): no message"]


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    process = TrackerProcess(
        tmp_path / "file" / "spool.jsonl", TrackConfig("r", "p", ".", {"tensorboard": "auto"})
    )
    process.emit("metric", {"name": "loss", "value": 0.25, "step": 1})
    assert "tracking stopped: " in process.close()[0]


@pytest.mark.slow
def test_close_does_not_wait_for_a_slow_worker(tmp_path: Path) -> None:
    spool = tmp_path / "spool.jsonl"
    process = TrackerProcess(spool, TrackConfig("r", "p", str(tmp_path), {"tensorboard": "auto"}))
    assert process._process is not None
    process._process.send_signal(signal.SIGSTOP)
    process.emit("metric", {"name": "loss", "value": 0.5, "step": 1})
    assert process.close(timeout=0.01, status="FAILED") == []
    process._process.send_signal(signal.SIGCONT)
    wait_for_the_end_of(spool)
    assert scalars(tmp_path / "tensorboard" / "r") == {"loss": [(1, 0.5)]}


def test_nothing_to_feed_starts_no_process(tmp_path: Path) -> None:
    config = configure(TrackSpec(mlflow="off", tensorboard="off"), run="r", project="p", folder=tmp_path)
    process = TrackerProcess(tmp_path / "spool.jsonl", config)
    process.emit("metric", {"name": "loss", "value": 0.5, "step": 1})
    assert process.close() == []
    assert list(tmp_path.iterdir()) == []


def test_the_environment_turns_off_what_is_auto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = TrackSpec(mlflow="http://host:5000")
    of = {"run": "r", "project": "p", "folder": tmp_path}
    assert configure(spec, **of).trackers == {"mlflow": "http://host:5000", "tensorboard": "auto"}
    monkeypatch.setenv("BESSEMER_TRACK", "off")
    assert configure(spec, **of).trackers == {"mlflow": "http://host:5000"}


def test_half_a_line_is_not_read(tmp_path: Path) -> None:
    spool = tmp_path / "spool.jsonl"
    spool.write_bytes(b'{"kind":"params","data":{"a":"1"}}\n{"kind":"metr')
    stream = events(spool, os.getppid())
    assert next(stream) == ("params", {"a": "1"})
    assert next(stream) == ("idle", {})
    with spool.open("ab") as file:
        file.write(b'ic","data":{"name":"x"}}\n')
    assert next(stream) == ("metric", {"name": "x"})


def test_the_project_file_says_off(tmp_path: Path) -> None:
    assert TrackSpec.model_validate({"mlflow": False, "tensorboard": False}) == TrackSpec(
        mlflow="off", tensorboard="off"
    )
    assert TrackSpec.model_validate({"mlflow": True}).mlflow == "auto"
    assert TrackSpec(mlflow="http://host:5000").mlflow == "http://host:5000"
    for wrong in ({"mlflow": "of"}, {"tensorboard": "http://host"}, {"wandb": "auto"}):
        with pytest.raises(ValidationError):
            TrackSpec.model_validate(wrong)
