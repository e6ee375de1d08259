"""How long tests wait: for what must come, as long as the slowest machine takes. No test is decided by speed.

A limit that a test is not about is `PATIENCE`, too: it is there so that a fault ends a test, and never a slow machine.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import httpx

#: Seconds: starts of several Python processes on a machine that does much else beside.
PATIENCE = 300.0

#: Limits of a server that no test meets which is not about them: more than a client may be stopped for.
UNHURRIED: dict[str, Any] = dict.fromkeys(("timeout", "read_timeout", "keep_alive", "drain"), PATIENCE)

get = functools.partial(httpx.get, timeout=PATIENCE)
post = functools.partial(httpx.post, timeout=PATIENCE)
Client = functools.partial(httpx.Client, timeout=PATIENCE)


def until(condition: Callable[[], Any], what: str = "what was waited for") -> Any:
    """What a condition gives when it is true at last."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.02)
    return found
