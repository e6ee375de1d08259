"""The lock: one holder; gone with its process, however that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bessemer.core.errors import EnvironmentFault
from bessemer.core.lock import exclusive

HOLDER = """
import sys, time
from pathlib import Path
from bessemer.core.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".bessemer" / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(EnvironmentFault, match=f"process {holder.pid}"), exclusive(path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with exclusive(path):
        assert path.exists()


def test_waiting_for_the_other(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = HOLDER.replace("time.sleep(60)", "time.sleep(0.5)")
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with exclusive(path, wait=20):
            assert holder.wait(timeout=20) == 0
