"""`bessemer serve` as a process, in an environment of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

from patience import PATIENCE


class Started:
    """Started on entry, which gives its URL, and stopped at the end."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        command = [sys.executable, "-m", "bessemer", "serve", "--json", *arguments]
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIP_", "SAGEMAKER_"))}
        self.process = subprocess.Popen(
            command,
            env={**clean, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: dict[str, Any] = {}

    def __enter__(self) -> str:
        self.said = self._read()
        return str(self.said["url"])

    def _read(self) -> dict[str, Any]:
        """The JSON object that is printed when requests are taken."""
        assert self.process.stdout
        text = ""
        for line in self.process.stdout:
            text += line
            try:
                return dict(json.loads(text))
            except ValueError:
                continue
        raise AssertionError(self.process.communicate())

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0
