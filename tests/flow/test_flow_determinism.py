"""The same inputs give the same package, byte for byte; killed at any moment, a run goes on to the same."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests_support import write_project

pytestmark = pytest.mark.slow

EPOCH = {"SOURCE_DATE_EPOCH": "1700000000"}
KILLS = 10


def members(package: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(package) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def project(folder: Path, shared: Path) -> Path:
    train = {"learner": "lightgbm", "rounds": 120, "checkpoint": 20}
    return write_project(
        folder, data=str(shared / "adult" / "test.csv"), target="income", train=train,
        evaluate={"slices": ["sex", "race"]},
    )  # fmt: skip


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, shared: Path, bessemer: Any) -> dict[str, Any]:
    """An uninterrupted run: its package and how long it took."""
    folder = tmp_path_factory.mktemp("reference")
    project(folder, shared)
    started = time.monotonic()
    done = bessemer("run", "--json", cwd=folder, env=EPOCH)
    assert done.returncode == 0, done.stderr
    return {"seconds": time.monotonic() - started, "package": Path(json.loads(done.stdout)["package"])}


def test_two_runs_give_the_same_bytes(
    reference: dict[str, Any], tmp_path: Path, shared: Path, bessemer: Any
) -> None:
    project(tmp_path, shared)
    done = bessemer("run", "--json", cwd=tmp_path, env={**EPOCH, "PYTHONHASHSEED": "12345"})
    assert done.returncode == 0, done.stderr
    package = Path(json.loads(done.stdout)["package"])
    mine, theirs = members(package), members(reference["package"])
    assert [name for name in theirs if mine[name] != theirs[name]] == []
    same = package.read_bytes() == reference["package"].read_bytes()
    assert same, "the members are the same, and the file is not"


def test_the_thread_count_changes_nothing(
    reference: dict[str, Any], tmp_path: Path, shared: Path, bessemer: Any
) -> None:
    path = project(tmp_path, shared)
    path.write_text(json.dumps({**json.loads(path.read_text()), "resources": {"threads": 1}}))
    done = bessemer("run", "--json", cwd=tmp_path, env=EPOCH)
    assert done.returncode == 0, done.stderr
    mine, theirs = members(Path(json.loads(done.stdout)["package"])), members(reference["package"])
    assert [name for name in theirs if mine[name] != theirs[name]] in (
        [],
        ["manifest.json", "provenance.json", "manifest.sig"],
    )


def test_time_stands_in_the_manifest_alone(
    reference: dict[str, Any], tmp_path: Path, shared: Path, bessemer: Any
) -> None:
    project(tmp_path, shared)
    done = bessemer("run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    mine, theirs = members(Path(json.loads(done.stdout)["package"])), members(reference["package"])
    assert {name for name in theirs if mine[name] != theirs[name]} == {"manifest.json", "manifest.sig"}
    a, b = json.loads(mine["manifest.json"]), json.loads(theirs["manifest.json"])
    assert a.pop("created") != b.pop("created")
    assert a == b


def test_killed_ten_times(reference: dict[str, Any], tmp_path: Path, shared: Path, bessemer: Any) -> None:
    """SIGKILL at random moments, spread over all stages; each time the run goes on and ends in the same bytes."""
    chance = random.Random(11)
    kills = folder_number = 0
    interrupted: set[str] = set()
    while kills < KILLS:
        folder_number += 1
        folder = tmp_path / str(folder_number)
        project(folder, shared)
        while True:
            command = [sys.executable, "-m", "bessemer", "run", "--json"]
            run = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **EPOCH}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                text=True, start_new_session=True,
            )  # fmt: skip
            try:
                wait = chance.uniform(0.3, 0.8 * reference["seconds"]) if kills < KILLS else 600
                _, log = run.communicate(timeout=wait)
                assert run.returncode == 0, log
                break
            except subprocess.TimeoutExpired:
                os.killpg(run.pid, signal.SIGKILL)
                _, log = run.communicate()
                kills += 1
                started = [json.loads(line)["stage"] for line in log.splitlines() if '"stage_start"' in line]
                interrupted.update(started[-1:])
        (package,) = (folder / "build").glob("*.bsm")
        same = package.read_bytes() == reference["package"].read_bytes()
        assert same
    assert len(interrupted) >= 3, f"the kills hit {sorted(interrupted)} only"
    listed = json.loads(bessemer("runs", "--json", cwd=tmp_path / "1").stdout)
    assert {"killed", "done"} & {run["status"] for run in listed}
