"""Membership: how well the model's answers tell training rows from others.

Two attacks, and the stronger one counts: by the loss of a row alone (Yeom et al., "Privacy risk in machine learning",
2018), and by how much smaller it is than models expect that did not learn from the row (Watson et al., "On the
importance of difficulty calibration in membership inference attacks", 2022). What counts is how many rows are
recognised when hardly any other is mistaken for one (Carlini et al., "Membership inference attacks from first
principles", 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bessemer.attack.parts import log_odds, odds_of, part_rows, sampled
from bessemer.attack.protocol import Found, Kind, Point, Sample, Victim
from bessemer.attack.proxies import Floats32, classifier, regressor
from bessemer.core.spec import Share, Spec
from bessemer.core.stage import Context
from bessemer.stats.rank_sum import RankSum
from bessemer.stats.roc_interval import area_interval, recognised_at

Floats = npt.NDArray[np.float64]

#: Fewer rows of either kind say nothing.
_FEWEST = 20
#: No proxy is surer of a class than its trees can be.
_LEAST = 1e-3
_UNIT = (
    "share of other rows taken for training rows; without one it is the area under the curve, 0.5 by chance"
)


class MembershipSettings(Spec):
    """How many rows, and what they are held against."""

    rows: int = Field(
        2000, ge=_FEWEST, le=100_000, description="training rows, and as many test rows, that are looked at"
    )
    proxies: int = Field(
        4,
        ge=0,
        le=64,
        multiple_of=2,
        description="small models that say how hard a row is, each from half of the rows; 0: by the loss alone",
    )
    rates: list[Annotated[Share, Field(gt=0)]] = Field(
        [0.001, 0.01, 0.1],
        min_length=1,
        max_length=20,
        description="shares of the other rows that may be taken for training rows",
    )


class Membership:
    """From scores, with the right answers at hand; any model."""

    kind: ClassVar[Kind] = "privacy"
    Settings: ClassVar[type[Spec]] = MembershipSettings

    def __init__(self, settings: MembershipSettings) -> None:
        self.settings = settings

    def refuses(self, victim: Victim) -> str:
        rows = victim.splits.meta["rows"]
        few = min(int(rows["train"]), int(rows["test"]))
        return f"{few} rows are too few to tell two groups apart: {_FEWEST} at least" if few < _FEWEST else ""

    def attack(self, victim: Victim, sample: Sample, ctx: Context, advance: Callable[[], None]) -> Found:
        own = self.settings
        drawn = [part_rows(victim, part, own.rows, ctx.rng("membership", part)) for part in ("train", "test")]
        y = np.concatenate([targets for _, targets in drawn])
        scores = {"by_loss": np.concatenate([log_odds(victim, *part) for part in drawn])}
        if own.proxies:
            X = np.concatenate([sampled(victim, *part, sample.confidence).X for part in drawn])
            classes = 0 if victim.task == "regression" else len(victim.classes)
            usual = expected(X, y, classes, own.proxies, ctx.rng("membership", "proxies"))
            scores["calibrated"] = scores["by_loss"] - usual
        for _ in range(len(sample)):
            advance()
        member = np.arange(len(y)) < len(drawn[0][1])
        best, each, curve = recognised(scores, member, own.rates, sample.confidence)
        notes = self._notes(best, int(member.sum()), int((~member).sum()), each, victim)
        return Found("training rows recognised", _UNIT, len(y), curve, notes)

    def _notes(self, best: str, own: int, others: int, each: float, victim: Victim) -> tuple[str, ...]:
        notes = [
            f"the stronger attack is counted: {best.replace('_', ' ')}"
            if self.settings.proxies
            else "by the loss of each row",
            f"{own} training rows against {others} test rows, both with their right answers; an attacker with "
            "models of the learner's own kind may find more",
        ]
        needed = math.ceil(math.log((1 - each) / 4) / math.log1p(-min(self.settings.rates)))
        if others < needed:
            notes.append(
                f"too few rows: of a share of {min(self.settings.rates):.2%} nothing can be said from below, "
                f"which takes {needed} test rows"
            )
        if victim.splits.meta.get("method") not in (None, "random", "stratified"):
            notes.append("the parts were not drawn at random: how they differ otherwise counts too")
        return tuple(notes)


def expected(X: Floats32, y: Floats, classes: int, proxies: int, rng: np.random.Generator) -> Floats:
    """How sure small models are of the right answer of each row that did not learn from it, (N,), as `odds_of`.

    Args:
        X, y: (N, F) and (N,): rows of both kinds. classes: 0 for numbers.
        proxies: an even number: one half of the rows learns and says of the other, and the other way round.
    """
    found, times = np.zeros(len(y)), proxies // 2
    for _ in range(times):
        order = rng.permutation(len(y))
        halves = order[: len(y) // 2], order[len(y) // 2 :]
        for learnt, others in (halves, halves[::-1]):
            seed = int(rng.integers(2**31))
            found[others] += _said(X[learnt], y[learnt], X[others], y[others], classes, seed) / times
    return found


def _said(X: Floats32, y: Floats, rows: Floats32, truth: Floats, classes: int, seed: int) -> Floats:
    """How sure a small model that learnt from X and y is of the truth about other rows."""
    if not classes:
        return odds_of(regressor("forest", X, y[:, None], seed)(rows), truth, "regression")
    share = np.clip(classifier("forest", X, y.astype(np.int64), classes, seed)(rows), _LEAST, None)
    return odds_of(np.log(share / share.sum(axis=1, keepdims=True)), truth, "multiclass")


def recognised(
    scores: Mapping[str, Floats], member: npt.NDArray[np.bool_], rates: Iterable[float], confidence: float
) -> tuple[str, float, tuple[Point, ...]]:
    """The attack whose scores (N,) tell members best, the confidence of its intervals, and its curve: the area, then
    the share of members recognised at each rate of mistakes."""
    areas = {name: RankSum.of(member, score).area for name, score in scores.items()}
    best = max(areas, key=lambda name: areas[name])
    own, others = scores[best][member], scores[best][~member]
    each = 1 - (1 - confidence) / len(scores)  # the better of several is better by chance too
    area = Point(None, areas[best], *area_interval(areas[best], len(own), len(others), each), areas)
    shares = (Point(rate, *recognised_at(own, others, rate, each)) for rate in sorted(set(rates)))
    return best, each, (area, *shares)
