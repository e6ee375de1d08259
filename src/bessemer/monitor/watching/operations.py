"""What the watchers of the server have in common: they compare what it says of itself with earlier windows."""

from __future__ import annotations

from typing import Any, ClassVar

from bessemer.core.spec import Spec
from bessemer.monitor.finding import Kind
from bessemer.monitor.watching.earlier import Earlier, EarlierSpec
from bessemer.monitor.watching.served import Served, served
from bessemer.monitor.watching.watched import Said, Watched


class OperationsWatcher:
    """Says nothing of a window in which the server said nothing, and remembers what it did."""

    kind: ClassVar[Kind] = "operations"
    again: ClassVar[bool] = False
    empty: ClassVar[bool] = True
    Settings: ClassVar[type[Spec]] = EarlierSpec

    def __init__(self, settings: Any) -> None:
        self._spec: EarlierSpec = settings

    def watch(self, watched: Watched) -> Said:
        earlier, found = Earlier.of(self._spec, watched), served(watched)
        if found is None:
            return Said(memory={"windows": list(earlier.rows)})
        return self._compare(watched, found, earlier)

    def _compare(self, watched: Watched, found: Served, earlier: Earlier) -> Said:
        """What it says of a window; its memory is that of `earlier`."""
        raise NotImplementedError
