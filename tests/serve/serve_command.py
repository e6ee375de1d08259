"""`bessemer serve` as a process, as a user runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import yaml

from patience import PATIENCE, UNHURRIED

ADMIN = "serve:\n  access: {anonymous: [predict, admin]}\n"


class Server:
    """`bessemer serve` as a process."""

    def __init__(self, folder: Path, key: Path, *arguments: str, settings: str = ADMIN) -> None:
        project = {"data": "x.csv", "target": "y", **yaml.safe_load(settings)}
        project["serve"] = UNHURRIED | project["serve"]
        (folder / "bessemer.yaml").write_text(yaml.safe_dump(project))
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
        return children(self.process.pid)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE)


def children(pid: int) -> list[int]:
    """The processes that a process has begun, the oldest first: the workers of a server."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
