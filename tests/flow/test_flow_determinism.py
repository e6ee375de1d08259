"""The same inputs give the same package, byte for byte; killed at any moment, a run goes on to the same."""

from __future__ import annotations

import itertools
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
from tests_support import first_rows, write_project

pytestmark = pytest.mark.slow

EPOCH = {"SOURCE_DATE_EPOCH": "1700000000"}
#: Runs that a machine may get through before they can be killed.
TRIES = 5


def members(package: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(package) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def project(folder: Path, shared: Path) -> Path:
    train = {"learner": "lightgbm", "rounds": 120, "checkpoint": 20}
    return write_project(
        folder, data=first_rows(shared / "adult" / "test.csv", folder, 4000), target="income", train=train,
        evaluate={"slices": ["sex", "race"]},
    )  # fmt: skip


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, shared: Path, bessemer: Any) -> dict[str, Any]:
    """An uninterrupted run: its package, and how long each stage took."""
    folder = tmp_path_factory.mktemp("reference")
    project(folder, shared)
    done = bessemer("run", "--json", cwd=folder, env=EPOCH)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stderr.splitlines() if '"stage_end"' in line]
    seconds = {event["stage"]: event["seconds"] for event in events}
    return {"seconds": seconds, "package": Path(json.loads(done.stdout)["package"])}


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


def begun(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bessemer", "run", "--json"]
    return subprocess.Popen(
        command, cwd=folder, env={**os.environ, **EPOCH}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip


def killed_in(stage: str, after: float, folder: Path) -> bool:
    """Whether a run was killed so many seconds after it had begun a stage; else it was through before."""
    with begun(folder) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if '"stage_start"' in line and json.loads(line)["stage"] == stage:
                break
        else:
            raise AssertionError(f"the run did not come to {stage}")
        time.sleep(after)
        os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode in (0, -signal.SIGKILL)
    return run.returncode != 0


def test_killed_in_every_stage(
    reference: dict[str, Any], tmp_path: Path, shared: Path, bessemer: Any
) -> None:
    """SIGKILL at a random moment of each stage in turn; the next run goes on, and the last ends in the same bytes."""
    chance, folders = random.Random(11), itertools.count(1)

    def another() -> Path:
        project(folder := tmp_path / str(next(folders)), shared)
        return folder

    folder = another()
    assert len(reference["seconds"]) >= 10
    for stage, seconds in reference["seconds"].items():
        for _ in range(TRIES):
            if killed_in(stage, chance.uniform(0, 0.5 * seconds), folder):
                break
            check_same(folder, reference)
            folder = another()
        else:
            raise AssertionError(f"{stage} was through before it could be killed")
    with begun(folder) as run:
        _, log = run.communicate(timeout=600)
    assert run.returncode == 0, log
    check_same(folder, reference)
    listed = json.loads(bessemer("runs", "--json", cwd=folder).stdout)
    assert {run["status"] for run in listed} == {"killed", "done"}


def check_same(folder: Path, reference: dict[str, Any]) -> None:
    (package,) = (folder / "build").glob("*.bsm")
    same = package.read_bytes() == reference["package"].read_bytes()
    assert same
