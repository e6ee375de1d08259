"""What a supervisor must live through: workers that come back, that talk too much, that are told to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from serve_command import ADMIN, Server, children
from serve_packages import write_public

import patience
from patience import PATIENCE, until

pytestmark = pytest.mark.slow


def imports(pid: int) -> bool:
    """Whether a process has opened a library of ours: it is beyond the start of Python."""
    try:
        return "onnxruntime" in Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False


def version(one: Server) -> str:
    """The version that answers; '' while nothing does."""
    with contextlib.suppress(httpx.TransportError):
        answer = patience.post(f"{one.url}/predict", json={"tenure": 8})
        return str(answer.json()["model"]["version"]) if answer.status_code == 200 else ""
    return ""


def test_a_worker_that_comes_back_takes_what_is_deployed_now(
    server: Any, versions: Any, tmp_path: Path
) -> None:
    first = tmp_path / "first.bsm"
    first.write_bytes(Path(versions("1.0.0")).read_bytes())
    one = server(str(first), "--workers", "1")
    told = patience.post(f"{one.url}/deployments", json={"package": versions("1.1.0")})
    assert told.status_code == 200
    first.unlink()  # nobody needs it any more
    (before,) = one.workers()
    os.kill(before, signal.SIGKILL)
    until(lambda: version(one) != "" and before not in one.workers())
    assert version(one) == "1.1.0"
    assert patience.get(f"{one.url}/deployments").json()["generation"] == told.json()["generation"]
    assert one.stop() == 0


def test_what_a_library_prints_does_not_end_the_server(versions: Any, tmp_path: Path) -> None:
    noise = tmp_path / "noise"
    noise.mkdir()
    (noise / "sitecustomize.py").write_text(
        "import os, sys, threading, time\n"
        "if 'bessemer.serve.worker' in sys.orig_argv:\n"
        "    os.write(1, b'[LightGBM] [Warning] a word\\n7\\n')\n"
        "    def later():\n"
        "        while True:\n"
        "            time.sleep(0.01)\n"
        "            os.write(1, b'x' * 4096)\n"
        "    threading.Thread(target=later, daemon=True).start()\n"
    )
    (tmp_path / "bessemer.yaml").write_text(f"data: x.csv\ntarget: y\n{ADMIN}")
    key = write_public(tmp_path / "key.pub")
    command = [sys.executable, "-m", "bessemer", "serve", versions("1.0.0"), "--port", "0", "--json"]
    command += ["--workers", "1", "--project", str(tmp_path / "bessemer.yaml"), "--key", str(key)]
    with (tmp_path / "errors.txt").open("w") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(noise)},
        )
        try:
            assert process.stdout
            said = next((line for line in process.stdout if '"url"' in line), "")
            url = said.split('"')[3]
            until(lambda: Path(errors.name).stat().st_size > 10 * 4096, "what it prints")
            assert patience.post(f"{url}/predict", json={"tenure": 8}).status_code == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


#: What a server has done when the signal comes; it may have done more by then.
MOMENTS: dict[str, Callable[[int], Any]] = {
    "nothing": lambda pid: True,
    "its first worker": children,
    "that is at its imports": lambda pid: any(imports(each) for each in children(pid)),
    "all workers": lambda pid: len(children(pid)) == 3,
    "all at their imports": lambda pid: sum(map(imports, children(pid))) == 3,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_during_the_start_ends_it(moment: str, versions: Any, tmp_path: Path) -> None:
    key = write_public(tmp_path / "key.pub")
    command = [sys.executable, "-m", "bessemer", "serve", versions("1.0.0"), "--port", "0"]
    command += ["--workers", "3", "--key", str(key)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        until(lambda: MOMENTS[moment](process.pid), moment)
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode in (0, -signal.SIGTERM), told
    assert "Traceback" not in told[1]


def test_two_servers_do_not_share_a_state(server: Any, versions: Any, tmp_path: Path) -> None:
    folder = str(tmp_path / "state")
    one = server(versions("1.0.0"), "--workers", "1", "--state", folder)
    other = server("--workers", "1", "--state", folder)
    assert other.process.wait(PATIENCE) == 6
    assert "another server keeps its state in" in other.told
    assert patience.post(f"{one.url}/predict", json={"tenure": 8}).status_code == 200
    assert one.stop() == 0
