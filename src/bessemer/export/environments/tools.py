"""Running other programs: without a shell, with their last words where they fail."""

from __future__ import annotations

import os
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bessemer.core.redaction import hidden
from bessemer.export.errors import ToolError

#: Lines of a tool's output that an error shows.
_LAST = 15
#: What a tool is not told of: it has an environment of its own.
_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONSTARTUP")


def run_tool(
    command: Sequence[str],
    *,
    folder: Path | None = None,
    tell: Callable[[str], None] | None = None,
    environ: Mapping[str, str] | None = None,
    seconds: float = 3600,
    given: Path | None = None,
) -> str:
    """Run a program to its end.

    Args:
        tell: is given each line that it says. environ: variables beside this process's.
        seconds: it is ended after them. given: a file that is its input; else it has none.

    Returns:
        what it said, both its channels.

    Raises:
        ToolError: it is not there, failed, or took too long.
    """
    own = {name: value for name, value in os.environ.items() if name not in _OURS} | dict(environ or {})
    said: deque[str] = deque(maxlen=10_000)
    source = subprocess.DEVNULL if given is None else os.open(given, os.O_RDONLY)
    try:
        process = subprocess.Popen(  # noqa: S603 -- no shell, and the words are ours
            list(command),
            cwd=folder,
            env=own,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise ToolError(f"cannot start '{command[0]}'", why=str(error), fix="install it") from None
    finally:
        if given is not None:
            os.close(source)
    with process, _ended_after(process, seconds):
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.rstrip())
            if tell is not None and line.strip():
                tell(line.rstrip())
    if process.returncode != 0:
        last = hidden("\n".join([line for line in said if line.strip()][-_LAST:]))
        raise ToolError(
            f"'{Path(command[0]).name}' ended with {process.returncode}", why=last or "it said nothing"
        )
    return "\n".join(said)


class _ended_after:  # noqa: N801
    """Ends a process that takes longer."""

    def __init__(self, process: subprocess.Popen[str], seconds: float) -> None:
        import threading

        self._timer = threading.Timer(seconds, process.kill)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
