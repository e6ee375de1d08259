"""Whole retrainings of a real project: what is compared on, what wins, what a kill leaves."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from retrain_support import rows, write_project

from bessemer.api import Project
from bessemer.core.errors import EnvironmentFault, UsageError
from bessemer.core.lock import exclusive
from bessemer.monitor.alerts.outbox import Outbox
from bessemer.monitor.store import MonitorStore
from bessemer.retrain.champion import run_of
from bessemer.retrain.holdout import fresh_rows
from bessemer.retrain.retrainer import Retrainer
from bessemer.retrain.triggers import Reason

pytestmark = pytest.mark.slow
BY_HAND = Reason("by_hand", "asked for")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with 2,000 rows whose model has been made."""
    write_project(tmp_path / "grows", rows(2000, 1))
    Project(tmp_path / "grows").run()
    return tmp_path / "grows"


def retrainer(folder: Path) -> Retrainer:
    return Retrainer(Project(folder), MonitorStore(folder / ".bessemer" / "monitor.db"))


def grow(folder: Path, *, turned: bool, n: int = 6000) -> None:
    before = pq.read_table(folder / "data.parquet")
    pq.write_table(pa.concat_tables([before, rows(n, 2, turned=turned)]), folder / "data.parquet")


def test_a_model_of_the_new_relation_wins_and_is_ready(folder: Path) -> None:
    grow(folder, turned=True)
    one = retrainer(folder).run(BY_HAND)
    assert one.outcome == "ready", one.why
    assert one.comparison["low"] > 0
    assert Path(one.package).name == "grows-1.1.bsm"
    assert retrainer(folder).champion() == Path(one.package)
    (notice,) = Outbox(
        MonitorStore(folder / ".bessemer" / "monitor.db"), Project(folder).file.sections["monitor"].alerts
    ).notices()
    assert "a better model is ready" in notice.title


def test_both_are_compared_on_rows_that_neither_has_trained_on(tmp_path: Path) -> None:
    """Split at random, the new test rows hold some that the old model has trained on."""
    folder = tmp_path / "grows"
    write_project(folder, rows(2000, 1), by="")
    champion = Project(folder).run().package
    assert champion is not None
    grow(folder, turned=False, n=500)
    one = retrainer(folder).run(BY_HAND)
    project = Project(folder)
    before, after = (project.artifact("splits", run_of(project, p).id) for p in (champion, Path(one.package)))
    seen = [str(before.path(f"{name}.parquet")) for name in ("train", "valid")]
    own = [str(after.path(f"{name}.parquet")) for name in ("train", "valid")]
    test = pq.read_table(after.path("test.parquet"))
    with fresh_rows(after, before) as holdout:
        assert 0 < holdout.rows < test.num_rows
        both = f"SELECT count(*) FROM read_parquet('{holdout.part}') SEMI JOIN read_parquet(?) USING (a, b)"
        assert duckdb.connect().execute(both, [[*seen, *own]]).fetchone() == (0,)
        labels = pq.read_table(holdout.part).column("y").to_pylist()
        assert [label == "yes" for label in labels] == holdout.truth.astype(bool).tolist()
        assert one.comparison["rows"] == holdout.rows


def test_nothing_new_keeps_the_served_model(folder: Path) -> None:
    one = retrainer(folder).run(BY_HAND)
    assert (one.outcome, one.comparison) == ("kept", {})
    assert "same model" in one.why


def test_a_package_that_has_lost_is_not_the_next_champion(folder: Path) -> None:
    first = retrainer(folder).champion()
    grow(folder, turned=True, n=2000)
    write_project(folder, pq.read_table(folder / "data.parquet"), rows=5000)
    assert retrainer(folder).run(BY_HAND).outcome == "kept"
    assert retrainer(folder).champion() == first


def test_too_few_fresh_rows_decide_nothing(folder: Path) -> None:
    write_project(folder, rows(2000, 1), rows=5000)
    grow(folder, turned=True)
    one = retrainer(folder).run(BY_HAND)
    assert one.outcome == "kept"
    assert "5,000 are needed" in one.why


def test_a_gate_that_is_not_passed_keeps_the_served_model(folder: Path) -> None:
    grow(folder, turned=True, n=2000)  # trained on the old relation, judged on the new one
    one = retrainer(folder).run(BY_HAND)
    assert one.outcome == "kept"
    assert "beats constant" in one.why


def test_what_goes_wrong_is_written_down_and_told(folder: Path) -> None:
    (folder / "data.parquet").write_bytes(b"not Parquet")
    one = retrainer(folder).run(BY_HAND)
    assert one.outcome == "failed"
    assert "data.parquet" in one.why
    assert retrainer(folder).unfinished() is None


def test_more_rows_are_counted_against_those_of_the_served_model(folder: Path) -> None:
    one = retrainer(folder)
    assert one.more_rows(one.champion()) == 0
    grow(folder, turned=False, n=500)
    assert one.more_rows(one.champion()) == 0.25


def test_a_package_of_somebody_else_is_no_champion(folder: Path, tmp_path: Path) -> None:
    stranger = tmp_path / "grows-1.bsm"
    stranger.write_bytes(b"other bytes")
    with pytest.raises(UsageError, match="no run of this project made grows-1"):
        run_of(Project(folder), stranger)


def test_two_at_once_are_refused(folder: Path) -> None:
    with exclusive(folder / ".bessemer" / "retrain.lock"), pytest.raises(EnvironmentFault):
        retrainer(folder).run(BY_HAND)


def test_one_that_is_killed_goes_on_as_itself(folder: Path) -> None:
    """When it has just begun, and once more in the middle: as often as is forgiven; the third call ends it."""
    grow(folder, turned=True)
    command = [sys.executable, "-m", "bessemer", "retrain", str(folder), "--json", "--because", "new rows"]
    records = retrainer(folder).records
    kill_when(command, lambda: bool(records.all()))
    kill_when(command, lambda: records.all()[0].step != "training")  # a fast machine may end it before
    if not records.all()[0].outcome:
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["reason"] == "new rows"
    (one,) = records.all()
    assert (one.id, one.outcome) == (1, "ready"), one.why
    assert one.ended is not None
    assert one.begun < one.ended < dt.datetime.now(dt.UTC).replace(tzinfo=None)


def kill_when(command: list[str], ripe: Callable[[], bool]) -> None:
    """Start it, and kill it with all its children as soon as it is ripe, or let it end before."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while process.poll() is None and not ripe():
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
