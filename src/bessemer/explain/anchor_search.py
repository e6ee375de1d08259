"""The search for an anchor: a beam of rules, and no more model calls than it takes to tell them apart.

Source: Ribeiro, Singh and Guestrin, "Anchors", AAAI 2018; Kaufmann and Kalyanakrishnan, "Information complexity in
bandit subset selection", COLT 2013 (KL-LUCB).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

#: A rule: positions of predicates, ascending.
Rule = tuple[int, ...]
#: Rules and how often each is tried -> how often the prediction stayed.
Try = Callable[[Sequence[Rule], int], Sequence[int]]

#: Rules are tried this often at a time, and a new one first.
BATCH, FIRST = 100, 20

#: Longer rules are made of the conditions that did best alone.
CONDITIONS = 40


@dataclass
class Arm:
    """What is known of a rule's precision."""

    rule: Rule
    tried: int = 0
    kept: int = 0

    @property
    def mean(self) -> float:
        return self.kept / max(1, self.tried)

    def lower(self, beta: float) -> float:
        return kl_bound(self.mean, beta / max(1, self.tried), upper=False)

    def upper(self, beta: float) -> float:
        return kl_bound(self.mean, beta / max(1, self.tried), upper=True)


@dataclass
class Search:
    """One row's search.

    coverage: of a rule. precision, tolerance, delta: a rule is good when its precision is above `precision` with
    confidence 1 - delta; rules within `tolerance` of each other are taken as equal. budget: the most model calls.
    """

    attempt: Try
    coverage: Callable[[Rule], float]
    follow: Callable[[Rule], list[Rule]]
    precision: float
    budget: int
    beam: int = 4
    tolerance: float = 0.1
    delta: float = 0.05
    used: int = field(default=0, init=False)
    _level: int = field(default=0, init=False)  # what may be used until the rules get longer

    def run(self, longest: int) -> Rule:
        """The rule of highest coverage among the shortest that are precise enough; else the most precise one."""
        beam = [Arm(())]
        self._try(beam, BATCH)
        self._level = self.budget // (longest + 1)
        seen = list(beam)
        useful: set[int] | None = None
        if self._precise(beam[0]):
            return ()
        for left in range(longest, 0, -1):
            rules = dict.fromkeys(rule for arm in beam for rule in self.follow(arm.rule))
            arms = [Arm(rule) for rule in rules if useful is None or useful.issuperset(rule)]
            if not arms or self.used + len(arms) * FIRST > self.budget:
                break
            self._level = self.used + max(len(arms) * FIRST, (self.budget - self.used) // left)
            self._try(arms, FIRST)
            if useful is None:
                ranked = sorted(arms, key=lambda arm: (-arm.mean, arm.rule))
                useful = {p for arm in ranked[:CONDITIONS] for p in arm.rule}
            beam = self._best(arms)
            seen += beam
            good = [arm for arm in beam if self._precise(arm)]
            if good:
                return max(good, key=lambda arm: (self.coverage(arm.rule), arm.mean)).rule
        return max(seen, key=lambda arm: (arm.lower(1.0), self.coverage(arm.rule))).rule

    def _try(self, arms: Sequence[Arm], times: int) -> None:
        for arm, kept in zip(arms, self.attempt([arm.rule for arm in arms], times), strict=True):
            arm.tried += times
            arm.kept += kept
        self.used += len(arms) * times

    def _best(self, arms: list[Arm]) -> list[Arm]:
        """The `beam` most precise arms, told apart by KL-LUCB: the two that could still change places are tried.

        Half of the level's budget is left for finding out whether they are precise enough.
        """
        count, step = min(self.beam, len(arms)), 1
        most = (self.used + self._level) // 2
        while True:
            beta = exploration(len(arms), step, self.delta)
            ranked = sorted(arms, key=lambda arm: (-arm.mean, arm.rule))
            inside, outside = ranked[:count], ranked[count:]
            if not outside or self.used + 2 * BATCH > most:
                return inside
            weakest = min(inside, key=lambda arm: arm.lower(beta))
            rival = max(outside, key=lambda arm: arm.upper(beta))
            if rival.upper(beta) - weakest.lower(beta) <= self.tolerance:
                return inside
            self._try([weakest, rival], BATCH)
            step += 1

    def _precise(self, arm: Arm) -> bool:
        """Whether the precision is above the wanted one; tried until that is sure or the budget ends."""
        beta = math.log(1 / self.delta)
        while arm.lower(beta) < self.precision <= arm.upper(beta) and self.used + BATCH <= self._level:
            self._try([arm], BATCH)
        return arm.mean >= self.precision and arm.lower(beta) >= self.precision - self.tolerance / 2


def exploration(arms: int, step: int, delta: float) -> float:
    """How far the bounds of `arms` arms reach at a step, so that all hold at once with confidence 1 - delta."""
    total = math.log(405.5 * arms * step**1.1 / delta)  # beta of KL-LUCB, with alpha = 1.1
    return total + math.log(max(total, 1.0))


def kl_bound(share: float, level: float, *, upper: bool) -> float:
    """The furthest share q on one side with KL(share, q) <= level, by bisection.

    >>> round(kl_bound(0.5, 0.02, upper=True), 2), round(kl_bound(1.0, 0.02, upper=False), 2)
    (0.6, 0.98)
    """
    near, far = share, 1.0 if upper else 0.0
    for _ in range(30):
        middle = (near + far) / 2
        near, far = (near, middle) if _kl(share, middle) > level else (middle, far)
    return near


def _kl(p: float, q: float) -> float:
    """Relative entropy of two coins, in nats."""
    q = float(np.clip(q, 1e-12, 1 - 1e-12))
    first = p * math.log(p / q) if p > 0 else 0.0
    return first + ((1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0)
