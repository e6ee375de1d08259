"""A process of this Python with an end to its memory and its time: where foreign models are tried and converted.

It is no sandbox: what is run there may read and write as this user may. So nothing goes there but operators that a
list allows.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bessemer.environments.workers.limits import CPU, MEMORY, hold

__all__ = ["hold", "main", "run_limited"]

#: Seconds of the clock, beside the memory and CPU that `hold` allows.
_CLOCK = 600


def run_limited(module: str, folder: Path, what: str, failed: str) -> None:
    """Run `python -m MODULE FOLDER`, which reads and leaves its files there.

    Args:
        module: it ends in `main(...)`. what: is tried, for errors. failed: what it means that it stopped with an error.

    Raises:
        FormatError: it failed, or takes more than a model should.
    """
    from bessemer.importers.models.foreign import refused  # not above: the process itself needs none of it

    # -P: a file of the working folder must not stand in for a module
    line = [sys.executable, "-P", "-m", module, str(folder)]
    try:
        done = subprocess.run(line, capture_output=True, timeout=_CLOCK, check=False)  # noqa: S603 - our own modules
    except subprocess.TimeoutExpired:
        raise _too_much(what) from None
    if done.returncode < 0:
        raise _too_much(what)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise refused(failed, said[-1][:300] if said else "")


def _too_much(what: str) -> Exception:
    from bessemer.importers.models.foreign import refused

    return refused(
        f"{what} cannot be run on a few rows",
        f"it crashes, or takes more than {MEMORY / 2**30:.0f} GiB of memory or {CPU} seconds",
        "import a smaller model",
    )


def main(answer: Callable[[Path], None]) -> None:
    """Do what the process is for, in the folder that its only argument names; an error is its last line."""
    try:
        answer(Path(sys.argv[1]))
    except Exception as error:  # noqa: BLE001 - libraries' errors have no common class; it is somebody's file
        sys.exit((str(error).strip().splitlines() or [type(error).__name__])[0])
