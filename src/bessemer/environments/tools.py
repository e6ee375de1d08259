"""Running other programs: without a shell, with their last words where they fail."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bessemer.core.redaction import hidden
from bessemer.environments.errors import ToolEnded, ToolError

#: Lines of a tool's output that an error shows.
_LAST = 15
#: What programs say where they got no memory.
_NO_MEMORY = ("MemoryError", "bad_alloc", "Cannot allocate memory")
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
        seconds: it is ended after them, with all that it started. given: a file that is its input; else it has none.

    Returns:
        what it said, both its channels.

    Raises:
        ToolError: it is not there, or failed. ToolEnded: it took too long or too much memory, or a signal ended it.
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
            start_new_session=True,  # a group of its own, so that what it starts can be ended too
        )
    except OSError as error:
        raise ToolError(f"cannot start '{command[0]}'", why=str(error), fix="install it") from None
    finally:
        if given is not None:
            os.close(source)
    with _ended_after(process, seconds) as timer:
        try:
            _listen(process, said, tell)
            process.wait()
        except BaseException:
            _end(process)
            raise
    name = Path(command[0]).name
    if timer.rang:
        raise ToolEnded(f"'{name}' did not end within {seconds:g} seconds", why=_last(said))
    if process.returncode != 0:
        ended = process.returncode < 0 or any(word in "\n".join(said) for word in _NO_MEMORY)
        raise (ToolEnded if ended else ToolError)(
            f"'{name}' ended with {process.returncode}", why=_last(said)
        )
    return "\n".join(said)


def _listen(process: subprocess.Popen[str], said: deque[str], tell: Callable[[str], None] | None) -> None:
    """Until nobody holds its output any more."""
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            said.append(line.rstrip())
            if tell is not None and line.strip():
                tell(line.rstrip())


def _last(said: deque[str]) -> str:
    return hidden("\n".join([line for line in said if line.strip()][-_LAST:])) or "it said nothing"


def _end(process: subprocess.Popen[str]) -> None:
    """End it and all that it started: its group, whose number is its own as long as nobody has waited for it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class _ended_after:  # noqa: N801
    """Ends a process that takes longer, with what it started; `rang` says whether it did."""

    def __init__(self, process: subprocess.Popen[str], seconds: float) -> None:
        self.rang = False
        self._process = process
        self._timer = threading.Timer(seconds, self._ring)
        self._timer.daemon = True

    def _ring(self) -> None:
        self.rang = True
        _end(self._process)

    def __enter__(self) -> _ended_after:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
