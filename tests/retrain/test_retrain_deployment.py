"""A winner goes into service at a real server, once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from retrain_support import rows, write_project

from bessemer.api import Project
from bessemer.core.control import ask
from bessemer.core.errors import UsageError
from bessemer.monitor.store import MonitorStore
from bessemer.retrain.deployment import served
from bessemer.retrain.retrainer import Retrainer
from bessemer.retrain.triggers import Reason
from patience import PATIENCE, UNHURRIED, until
from ports import free_port

pytestmark = pytest.mark.slow
BY_HAND = Reason("by_hand", "asked for")


class Served:
    """A project whose first model is served, with more rows of another relation since."""

    def __init__(self, folder: Path, **deploy: Any) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        path = write_project(folder, rows(2000, 1), on=["drift"], deploy={"server": self.url, **deploy})
        project = json.loads(path.read_text())
        project["serve"] = {**UNHURRIED, "port": port, "access": {"anonymous": ["predict", "admin"]}}
        path.write_text(json.dumps(project))
        package = Project(folder).run().package
        assert package is not None
        self.folder, self.package = folder, package
        before = pq.read_table(folder / "data.parquet")
        pq.write_table(pa.concat_tables([before, rows(6000, 2, turned=True)]), folder / "data.parquet")
        command = [sys.executable, "-m", "bessemer", "serve", str(package), "--workers", "1"]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        until(self.ready, "the server")

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/v2/health/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            assert self.process.poll() is None, "the server has ended"
            return False

    def versions(self) -> dict[str, float]:
        found = ask(self.url, "", "GET", "/deployments")["models"]["grows"]["versions"]
        return {name: each["share"] for name, each in found.items()}

    def retrainer(self) -> Retrainer:
        return Retrainer(Project(self.folder), MonitorStore(self.folder / ".bessemer" / "monitor.db"))

    def predict(self) -> None:
        body = json.dumps({"rows": [{"a": 0.1, "b": 0.2}]}).encode()
        request = urllib.request.Request(f"{self.url}/predict", body, {"content-type": "application/json"})
        urllib.request.urlopen(request, timeout=PATIENCE).read()


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    made: list[Served] = []

    def start(**deploy: Any) -> Served:
        made.append(Served(tmp_path / "grows", **deploy))
        return made[-1]

    yield start
    for one in made:
        one.process.send_signal(signal.SIGTERM)
        one.process.wait(PATIENCE)


def test_a_winner_takes_all_requests_after_its_trial(serving: Callable[..., Served]) -> None:
    one = serving(canary=[0.5], requests=40, seconds=0, latency=1e9)
    assert one.retrainer().champion() == one.package
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.wait(0.02):
            one.predict()

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        done = one.retrainer().run(BY_HAND)
    finally:
        stop.set()
        asking.join()
    assert done.outcome == "promoted", done.why
    assert one.versions()["1.1"] == 1
    assert one.retrainer().champion() == Path(done.package)


def test_what_was_taken_back_is_not_given_again(serving: Callable[..., Served]) -> None:
    """Killed while its trial went on, and somebody has rolled it back since."""
    one = serving(canary=[0.5], requests=10_000)
    command = [sys.executable, "-m", "bessemer", "retrain", str(one.folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    until(lambda: "1.1" in one.versions(), "the trial")
    process.kill()
    process.wait()
    ask(one.url, "", "POST", "/deployments/grows/rollback")
    done = one.retrainer().run(BY_HAND)
    assert done.version == "1.1"
    assert done.outcome == "rolled_back"
    assert one.versions().get("1.1", 0) == 0
    assert one.versions()["1"] == 1


def test_a_package_that_was_written_over_is_no_champion(serving: Callable[..., Served]) -> None:
    one = serving()
    Project(one.folder).run(force=["train"])  # the same version in the same file, of other rows
    with pytest.raises(UsageError, match="no longer the package that the server has loaded"):
        served(one.retrainer().spec.deploy, "grows")  # type: ignore[arg-type]
