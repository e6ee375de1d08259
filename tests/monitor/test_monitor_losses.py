"""The disk, the collector or a process is lost: no acknowledged label is, and predictions go on. All is real."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alert_support import Listener, listening
from served_support import Client, Process, serving, watching

from bessemer.monitor.alerts.open_alerts import window_notice
from bessemer.monitor.alerts.outbox import Outbox
from bessemer.monitor.alerts.spec import AlertsSpec
from bessemer.monitor.store import MonitorStore
from bessemer.package.prediction_log.read import read_labels, read_log
from patience import PATIENCE, UNHURRIED, until

pytestmark = pytest.mark.slow


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


def project(folder: Path, *alerts: Any, serve: Any = None, log: str = "log", **monitor: Any) -> None:
    settings = {
        "data": "none.csv",
        "target": "churned",
        "serve": {**UNHURRIED, "log": {"folder": log, "roll_age": "1s"}, **(serve or {})},
        "monitor": {
            "every": "1s",
            "rows": 20,
            "again": [],
            "watchers": [],
            "detectors": ["chi_square"],
            "alerts": list(alerts),
            **monitor,
        },
    }
    (folder / "bessemer.yaml").write_text(json.dumps(settings), "utf-8")


def logged(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_log(folder, "tiny").read_all().to_pylist()
    return rows


def nothing_lost(folder: Path, clients: list[Client]) -> None:
    """Every prediction and label that was acknowledged is there; every prediction once."""
    rows = logged(folder)
    times = Counter(row["prediction_id"] for row in rows)
    assert max(times.values()) == 1
    assert not [name for client in clients for name in client.predicted if name not in times]
    labels = {row["prediction_id"]: row["label"] for row in rows}
    assert not [name for client in clients for name in client.labelled if labels[name] != "yes"]


def follow_on_each_other(store: Path) -> list[Any]:
    """The windows that were kept: each begins where the one before ended."""
    windows = MonitorStore(store).windows("tiny")
    assert all(one.end == other.start for one, other in itertools.pairwise(windows))
    assert all(window.looks == 1 for window in windows)
    return windows


def test_kills_at_random_moments(package: Path, tmp_path: Path, listener: Listener) -> None:
    """Server and monitor are killed again and again, under load: all labels are there, windows once, notices too."""
    chance = random.Random(11)
    hook = {"webhook": {"url": listener.url, "timeout": "1s", "send": ["window", "finding", "resolved"]}}
    # answers that come late make kills between delivery and its being noted likely
    listener.answer = lambda request: (time.sleep(chance.random() * 0.2) or 200, b"")  # type: ignore[func-returns-value]
    project(tmp_path, hook)
    database = tmp_path / ".bessemer" / "monitor.db"
    clients: list[Client] = []
    for number in range(3):
        kept = len(MonitorStore(database).windows("tiny")) if database.exists() else 0
        server, port = serving(tmp_path, package)
        monitor = watching(tmp_path, package)
        client = Client(port, f"r{number}")
        clients.append(client)
        thread = client.start()
        heard = len(listener.requests)
        until(lambda: len(client.labelled) > 100, "labels")  # noqa: B023
        until(database.exists, "store")
        until(lambda: len(MonitorStore(database).windows("tiny")) > kept, "a window")  # noqa: B023
        until(lambda: len(listener.requests) > heard, "notices")  # noqa: B023
        time.sleep(chance.random())
        for process in chance.sample([server, monitor], 2):
            process.kill()
            time.sleep(chance.random() * 0.3)
        thread.join(PATIENCE)
    nothing_lost(tmp_path / "log", clients)
    finish(tmp_path, package)
    windows = follow_on_each_other(database)
    assert len(windows) > 2
    heard_ids = set(listener.ids())
    outbox = Outbox(MonitorStore(database), AlertsSpec(to=[hook]))
    told = {window_notice(window, "").id for window in windows} | {each.id for each in outbox.notices()}
    assert heard_ids == told, "no window and no finding that nobody heard of, and none that is not kept"
    subjects = Counter(each.subject for each in outbox.notices() if each.kind == "finding")
    assert subjects
    assert set(subjects.values()) == {1}, "the constant rows are told once a column, over all kills"
    nothing_lost(tmp_path / "log", clients)


def finish(folder: Path, package: Path) -> None:
    """Deliver until nothing waits: claims of the killed end by themselves."""
    outbox = Outbox(MonitorStore(folder / ".bessemer" / "monitor.db"), AlertsSpec())

    def waiting() -> bool:
        return any(each.waiting for each in outbox.deliveries())

    while waiting():  # again: it may keep one more window between the look and its kill
        with watching(folder, package):
            until(lambda: not waiting(), "deliveries")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    assert shutil.disk_usage(disk).free == 0
    return filler


def test_the_logs_disk_is_full_and_has_room_again(package: Path, tmp_path: Path, small_disk: Path) -> None:
    """Predictions go on; labels are refused, not lost; with room again all is as before."""
    project(tmp_path, log=str(small_disk / "log"))
    server, port = serving(tmp_path, package)
    with server:
        client = Client(port, "c")
        before = [client.ask() for _ in range(50)]
        assert set(before) == {200}
        assert client.tell(client.predicted[0]) == 200
        filler = fill(small_disk)
        until(lambda: (client.ask(), client.tell(client.predicted[1]))[1] == 503, "the disk is full")
        assert {client.ask() for _ in range(200)} == {200}
        told = {client.tell(name) for name in client.predicted[2:40]}
        assert told <= {200, 503}, "what a roller has let go of may be room for some"
        filler.unlink()
        until(lambda: client.tell(client.predicted[40]) == 200, "the disk has room")
        after = [client.ask() for _ in range(20)]
        assert set(after) == {200}
        assert {client.tell(name) for name in client.predicted[-20:]} == {200}
    rows = {row["prediction_id"]: row["label"] for row in logged(small_disk / "log")}
    assert all(rows[name] == "yes" for name in client.labelled if name in rows)
    assert set(client.predicted[:50]) | set(client.predicted[-20:]) <= set(rows)
    labels, _ = read_labels(small_disk / "log", "tiny", 0, time.time() + 60)
    assert labels == len(client.labelled), "those that were acknowledged, and none that was refused"


def test_the_monitors_disk_is_full_and_has_room_again(
    package: Path, tmp_path: Path, small_disk: Path
) -> None:
    """It says so and goes on by itself; no window is left out or looked at twice."""
    project(tmp_path, store=str(small_disk / "monitor.db"))
    server, port = serving(tmp_path, package)
    client = Client(port, "c")
    with server, watching(tmp_path, package) as monitor:
        client.start()
        store = until(
            lambda: (small_disk / "monitor.db").exists() and MonitorStore(small_disk / "monitor.db"), "store"
        )
        until(lambda: len(store.windows("tiny")) >= 2, "windows")
        filler = fill(small_disk)
        log = tmp_path / "monitor.log"
        until(lambda: "windows cannot be kept" in log.read_text("utf-8"), "it is said")
        assert monitor.process.poll() is None
        asked = len(client.labelled)
        until(lambda: len(client.labelled) > asked + 50, "labels are taken all the same")
        filler.unlink()
        had = len(store.windows("tiny"))
        until(lambda: len(store.windows("tiny")) >= had + 3, "windows after")
        client.stop()
    follow_on_each_other(small_disk / "monitor.db")
    said = re.findall("windows (?:cannot be|are) kept", log.read_text("utf-8"))
    assert all(one != other for one, other in itertools.pairwise(said)), "it is said once, not with every try"


class Silent:
    """Takes connections and what is sent, and never answers."""

    def __enter__(self) -> str:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(512)  # the system takes the connections, and nobody reads them
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def memory(process: Process) -> int:
    """Resident bytes of a server with its workers, without what those have begun for a while."""
    pid = process.process.pid
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * os.sysconf(
        "SC_PAGE_SIZE"
    )


def test_a_collector_and_a_receiver_that_hang(package: Path, tmp_path: Path, listener: Listener) -> None:
    """Predictions go on in bounded memory, watching goes on, and whoever listens hears of every window."""
    with Silent() as silent:
        hang = {"webhook": {"name": "hangs", "url": silent, "timeout": "1s", "send": ["window"]}}
        hook = {"webhook": {"url": listener.url, "send": ["window"]}}
        telemetry = {"otlp": {"endpoint": silent, "sample": "100%", "interval": "1s"}}
        project(tmp_path, hang, hook, serve={"telemetry": telemetry})
        server, port = serving(tmp_path, package)
        with server, watching(tmp_path, package):
            client = Client(port, "c")
            for _ in range(2500):  # more than the queue of spans holds
                assert client.ask() == 200
            warm = memory(server)
            for _ in range(3000):
                assert client.ask() == 200
            grown = memory(server) - warm
            assert grown < 10 * 2**20, f"{grown / 2**20:.0f} MB for 3,000 requests"
            until(lambda: client.ask() == 200 and len(listener.ids()) >= 4, "windows that were told")
    waits = {
        each.sink: each
        for each in Outbox(MonitorStore(tmp_path / ".bessemer" / "monitor.db"), AlertsSpec()).deliveries()
    }
    assert waits["hangs"].delivered == 0
    assert waits["hangs"].waiting >= 4
    nothing_lost(tmp_path / "log", [client])
