"""Counts of each client, window after window, and how likely they are of one that means no harm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.monitor.watching.asked import recent
from bessemer.stats.queries import Chance, chance_of, tail

#: Clients that counts are kept of; those that were not heard of for longest are forgotten.
CLIENTS = 1_000
#: So many other clients are enough to say what clients are like.
OTHERS = 8


class ClientSettings(Spec):
    """Which clients are watched, and from how many rows on."""

    least: int = Field(
        50, ge=20, description="A client is judged once it has asked for so many different rows."
    )
    ignore: list[str] = Field(
        [], description="Clients that are not watched: those who try on purpose what the model does."
    )


@dataclass(frozen=True)
class Judged:
    """events of rows were seen of a client; p_value: how likely so many or more are of one that means no harm."""

    client: str
    events: int
    rows: int
    p_value: float

    @property
    def share(self) -> float:
        return self.events / self.rows


class Counts:
    """Events and rows of each client, added up until there are enough to judge it; then it begins anew.

    So every row counts once, and what is said of a window does not depend on what was said of the last.
    """

    def __init__(self, memory: Mapping[str, Any]) -> None:
        self._open: dict[str, tuple[int, int]] = {k: tuple(v) for k, v in memory.get("open", {}).items()}
        self._last: dict[str, tuple[int, int]] = {k: tuple(v) for k, v in memory.get("last", {}).items()}

    def add(self, client: str, events: int, rows: int) -> None:
        before = self._open.pop(client, (0, 0))
        self._open[client] = before[0] + events, before[1] + rows

    def judged(self, least: int, usual: Mapping[str, Chance]) -> list[Judged]:
        """Those that have rows enough.

        A client is compared with blocks of training rows, each sort of block apart: in no order, or of rows that are
        alike in a column, as a client sends that has one branch or a sorted file. And with the other clients, once
        there are `OTHERS`: where all have changed, none is an adversary. The most innocent of these is believed.
        """
        ready = {client: self._open.pop(client) for client, (_, n) in list(self._open.items()) if n >= least}
        for client, found in ready.items():
            self._last.pop(client, None)
            self._last[client] = found
        return [Judged(client, *found, self.likely(client, found, usual)) for client, found in ready.items()]

    def likely(self, client: str, found: tuple[int, int], usual: Mapping[str, Chance]) -> float:
        """How likely so many events or more, of so many rows, are of a client that means no harm."""
        likely = max(tail(*found, chance) for chance in usual.values())
        others = [each for name, each in self._last.items() if name != client]
        if len(others) >= OTHERS:
            events, rows = zip(*others, strict=True)
            likely = max(likely, tail(*found, chance_of(events, rows, robust=True)))
        return likely

    def few(self, least: int) -> list[str]:
        """The clients that were heard of and have not rows enough."""
        return [client for client, (_, rows) in self._open.items() if rows < least]

    def memory(self) -> dict[str, Any]:
        return {"open": recent(self._open, CLIENTS), "last": recent(self._last, CLIENTS)}
