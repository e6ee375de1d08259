"""Training again while a log is watched, and the whole loop for two months of real flights."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import pytest
from retrain_support import rows, write_project

import bessemer
from bessemer.api import Project
from bessemer.core.lock import exclusive
from bessemer.monitor.store import Kept, MonitorStore
from bessemer.retrain.attendant import Attendant
from bessemer.retrain.retrainer import Retrainer
from bessemer.retrain.triggers import Reason

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


def drifted(model: bessemer.Model) -> Kept:
    """A window after the model was made, in which `a` had drifted."""
    start = dt.datetime.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(seconds=1)
    finding = {"detector": "chi_square", "column": "a", "kind": "drift", "text": "a has moved"}
    check = {"alarm": True, "findings": [finding]}
    end = start + dt.timedelta(hours=1)
    return Kept("grows", model.version, start.isoformat(), end.isoformat(), 9, 1, check)


def test_drift_begins_one_retraining_and_its_end_is_told(tmp_path: Path) -> None:
    write_project(tmp_path / "grows", rows(1000, 1))
    project = Project(tmp_path / "grows")
    package = project.run().package
    assert package is not None
    model = bessemer.load(package)
    store = MonitorStore(project.folder / ".bessemer" / "monitor.db")
    attendant = Attendant(Retrainer(project, store), store)
    assert attendant.tick(model, "grows", str(package)) is None
    assert attendant.wait() is None  # nothing was found, nothing has begun
    store.keep(drifted(model))
    attendant.tick(model, "grows", str(package))
    done = attendant.wait()
    assert done is not None
    assert (done.cause, done.reason, done.outcome) == ("drift", "a: a has moved", "kept")
    attendant.tick(model, "grows", str(package))
    assert attendant.wait() is None  # the same finding is no cause again


def test_what_ends_before_it_has_begun_is_not_begun_again_at_once(tmp_path: Path) -> None:
    """And what came of an earlier one is not told again."""
    write_project(tmp_path / "grows", rows(1000, 1), on=["drift"], at_most="1000 per hour")
    project = Project(tmp_path / "grows")
    package = project.run().package
    assert package is not None
    model = bessemer.load(package)
    store = MonitorStore(tmp_path / "elsewhere.db")
    retrainer = Retrainer(project, store)
    earlier = retrainer.run(Reason("by_hand", "asked for"))
    attendant = Attendant(retrainer, store)
    store.keep(drifted(model))
    with exclusive(project.folder / ".bessemer" / "retrain.lock"):  # somebody is at it
        attendant.tick(model, "grows", str(package))
        assert attendant.wait() is None
    attendant.tick(model, "grows", str(package))
    assert attendant.wait() is None
    assert [one.id for one in retrainer.records.all()] == [earlier.id]


def test_after_a_promotion_the_new_package_is_watched(tmp_path: Path) -> None:
    write_project(tmp_path / "grows", rows(1000, 1))
    project = Project(tmp_path / "grows")
    store = MonitorStore(tmp_path / "monitor.db")
    retrainer = Retrainer(project, store)
    for outcome, champion, package in (
        ("promoted", "1", "1.1"),
        ("kept", "1.1", "1.2"),
        ("promoted", "1.1", "1.3"),
    ):
        named = {
            name: str(tmp_path / f"grows-{each}.bsm")
            for name, each in (("champion", champion), ("package", package))
        }
        one = retrainer.records.begin("grows", dt.datetime(2026, 3, 1), "drift", "", named["champion"], "1")
        retrainer.records.update(one, step="ended", outcome=outcome, package=named["package"])
    attendant = Attendant(retrainer, store)
    assert attendant.current(str(tmp_path / "grows-1.bsm")) == str(tmp_path / "grows-1.3.bsm")
    assert attendant.current(str(tmp_path / "other-1.bsm")) == str(tmp_path / "other-1.bsm")


def test_the_loop_serves_watches_trains_again_and_deploys(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(ROOT / "examples" / "closed-loop" / "loop.py"),
        "--folder",
        str(tmp_path / "loop"),
    ]
    done = subprocess.run([*command, "--months", "2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second = json.loads((tmp_path / "loop" / "build" / "loop.json").read_text())
    assert first["findings"]
    (one,) = first["retrained"]
    assert one["comparison"]["rows"] > 200
    served = "1.1" if one["outcome"] == "promoted" else "1"
    # a machine that is busy may make a trial of twenty requests slower than its gate has it
    assert one["outcome"] in ("promoted", "kept") or "95th percentile" in one["why"], one["why"]
    assert second["version"] == served
    assert 0.5 < first["measured"] < 1
    assert first["estimated"] is not None
