"""What the watchers of queries have in common: they judge clients by what each has asked, new rows only."""

from __future__ import annotations

from typing import Any, ClassVar

from bessemer.core.spec import Spec
from bessemer.monitor.finding import Kind
from bessemer.monitor.watching.asked import Repeated, usual_of
from bessemer.monitor.watching.clients import ClientSettings, Counts
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.package.queries import Usual


class QueryWatcher:
    """Says nothing where the reference does not know how usual queries look; else it counts, client by client."""

    kind: ClassVar[Kind] = "adversary"
    again: ClassVar[bool] = False
    Settings: ClassVar[type[Spec]] = ClientSettings

    def __init__(self, settings: Any) -> None:
        self._settings: ClientSettings = settings

    def watch(self, watched: Watched) -> Said:
        usual, silent = usual_of(watched)
        if usual is None:
            return Said(figures=silent, memory=watched.memory)
        counts, repeated = Counts(watched.memory), Repeated(watched.memory.get("repeated"))
        return self._count(watched, usual, counts, repeated)

    def _count(self, watched: Watched, usual: Usual, counts: Counts, repeated: Repeated) -> Said:
        """What it says of a window, and in its memory what `counts` and `repeated` are made of next time."""
        raise NotImplementedError
