"""Rows that are nearly the same as others', whoever asked those: probing that is spread over many keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from bessemer.monitor.finding import Test
from bessemer.monitor.watching.asked import Asked, Repeated, asked, recent
from bessemer.monitor.watching.clients import CLIENTS, Counts, Judged
from bessemer.monitor.watching.packed import packed, unpacked
from bessemer.monitor.watching.queries import QueryWatcher
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.package.queries import SLOTS, Usual
from bessemer.stats.queries import Chance, Seen, tail

#: All clients together that have asked for few rows: no key's name has a space.
FEW = "(clients with few queries)"
_SHOWN = 20
_SHOWN_FROM = 0.01
#: So many others are named whose rows a client's are like.
_SIDES = 5


class Fingerprints(QueryWatcher):
    """The share of a client's queries that share fingerprints with another row among the last 8,000 of all clients.

    Fingerprints are hashes of parts of a row in coarse steps (Li et al. 2022, Blacklight): rows that differ by little,
    or in few columns, have some in common, and exactly the same rows do not count. Clients with few queries are judged
    together, since whoever has many keys can use each of them a little.

    Whoever asks near copies of another's rows first makes the other's look like them: so something is done only to
    clients whose rows are near their own too often, and the others are told of with those whose rows they are like.
    """

    def _count(self, watched: Watched, usual: Usual, counts: Counts, repeated: Repeated) -> Said:
        seen = _Remembered(watched.memory)
        window: dict[str, tuple[int, int]] = {}
        for each in asked(watched, usual, repeated, self._settings.ignore):
            alike = seen.alike(each, usual)
            counts.add(each.client, alike, len(each.rows))
            events, rows = window.get(each.client, (0, 0))
            window[each.client] = events + alike, rows + len(each.rows)
        chances = usual.chances["alike"]
        judged = counts.judged(self._settings.least, chances)
        few = {name: window[name] for name in counts.few(self._settings.least) if name in window}
        pooled = _pooled(few, self._settings.least, chances)
        figures: dict[str, Any] = {"shares": {each.client: each.share for each in [*judged, *pooled]}}
        if pooled:
            most = Counter({name: events for name, (events, _) in few.items() if events})
            figures["few"] = dict(most.most_common(_SHOWN))
        tests, told = [_test(each) for each in pooled], set()
        for found in judged:
            own, others = seen.told(found.client)
            if counts.likely(found.client, (own, found.rows), chances) > watched.false_alarm / len(judged):
                told.add(found.client)
            tests.append(_test(found, others if found.client in told else {}))
        figures["with"] = seen.shown([each for each in judged if each.p_value <= _SHOWN_FROM])
        memory = {**counts.memory(), **seen.memory([each.client for each in judged])}
        return Said(
            tuple(tests), figures, {**memory, "repeated": repeated.memory()}, only_told=frozenset(told)
        )


class _Remembered:
    """The fingerprints of the last rows and whose they are; of each client how many of its rows are like rows of its
    own, and like whose others."""

    def __init__(self, memory: Mapping[str, Any]) -> None:
        self._seen = Seen(SLOTS)
        if "owners" in memory:
            self._seen = Seen(
                SLOTS, *(unpacked(memory[name], np.uint32) for name in ("marks", "rows", "owners"))
            )
        self._numbers = {name: i for i, name in enumerate(memory.get("names", []), 1)}
        self._names = list(self._numbers)
        self._own: dict[str, int] = dict(memory.get("own", {}))
        self._others: dict[str, dict[str, int]] = {
            name: dict(each) for name, each in memory.get("others", {}).items()
        }

    def alike(self, each: Asked, usual: Usual) -> int:
        """How many of some rows are like another, whoever asked that one."""
        if each.client not in self._numbers:
            self._numbers[each.client] = len(self._numbers) + 1
            self._names.append(each.client)
        shared, whose, own = self._seen.add_of(
            usual.prints.of(each.points), each.rows, self._numbers[each.client]
        )
        self._own[each.client] = self._own.pop(each.client, 0) + int((own >= usual.least).sum())
        others = Counter(self._others.pop(each.client, {}))
        strange = whose[(shared >= usual.least) & (own < usual.least)]
        others.update(self._names[number - 1] for number in strange.tolist() if number)
        self._others[each.client] = dict(others.most_common(_SIDES))
        return int((shared >= usual.least).sum())

    def told(self, client: str) -> tuple[int, dict[str, int]]:
        """Of the client's rows that are being counted: how many are like its own, and how many like others' alone."""
        return self._own.get(client, 0), self._others.get(client, {})

    def shown(self, found: Sequence[Judged]) -> dict[str, dict[str, int]]:
        return {each.client: others for each in found[:_SHOWN] if (others := self._others.get(each.client))}

    def memory(self, counted: Collection[str]) -> dict[str, Any]:
        """counted: clients whose counting begins anew."""
        used = np.union1d(np.zeros(1, dtype=np.uint32), self._seen.owners)
        owners = np.searchsorted(used, self._seen.owners).astype(np.uint32)
        return {
            "marks": packed(self._seen.marks),
            "rows": packed(self._seen.rows),
            "owners": packed(owners),
            "names": [self._names[number - 1] for number in used.tolist() if number],
            "own": recent({name: n for name, n in self._own.items() if name not in counted}, CLIENTS),
            "others": recent(
                {name: each for name, each in self._others.items() if each and name not in counted}, CLIENTS
            ),
        }


def _pooled(few: dict[str, tuple[int, int]], least: int, usual: Mapping[str, Chance]) -> list[Judged]:
    """The clients with few queries of this window as one; none where they have few together."""
    events, rows = sum(e for e, _ in few.values()), sum(n for _, n in few.values())
    if len(few) < 2 or rows < least:
        return []
    return [Judged(FEW, events, rows, max(tail(events, rows, chance) for chance in usual.values()))]


def _test(found: Judged, others: Mapping[str, int] | None = None) -> Test:
    text = (
        f"'{found.client}': {found.share:.0%} of {found.rows:,} different rows are nearly the same as another that was "
        "asked lately, by whomever"
    )
    if others:
        named = ", ".join(f"'{name}' ({count:,})" for name, count in others.items())
        text += f"; most of them as rows that others had asked first, {named}: any of these may be at fault, or none"
    return Test(
        *("fingerprints", found.client, "adversary", "share of rows like others", found.share, text),
        *(found.p_value, None, "client"),
    )
