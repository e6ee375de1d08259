"""Ports for servers of tests.

A port that the system gives, and that is let go before the server takes it, may be another's by then: of a test beside
this one, or of any connection that somebody opens. So ports come from below those that systems give to connections,
from a part of them that each process beside has for itself.
"""

from __future__ import annotations

import os
import socket
from itertools import count

_FIRST, _PARTS, _EACH = 12_000, 8, 2_500
_worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
_part = int(_worker) % (_PARTS - 1) + 1 if _worker.isdigit() else 0
#: Two runs of the tests at once do not begin at the same one.
_next = count(os.getpid() * 7 % _EACH)


def free_port() -> int:
    """A port that nobody listens on now."""
    for _ in range(_EACH):
        port = _FIRST + _part * _EACH + next(_next) % _EACH
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("every port is taken")


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on now, all different."""
    return [free_port() for _ in range(number)]
