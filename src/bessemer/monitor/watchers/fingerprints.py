"""Rows that are nearly the same as others', whoever asked those: probing that is spread over many keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from bessemer.core.spec import Spec
from bessemer.monitor.asked import Asked, Repeated, asked, usual_of
from bessemer.monitor.clients import ClientSettings, Counts, Judged
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.packed import packed, unpacked
from bessemer.monitor.watched import Said, Watched
from bessemer.package.queries import SLOTS, Usual
from bessemer.stats.queries import Chance, Seen, tail

#: All clients together that have asked for few rows: no key's name has a space.
FEW = "(clients with few queries)"
_SHOWN = 20


class Fingerprints:
    """The share of a client's queries that share fingerprints with another row among the last 8,000 of all clients.

    Fingerprints are hashes of parts of a row in coarse steps (Li et al. 2022, Blacklight): rows that differ by little,
    or in few columns, have some in common, and exactly the same rows do not count. Clients with few queries are judged
    together, since whoever has many keys can use each of them a little.
    """

    kind: ClassVar[Kind] = "adversary"
    again: ClassVar[bool] = False
    Settings: ClassVar[type[Spec]] = ClientSettings

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings

    def watch(self, watched: Watched) -> Said:
        usual, silent = usual_of(watched)
        if usual is None:
            return Said(figures=silent, memory=watched.memory)
        counts, repeated = Counts(watched.memory), Repeated(watched.memory.get("repeated", ""))
        seen = _remembered(watched.memory)
        window: dict[str, tuple[int, int]] = {}
        for each in asked(watched, usual, repeated, self._settings.ignore):
            alike = _alike(each, seen, usual)
            counts.add(each.client, alike, len(each.rows))
            events, rows = window.get(each.client, (0, 0))
            window[each.client] = events + alike, rows + len(each.rows)
        judged = counts.judged(self._settings.least, usual.chances["alike"])
        few = {name: window[name] for name in counts.few(self._settings.least) if name in window}
        pooled = _pooled(few, self._settings.least, usual.chances["alike"])
        figures: dict[str, Any] = {"shares": {each.client: each.share for each in [*judged, *pooled]}}
        if pooled:
            most = Counter({name: events for name, (events, _) in few.items() if events})
            figures["few"] = dict(most.most_common(_SHOWN))
        memory = {"marks": packed(seen.marks), "rows": packed(seen.rows), "repeated": repeated.memory()}
        return Said(tuple(_test(each) for each in [*judged, *pooled]), figures, {**counts.memory(), **memory})


def _remembered(memory: Any) -> Seen:
    if "marks" not in memory:
        return Seen(SLOTS)
    return Seen(SLOTS, unpacked(memory["marks"], np.uint32), unpacked(memory["rows"], np.uint32))


def _alike(each: Asked, seen: Seen, usual: Usual) -> int:
    shared, _ = seen.add(usual.prints.of(each.points), each.rows)
    return int((shared >= usual.least).sum())


def _pooled(few: dict[str, tuple[int, int]], least: int, usual: Mapping[str, Chance]) -> list[Judged]:
    """The clients with few queries of this window as one; none where they have few together."""
    events, rows = sum(e for e, _ in few.values()), sum(n for _, n in few.values())
    if len(few) < 2 or rows < least:
        return []
    return [Judged(FEW, events, rows, max(tail(events, rows, chance) for chance in usual.values()))]


def _test(found: Judged) -> Test:
    text = (
        f"'{found.client}': {found.share:.0%} of {found.rows:,} different rows are nearly the same as another that was "
        "asked lately, by whomever"
    )
    return Test(
        *("fingerprints", found.client, "adversary", "share of rows like others", found.share, text),
        *(found.p_value, None, "client"),
    )
