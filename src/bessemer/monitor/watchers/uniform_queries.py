"""Clients that ask for rows nobody has: drawn at random, or put together, to copy the model."""

from __future__ import annotations

from bessemer.monitor.finding import Test
from bessemer.monitor.watching.asked import Repeated, asked
from bessemer.monitor.watching.clients import Counts, Judged
from bessemer.monitor.watching.queries import QueryWatcher
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.package.queries import Usual


class UniformQueries(QueryWatcher):
    """The share of a client's queries whose values go together as those of 5 % of the training rows at most.

    Who copies a model asks all over its domain (Tramèr et al. 2016): each value is usual, together they are not. How
    well they go together is said by a tree of columns (Chow and Liu 1968), in which each has a share given its parent's
    value; so a client with rare values only is none of those, as long as they go together.
    """

    def _count(self, watched: Watched, usual: Usual, counts: Counts, repeated: Repeated) -> Said:
        for each in asked(watched, usual, repeated, self._settings.ignore):
            unlikely = usual.surprise(each.points) > usual.limit
            counts.add(each.client, int(unlikely.sum()), len(unlikely))
        judged = counts.judged(self._settings.least, usual.chances["unlikely"])
        return Said(
            tuple(_test(each) for each in judged),
            {"shares": {each.client: each.share for each in judged}},
            {**counts.memory(), "repeated": repeated.memory()},
        )


def _test(found: Judged) -> Test:
    text = (
        f"'{found.client}' asks for rows that nobody has: the values of {found.share:.0%} of {found.rows:,} different "
        "rows go together as in 5 % of the training rows at most"
    )
    return Test(
        *("uniform_queries", found.client, "adversary", "share of unlikely queries", found.share, text),
        *(found.p_value, None, "client"),
    )
