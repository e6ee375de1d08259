"""A process that delivers segments, seen from the server: it is started, and what it did is collected."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bessemer.serve.log.locks import held
from bessemer.serve.log.spec import LogSpec


class Helper:
    """`roller SETTINGS [SINK]`, once at a time.

    not_before: when (monotonic) it may be started again, after a failure.
    """

    def __init__(self, spec: LogSpec, lock: Path, sink: str = "") -> None:
        self.not_before = 0.0
        self._arguments = [spec.model_dump_json(), *([sink] if sink else [])]
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def free(self) -> bool:
        """Whether it may be started: it does not run, nor does that of another server on the folder."""
        return self._process is None and not held(self._lock)

    def start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own module and settings
            [sys.executable, "-P", "-m", "bessemer.serve.log.roller", *self._arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the server's; what it has begun it finishes
        )

    def collect(self, wait: float = 0.0) -> dict[str, Any] | None:
        """What it did (`Rolled`), where it has ended since, or ends within so many seconds."""
        if self._process is None:
            return None
        try:
            output, _ = self._process.communicate(timeout=max(wait, 0.001))
        except subprocess.TimeoutExpired:
            return None
        code, self._process = self._process.returncode, None
        if code or not output:
            return {"failures": 1, "error": f"the roller ended with {code}"}
        done: dict[str, Any] = json.loads(output)
        return done
