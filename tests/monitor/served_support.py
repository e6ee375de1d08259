"""`bessemer serve` and `bessemer monitor` as processes that may be killed, and a client that notes promises."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from patience import PATIENCE

ROW = {"tenure": 70, "monthly charges": 20.5, "autopay": True, "contract": "One year", "désactivé": None}


class Process:
    """A command in a session of its own: a kill ends it with all that it has started, at once."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._errors = (folder / f"{arguments[0]}.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bessemer", *arguments],
            cwd=folder, stdout=subprocess.PIPE, stderr=self._errors, text=True, start_new_session=True,
        )  # fmt: skip

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        self._errors.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def serving(folder: Path, package: Path) -> tuple[Process, int]:
    """A server that takes requests, and its port."""
    server = Process(folder, "serve", str(package), "--json", "--port", "0", "--workers", "1")
    assert server.process.stdout
    text = ""
    for line in server.process.stdout:
        text += line
        try:
            return server, int(json.loads(text)["url"].rpartition(":")[2])
        except ValueError:
            continue
    server.kill()
    raise AssertionError((folder / "serve.log").read_text("utf-8"))


def watching(folder: Path, package: Path, *arguments: str) -> Process:
    return Process(folder, "monitor", "watch", str(package), *arguments)


class Client:
    """Asks one after the other, and says what was true of each; what was answered with 200 was promised.

    answers: how often there was which status, by route.
    """

    def __init__(self, port: int, name: str) -> None:
        self.predicted: list[str] = []
        self.labelled: list[str] = []
        self.answers: dict[tuple[str, int], int] = {}
        self._port, self._name, self._next = port, name, 0
        self._end = threading.Event()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def ask(self) -> int:
        """Ask for a prediction; the status."""
        self._next += 1
        name = f"{self._name}-{self._next}"
        status = self._post("/predict", {"rows": [ROW]}, {"x-request-id": name})
        if status == 200:
            self.predicted.append(name)
        return status

    def tell(self, name: str) -> int:
        """Say what was true of a prediction; the status."""
        status = self._post("/feedback", {"labels": [{"prediction_id": name, "label": "yes"}]}, {})
        if status == 200:
            self.labelled.append(name)
        return status

    def _post(self, path: str, value: Any, headers: dict[str, str]) -> int:
        headers = {"content-type": "application/json", **headers}
        self._connection.request("POST", path, json.dumps(value), headers)
        answer = self._connection.getresponse()
        answer.read()
        key = (path, answer.status)
        self.answers[key] = self.answers.get(key, 0) + 1
        return answer.status

    def start(self) -> threading.Thread:
        """Go on until the server is gone, or `stop`."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        try:
            while not self._end.is_set():
                if self.ask() == 200:
                    self.tell(self.predicted[-1])
        except (OSError, http.client.HTTPException):
            return  # it was killed: what it had not answered, it had not promised

    def stop(self) -> None:
        self._end.set()
