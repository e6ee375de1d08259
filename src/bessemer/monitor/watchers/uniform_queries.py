"""Clients that ask for rows nobody has: drawn at random, or put together, to copy the model."""

from __future__ import annotations

from typing import ClassVar

from bessemer.core.spec import Spec
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.watching.asked import Repeated, asked, usual_of
from bessemer.monitor.watching.clients import ClientSettings, Counts, Judged
from bessemer.monitor.watching.watched import Said, Watched


class UniformQueries:
    """The share of a client's queries whose values go together as those of 5 % of the training rows at most.

    Who copies a model asks all over its domain (Tramèr et al. 2016): each value is usual, together they are not. How
    well they go together is said by a tree of columns (Chow and Liu 1968), in which each has a share given its parent's
    value; so a client with rare values only is none of those, as long as they go together.
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
        counts, repeated = Counts(watched.memory), Repeated(watched.memory.get("repeated"))
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
