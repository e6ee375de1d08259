"""A store with windows of two versions, open alerts and a retraining, and servers of the page."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page_support import HOSTILE, Filled, window

sys.path.append(str(Path(__file__).parents[1] / "report"))  # the browser


@pytest.fixture
def filled(tmp_path: Path) -> Filled:
    """Six hours, three of each version; there are findings in the third and, under a hostile name, in the last."""
    made = Filled(tmp_path / "monitor.db")
    for hour in range(5):
        made.keep(window(hour, "1" if hour < 3 else "1.1", found=hour == 2))
    made.keep(window(5, "1.1", found=True, column=HOSTILE))
    made.retrained()
    return made


@pytest.fixture
def served() -> Iterator[Callable[[Path], str]]:
    """served(store): the address of a server of the page, until the test ends."""
    import threading

    from bessemer.web.server import MonitorServer
    from bessemer.web.state import Stores

    running = []

    def start(path: Path) -> str:
        server = MonitorServer(Stores(path))
        running.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server.url

    yield start
    for server in running:
        server.shutdown()
        server.server_close()
