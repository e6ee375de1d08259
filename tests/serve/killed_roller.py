"""A roller that is killed before the n-th change that it makes in the file system, however quick the machine is.

What the tests run as a process: N SETTINGS [SINK].
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

_CHANGES = ("link", "unlink", "replace", "rename", "fsync")


def killed_before(change: int, settings: str, sink: str = "") -> bool:
    """Whether a roller was killed there; False: it has ended, and had less to change."""
    command = [sys.executable, __file__, str(change), settings, *([sink] if sink else [])]
    code = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
    assert code in (0, -signal.SIGKILL)
    return code != 0


def killed_everywhere(changes: int, settings: str, sink: str = "") -> int:
    """Kill rollers, one after the other, before the first change of theirs, the second and so on; how many."""
    return len(
        list(itertools.takewhile(bool, (killed_before(n + 1, settings, sink) for n in range(changes))))
    )


def main(change: str, *arguments: str) -> None:
    from bessemer.serve.log import roller

    left = itertools.count(int(change) - 1, -1)

    def dying(real: Any) -> Any:
        def call(*values: Any, **named: Any) -> Any:
            if next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*values, **named)

        return call

    for name in _CHANGES:
        setattr(os, name, dying(getattr(os, name)))
    roller.main(*arguments)


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).parent))
    main(*sys.argv[1:])
