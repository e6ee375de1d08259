"""A process that ends when its time is over, and with ours however ours ends."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO

_POLL_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1


def run_child(
    command: Sequence[str],
    log: IO[bytes],
    until: float,
    tick: Callable[[], None],
    environment: Mapping[str, str],
) -> int | None:
    """Run a command as the head of a process group of its own, which is killed as a whole at the end.

    It holds the reading end of a pipe as its standard input: see `die_with_parent`.

    Args:
        log: what it says. until: by `time.monotonic()`. tick: called while it runs.

    Returns:
        its exit code; None where its time was over.
    """
    process = subprocess.Popen(  # noqa: S603 - our own module, no shell
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        while time.monotonic() < until:
            tick()
            with suppress(subprocess.TimeoutExpired):
                return process.wait(max(0.0, min(_POLL_SECONDS, until - time.monotonic())))
        return None
    finally:
        with suppress(ProcessLookupError, PermissionError):  # nobody is left in it
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def die_with_parent() -> None:
    """In a child of `run_child`: kill its whole group as soon as the parent is gone, by SIGKILL too.

    The kernel closes the parent's end of the pipe, whatever the parent died of.
    """

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def killed_with_its_maker() -> Callable[[], None] | None:
    """A `preexec_fn` for a child of a child: where both of us are killed at once, the kernel kills it too (Linux).

    The kernel looks at the thread that started it, so start it from one that stays.
    """
    import ctypes
    import sys

    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork: nothing is loaded after it
    return lambda: prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
