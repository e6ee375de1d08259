"""What is tried, in which order: a portfolio that leads on many tables, ordered by what it brings for its time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Member:
    """A learner with settings.

    name: what the leaderboard calls it.
    cost: seconds of a fit beside those of LightGBM's defaults on the same rows, before anything was measured.
    log_target: learn the logarithm of the target.
    pairs: learn from pairs of categories too. sums: from sums of pairs of numbers.
    capacity: 1 for a model that can be rougher than its learner's defaults, -1 for one that is smoother.
    """

    name: str
    learner: str
    params: Mapping[str, Any] = field(default_factory=dict)
    cost: float = 1.0
    log_target: bool = False
    pairs: bool = False
    sums: bool = False
    capacity: int = 0


#: The floor: what a model has to beat to be shipped. Always fitted, the quickest first.
FLOOR = (
    Member("constant", "constant", cost=0.01),
    Member("linear", "linear", cost=0.3),
    Member("lightgbm", "lightgbm"),
)

#: LightGBM with many small leaves: good in itself, and beside the default it tells which way the data lean.
ROUGH = Member(
    "lightgbm (small leaves)",
    "lightgbm",
    {"num_leaves": 127, "min_data_in_leaf": 3, "feature_fraction": 0.6, "learning_rate": 0.03},
    2.5,
    capacity=1,
)

#: Found to lead on CPU over many tables (TabRepo, Salinas and Erickson 2024; AutoGluon's zero-shot portfolio).
FIRST = (
    Member("catboost", "catboost", cost=3.5),
    ROUGH,
    Member("xgboost", "xgboost", cost=1.5),
)

#: What comes after them, the wrong-headed last: see `leaning`.
LATER = (
    Member(
        "lightgbm (small steps)",
        "lightgbm",
        {"num_leaves": 53, "min_data_in_leaf": 14, "feature_fraction": 0.7, "learning_rate": 0.02},
        2.5,
    ),
    Member("catboost (depth 4)", "catboost", {"depth": 4}, cost=3.0, capacity=-1),
    Member("catboost (depth 8)", "catboost", {"depth": 8}, cost=7.0, capacity=1),
    Member("lightgbm (extra trees)", "lightgbm", {"extra_trees": True}, cost=2.2, capacity=-1),
    Member("lightgbm (few leaves)", "lightgbm", {"num_leaves": 15, "learning_rate": 0.03}, 1.5, capacity=-1),
    Member("extra_trees", "extra_trees", cost=1.5),
    Member("random_forest", "random_forest", cost=2.0),
    Member("hist_boosting", "hist_boosting", cost=1.5),
    Member("ebm", "ebm", cost=60.0),
    Member("mlp", "mlp", cost=25.0),
)

#: Before all others where there are images, texts or embeddings: what their columns mean together, trees do not see.
NETWORK = Member("network", "network", cost=3.0)


def portfolio(
    wanted: Iterable[str], usable: Iterable[str], blocks: bool = False
) -> tuple[list[Member], list[Member]]:
    """The members to try after the floor, in order: the first, and the later ones.

    Args:
        wanted: learners the project file names, or none for all of the portfolio; one that is not in the
            portfolio is tried with its defaults.
        usable: learners that are installed and can do this problem.
        blocks: whether some features are pixels, words or an embedding.
    """
    named, can = list(wanted), set(usable)

    def those(members: Iterable[Member]) -> list[Member]:
        return [m for m in members if m.learner in can and (not named or m.learner in named)]

    first = (NETWORK, *FIRST) if blocks else FIRST
    known = {m.learner for m in (*FLOOR, *first, *LATER)}
    extra = [Member(name, name) for name in named if name in can and name not in known]
    return those(first), [*those(LATER), *extra]


def leaning(members: Iterable[Member], lean: int) -> list[Member]:
    """The members in the order for data that lean to rough models (1), to smooth ones (-1) or to neither (0): what is
    of the other kind comes last.

    >>> [m.name for m in leaning((Member("a", "a", capacity=-1), Member("b", "b"), Member("c", "c", capacity=1)), 1)]
    ['b', 'c', 'a']
    """
    return sorted(members, key=lambda member: lean * member.capacity < 0)
