"""A server of several processes: one port, workers that die and come back, swaps that lose nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from serve_command import Server
from serve_packages import write_public

import patience
from patience import PATIENCE, until

pytestmark = pytest.mark.slow


def deploy(one: Server, package: str, **how: Any) -> httpx.Response:
    return patience.post(f"{one.url}/deployments", json={"package": package, **how})


def test_workers_share_a_port_and_come_back(server: Any, versions: Any) -> None:
    one = server(versions("1.0.0"), "--workers", "2")
    assert one.said["models"] == [{"model": "tiny", "version": "1.0.0"}]
    before = one.workers()
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    until(lambda: comes_back(one, before[0]))
    assert f"worker 0 (process {before[0]}) was killed by SIGKILL" in one.told
    until(lambda: patience.get(f"{one.url}/healthz").status_code == 200)
    assert one.stop() == 0


def comes_back(one: Server, killed: int) -> bool:
    """Whether another is in the place of one that was killed."""
    workers = one.workers()
    return len(workers) == 2 and killed not in workers


def test_a_worker_ends_with_its_supervisor(server: Any, versions: Any) -> None:
    one = server(versions("1.0.0"), "--workers", "2")
    workers = one.workers()
    one.process.kill()
    until(lambda: not any(_alive(pid) for pid in workers))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Load:
    """Clients that ask all the time, each on a connection of its own."""

    def __init__(self, url: str, clients: int) -> None:
        self.url, self.asked, self.bad = url, 0, []  # type: ignore[var-annotated]
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def _run(self) -> None:
        host, port = self.url.removeprefix("http://").split(":")
        body = b'{"rows": [{"tenure": 8}]}'
        message = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        message += b"content-length: %d\r\n\r\n%b" % (len(body), body)
        with socket.create_connection((host, int(port))) as client:
            while not self._stop.is_set():
                client.sendall(message)
                answer = client.recv(1 << 16)
                with self._lock:
                    self.asked += 1
                    if not answer.startswith(b"HTTP/1.1 200 "):
                        self.bad.append(answer[:200])
                if not answer:
                    return

    def more(self) -> None:
        """Wait for more answers."""
        before = self.asked
        until(lambda: self.asked > before + 200 or self.bad)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_a_swap_under_load_fails_no_request(server: Any, versions: Any) -> None:
    one = server(versions("1.0.0"), "--workers", "2")
    with Load(one.url, 8) as load:
        for number in range(1, 6):
            load.more()
            assert deploy(one, versions(f"1.{number}.0")).status_code == 200
        load.more()
        assert patience.post(f"{one.url}/deployments/tiny/rollback").status_code == 200
        load.more()
    assert not load.bad
    assert patience.post(f"{one.url}/predict", json={"tenure": 8}).json()["model"]["version"] == "1.4.0"


def test_the_state_is_kept_over_a_restart(server: Any, versions: Any, tmp_path: Path) -> None:
    folder = str(tmp_path / "state")
    one = server(versions("1.0.0"), "--workers", "2", "--state", folder)
    assert deploy(one, versions("1.1.0"), mode="split", weight=0.5).status_code == 200
    assert one.stop() == 0
    again = server("--state", folder, "--workers", "1")
    found = patience.get(f"{again.url}/deployments").json()["models"]["tiny"]["versions"]
    assert {version: each["share"] for version, each in found.items()} == {"1.0.0": 0.5, "1.1.0": 0.5}


def test_what_cannot_start_says_why(server: Any, versions: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.bsm"
    broken.write_bytes(b"no package")
    one = server(str(broken), "--workers", "2")
    assert one.process.wait(PATIENCE) == 5
    assert "error: " in one.told
    assert "Traceback" not in one.told


def test_a_taken_port_is_told(versions: Any, tmp_path: Path) -> None:
    key = write_public(tmp_path / "key.pub")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [
            sys.executable,
            "-m",
            "bessemer",
            "serve",
            versions("1.0.0"),
            "--port",
            port,
            "--key",
            str(key),
        ]
        found = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path)
    assert found.returncode == 6
    assert f"cannot listen on 127.0.0.1:{port}" in found.stderr
