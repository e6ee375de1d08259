"""Clients that feel their way: each query lies close to one that they asked before."""

from __future__ import annotations

import numpy as np

from bessemer.monitor.finding import Test
from bessemer.monitor.watching.asked import Repeated, asked, recent
from bessemer.monitor.watching.clients import Counts, Judged
from bessemer.monitor.watching.packed import packed, unpacked
from bessemer.monitor.watching.queries import QueryWatcher
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.package.queries import BACK, Usual
from bessemer.stats.queries import MISSING, Points, nearest_earlier

#: The last queries are kept of so many clients.
_CLIENTS = 100
_NONE = 65_535


class NearQueries(QueryWatcher):
    """The share of a client's queries that are nearer to one of its last 100 than training rows are to each other.

    Looking for the edge between two answers, or for the slope of a probability, takes many small steps (Juuti et al.
    2019, PRADA). Rows that are exactly the same as before are left out.
    """

    def _count(self, watched: Watched, usual: Usual, counts: Counts, repeated: Repeated) -> Said:
        last: dict[str, Points] = {
            client: _unpacked(text, len(usual.columns.numbers), len(usual.columns.kinds))
            for client, text in watched.memory.get("last_queries", {}).items()
        }
        for each in asked(watched, usual, repeated, self._settings.ignore):
            before = last.pop(each.client, each.points.take(slice(0)))
            near = nearest_earlier(before, each.points, BACK) <= usual.radius
            counts.add(each.client, int(near.sum()), len(near))
            last[each.client] = before.joined(each.points).take(slice(-BACK, None))
        judged = counts.judged(self._settings.least, usual.chances["near"])
        memory = {client: _packed(points) for client, points in recent(last, _CLIENTS).items()}
        return Said(
            tuple(_test(each) for each in judged),
            {"shares": {each.client: each.share for each in judged}},
            {**counts.memory(), "repeated": repeated.memory(), "last_queries": memory},
        )


def _test(found: Judged) -> Test:
    text = (
        f"'{found.client}' asks in small steps: {found.share:.0%} of {found.rows:,} different rows lie close to one "
        "that it asked shortly before"
    )
    return Test(
        *("near_queries", found.client, "adversary", "share of near queries", found.share, text),
        *(found.p_value, None, "client"),
    )


def _packed(points: Points) -> str:
    """Two bytes a value."""
    both = np.concatenate([np.where(points.numbers == MISSING, _NONE, points.numbers), points.kinds], axis=1)
    return packed(both.astype(np.uint16))


def _unpacked(text: str, numbers: int, kinds: int) -> Points:
    both = unpacked(text, np.uint16).reshape(-1, numbers + kinds).astype(np.int32)
    first, rest = both[:, :numbers], both[:, numbers:]
    return Points(np.where(first == _NONE, MISSING, first), np.where(rest == _NONE, -1, rest))
