"""`bessemer serve` as a process, as a user runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ADMIN = "serve:\n  access: {anonymous: [predict, admin]}\n"


class Server:
    """`bessemer serve` as a process."""

    def __init__(self, folder: Path, key: Path, *arguments: str, settings: str = ADMIN) -> None:
        (folder / "bessemer.yaml").write_text(f"data: x.csv\ntarget: y\n{settings}")
        command = [sys.executable, "-m", "bessemer", "serve", *arguments, "--port", "0", "--json"]
        command += ["--project", str(folder / "bessemer.yaml"), "--key", str(key)]
        self.errors = (folder / "errors.txt").open("w+")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.errors, text=True, cwd=folder
        )
        assert self.process.stdout
        lines = iter(self.process.stdout.readline, "")
        text = ""
        for line in lines:
            text += line
            if line == "}\n":
                break
        self.said = json.loads(text) if text else {}
        self.url = self.said.get("url", "")

    @property
    def told(self) -> str:
        self.errors.seek(0)
        return self.errors.read()

    def workers(self) -> list[int]:
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in text.split()]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)
