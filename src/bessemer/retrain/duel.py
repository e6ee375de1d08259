"""Challenger and champion on the same fresh rows, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.evaluate.champion import champion_outcome
from bessemer.evaluate.compare import Versus, compare
from bessemer.retrain.holdout import Holdout
from bessemer.stats.arrays import shown

REPLICATES = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Comparison:
    """What came of it. metric: the one that the challenger was chosen by; values on the fresh rows.

    versus: the paired difference with its interval, turned so that above zero the challenger is better.
    """

    metric: str
    rows: int
    challenger: float
    champion: float
    versus: Versus

    def to_json(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "rows": self.rows,
            "challenger": self.challenger,
            "champion": self.champion,
            "difference": self.versus.difference,
            "low": self.versus.low,
            "high": self.versus.high,
        }


def duel(challenger: Path, champion: Path, holdout: Holdout, metric: str, seed: int) -> Comparison:
    """Judge both packages on the same rows, by the same resamples.

    Raises:
        PackageError: a package is refused. DataError: they do not predict the same, or cannot read these rows.
    """
    outcomes = [
        champion_outcome(package, holdout.part, holdout.wanted, holdout.truth)
        for package in (challenger, champion)
    ]
    found = compare(
        outcomes[0],
        [metric],
        {"champion": outcomes[1]},
        [],
        replicates=REPLICATES,
        confidence=CONFIDENCE,
        rng=np.random.default_rng(seed),
        advance=lambda: None,
    )
    own, other = found.metrics[metric].value, found.opponents["champion"][metric]
    return Comparison(metric, holdout.rows, own, other, found.versus["champion"])


def verdict(found: Comparison, margin: float) -> tuple[bool, str]:
    """Whether the challenger is to be served, and why.

    It must be at least as good on the fresh rows, and for certain not worse by more than a margin: fresh models may not
    get a little worse each time.

    Args:
        margin: as a share of the champion's metric.
    """
    versus, allowed = found.versus, margin * abs(found.champion)
    size = f"{shown(found.challenger)} against {shown(found.champion)} of the served model on {found.rows:,} fresh rows"
    between = f"{shown(versus.difference)} [{shown(versus.low)}, {shown(versus.high)}] better"
    said = f"{found.metric} is {size}: {between}"
    if np.isnan(versus.difference) or np.isnan(versus.low):
        return False, f"{found.metric} is not defined on enough of the {found.rows:,} fresh rows"
    if versus.difference < 0:
        return False, f"it is not better: {said}"
    if versus.low < -allowed:
        return False, f"it may be worse by more than {shown(allowed)}: {said}"
    return True, said
