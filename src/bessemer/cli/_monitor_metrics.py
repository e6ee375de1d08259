"""`bessemer monitor watch --metrics` and `--textfile`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bessemer.monitor.store import Kept, MonitorStore


@contextlib.contextmanager
def told(
    store: MonitorStore, model: str, version: str, address: str | None, textfile: Path | None
) -> Iterator[Callable[[Kept | None], None]]:
    """Gives what is to be called with each window, and with None after each look: it tells the metrics of the last."""
    if address is None and textfile is None:
        yield lambda window: None
        return
    from bessemer.core.errors import MissingExtra

    try:
        from bessemer.monitor.metrics import LastWindow, listen, write_textfile
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        raise MissingExtra("monitor watch --metrics", "prometheus_client", "serve") from None
    last = LastWindow(store, model, version)

    def tell(window: Kept | None) -> None:
        if window is not None:
            last.saw(window)
        elif textfile is not None:
            write_textfile(last, textfile)

    with contextlib.ExitStack() as stack:
        if address is not None:
            stack.callback(listen(last, address))
        yield tell
