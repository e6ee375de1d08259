"""The lock: one holder; gone with its process, however that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic
from types import SimpleNamespace

import pytest

from bessemer.core.errors import EnvironmentFault
from bessemer.core.lock import exclusive

#: Holds the lock until its input ends.
HOLDER = """
import sys
from pathlib import Path
from bessemer.core.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def held(path: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdin=pipe, stdout=pipe, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".bessemer" / "lock"
    with held(path) as holder:
        with pytest.raises(EnvironmentFault, match=f"process {holder.pid}"), exclusive(path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with exclusive(path):
        assert path.exists()


def test_waiting_for_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, waits = tmp_path / "lock", []
    with held(path) as holder:
        assert holder.stdin is not None

        def asleep(seconds: float) -> None:
            """The other lets go while it is waited for."""
            waits.append(seconds)
            if len(waits) == 2:
                holder.stdin.close()  # type: ignore[union-attr]
                assert holder.wait(300) == 0

        monkeypatch.setattr("bessemer.core.lock.time", SimpleNamespace(monotonic=monotonic, sleep=asleep))
        with exclusive(path, wait=300):
            assert len(waits) == 2
