"""The driver: floor, portfolio, search and ensemble, one after the other, until the budget is used."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import BessemerError
from bessemer.train.automl.bag import Bag, OutOfTime, Workshop
from bessemer.train.automl.members import FIRST, FLOOR, LATER, NETWORK, ROUGH, Member, leaning, portfolio
from bessemer.train.automl.select import STEPS, select
from bessemer.train.automl.size import fitted_to_budget
from bessemer.train.automl.study import search
from bessemer.train.automl.sums import MOST_SUMS
from bessemer.train.automl.target import worth_a_log
from bessemer.train.checkpoint import Checkpoints
from bessemer.train.leaderboard import interval, surely_better
from bessemer.train.metrics import output_of
from bessemer.train.plugins import LEARNERS

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.train.automl.folds import Resampling
    from bessemer.train.spec import AutoMLSpec

#: Learners whose rounds can be fewer and larger, where time is short.
BOOSTING = ("lightgbm", "xgboost", "catboost", "hist_boosting")
#: Learners of trees, each split of which asks one feature.
TREES = (*BOOSTING, "extra_trees", "random_forest")
#: What a member of the floor may take of what is left: it may have more rounds to go than its first fold told.
_FLOOR_SHARE = 0.35
#: What finding out whether sums of numbers help may take of what is left.
_SUMS_SHARE = 0.3
#: What a network may take of what is left: it comes first, and what it takes is not known before.
_NETWORK_SHARE = 0.6
#: With more than so many times fewer and larger rounds a boosted model is not worth its time.
_STEPS = (1.3, 1.7, 2.5)
#: What may need so much more than there is left is tried: its last fold is cut a little, or it takes less than thought.
_CLOSE = 1.1
#: A metric that is worse by more than this share tells that a logarithm does not suit the target.
_NEAR = 0.01
#: Candidates that the ensemble is chosen from, and whose fits are kept.
_KEPT = 8
#: Rows that the ensemble is chosen on, at most.
_JUDGED = 50_000
#: Kept for the end: seconds, a share of the budget, and seconds for each megabyte of the models that may ship.
_END, _END_SHARE, _END_PER_MEGABYTE = 0.6, 0.03, 0.2
#: A share of the budget that the end may be late by before a large member is left out for it.
_ALLOWED = 0.03
#: Members that most ensembles have; one of more, or larger, ones has to end in time all the same: see `weights`.
_SHIPPED = 3
#: A student is fitted twice, on rows that each stand for two classes.
_STUDENT = 4.0


@dataclass(frozen=True)
class Skipped:
    """A member that was not fitted, why, and the seconds it would have needed (NaN where that is not known)."""

    member: Member
    why: str
    needed: float = math.nan


@dataclass(frozen=True)
class Tried:
    """What is remembered of every bag, also of those whose fits are not kept.

    fold_seconds: of a fold, if it had not been cut. microseconds: of predicting a row.
    rounds: of each fold. interval: 95 % of the value.
    """

    member: Member
    value: float
    seconds: float
    fold_seconds: float
    microseconds: float
    size: int
    rounds: tuple[int, ...]
    params: Mapping[str, Any]
    curves: Mapping[str, list[tuple[int, float]]]
    interval: tuple[float, float]


class _NoUse(Exception):
    """What is tried does not help."""


@dataclass
class Found:
    """All that was tried, by name, and the bags whose fits are kept: the best, and the floor."""

    tried: dict[str, Tried] = field(default_factory=dict)
    bags: dict[str, Bag] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)


class AutoML:
    """One run of it.

    Args:
        workshop: the problem, the folds, the clock.
        refold: cuts the same rows into another number of folds.
    """

    def __init__(
        self, spec: AutoMLSpec, workshop: Workshop, refold: Callable[[int], Resampling], ctx: Context
    ) -> None:
        self.spec, self.shop, self.refold, self.ctx = spec, workshop, refold, ctx
        self.found = Found()
        self.sums = False  # whether trees are told of sums of pairs of numbers
        self._end = _END + _END_SHARE * spec.budget
        self._judging = 0.0  # seconds of the metric, for the rows that the ensemble is chosen on

    # the parts of a run -----------------------------------------------------------------------------
    def run(self) -> None:
        """Everything the budget allows. Whatever happens, the floor is there."""
        self.shop.clock.reserve = self._end
        self.shop = fitted_to_budget(self.shop, FLOOR[-1], self.refold, self.ctx)
        for member in FLOOR:
            self.fit(member, must=True, most=_FLOOR_SHARE * self.shop.clock.left() / self.shop.waves())
        first, later = self._members()
        self._try_sums()
        for member in first:
            self.attempt(self.told(member))
        self._logarithms()
        for member in leaning(later, self._lean()):
            self.attempt(self.told(member))
        self._pairs()
        search(self)

    def _members(self) -> tuple[list[Member], list[Member]]:
        usable = []
        for name in LEARNERS.names():
            why = self._unusable(name)
            if not why:
                usable.append(name)
            elif not self.spec.learners or name in self.spec.learners:
                self._skip(Member(name, name), why)
        return portfolio(self.spec.learners, usable, bool(self.shop.problem.blocks))

    def _lean(self) -> int:
        """Whether the data want rougher models than the defaults (1) or smoother ones (-1); 0 while nothing tells."""
        rough, plain = (self.found.tried.get(self.told(member).name) for member in (ROUGH, FLOOR[-1]))
        if rough is None or plain is None:
            return 0
        return 1 if self.shop.problem.metric.better(rough.value, plain.value) else -1

    def _unusable(self, name: str) -> str:
        """Why a learner cannot be tried on this problem, or ''."""
        if missing := LEARNERS.ref(name).missing():
            return f"not installed: {missing}"
        learner = LEARNERS.load(name)
        if self.shop.problem.monotone is not None and not learner.MONOTONE:
            return "has no monotone constraints"
        if self.shop.problem.quantile is not None and not learner.QUANTILE:
            return "does not predict quantiles"
        return ""

    def usable(self, floor: str) -> bool:
        """Whether a member of the floor can keep what the project promises."""
        return not self._unusable(next(m.learner for m in FLOOR if m.name == floor))

    def may_ship(self, learner: str) -> bool:
        """Whether a learner may be in the ensemble: the floor is fitted for comparison, whatever was asked for."""
        wanted = not self.spec.learners or learner in self.spec.learners
        return (wanted or learner == FLOOR[-1].learner) and not self._unusable(learner)

    def _try_sums(self) -> None:
        """LightGBM's defaults again, told of sums of pairs of numbers. Where that surely helps, all trees are told."""
        if len(self.shop.numbers) < 2:
            return
        member = self._with_sums(FLOOR[-1])
        decided = Checkpoints(self.shop.callbacks.workdir / "sums.npz", self.shop.callbacks.fingerprint)
        before = decided.load()
        if before is None and self.needed(member) > _SUMS_SHARE * self.shop.clock.left():
            self._skip(member, "the budget is small for it", self.needed(member))
            return
        probe = None
        if before is None or self.shop.has(member):
            most = _FLOOR_SHARE * self.shop.clock.left() / self.shop.waves()
            try:
                probe = self.fit(member, most=most, after_fold=self._no_worse)
            except _NoUse:
                self.shop.forget(member)
                self._skip(member, "it did not help in the first folds")
        sure = self._surely_better(probe) if before is None else bool(before[0]["sums"])
        self.sums = sure and probe is not None
        decided.save({"sums": sure}, {})

    def _no_worse(self, done: int, value: Callable[[], float]) -> None:
        """Give up what is no better than LightGBM's defaults after as many folds as are fitted at once.

        Raises:
            _NoUse: it is not.
        """
        plain = self.found.bags.get(FLOOR[-1].name)
        if plain is None or done != self.shop.at_once:
            return
        rows = self.shop.resampling
        places = np.concatenate([rows.place(fold) for fold in rows.folds[:done]])
        output = output_of(self.shop.problem.task, plain.margins[places])
        if not self.shop.problem.metric.better(
            value(), than=self.shop.problem.metric(rows.y[places], output)
        ):
            raise _NoUse

    def _surely_better(self, probe: Bag | None) -> bool:
        """Whether a bag is better than LightGBM's defaults; where those were cut short nothing tells."""
        plain = self.found.bags.get(FLOOR[-1].name)
        if probe is None or plain is None or any(fold.cut for fold in plain.folds):
            return False
        problem, rows = self.shop.problem, self.shop.resampling
        output, than = (output_of(problem.task, bag.margins) for bag in (probe, plain))
        return surely_better(problem.metric, rows.y, output, than, rows.blocks)

    def told(self, member: Member) -> Member:
        """The member, told of sums where they help and it is made of trees."""
        return self._with_sums(member) if self.sums and member.learner in TREES else member

    def _with_sums(self, member: Member) -> Member:
        usual = MOST_SUMS / 2 / self.shop.resampling.pool.X.shape[1]  # most often one pair is told
        cost = member.cost * min(4.0, max(1.5, 1 + usual))
        return replace(member, name=f"{member.name}, sums", cost=cost, sums=True)

    def _logarithms(self) -> None:
        """Boosted members again on the logarithm of the target, where the target looks like it: LightGBM's defaults,
        which are quick, and if that is not a bad idea here the best of two other learners."""
        problem, y = self.shop.problem, self.shop.resampling.pool.y
        if problem.task != "regression" or problem.quantile is not None or not worth_a_log(y):
            return
        plain = self.told(FLOOR[-1])
        probe = self._logarithm(plain)
        if probe is not None and self._far_worse(probe.member.name, plain.name):
            return
        boosted = [bag.member for bag in self.ranked() if bag.member.learner in BOOSTING]
        best = {
            m.learner: m for m in reversed(boosted) if not m.log_target and m.learner != FLOOR[-1].learner
        }
        for member in sorted(best.values(), key=boosted.index)[:2]:
            self._logarithm(member)

    def _logarithm(self, member: Member) -> Bag | None:
        return self.attempt(replace(member, name=f"{member.name}, log target", log_target=True))

    def _far_worse(self, name: str, other: str) -> bool:
        if other not in self.found.tried:
            return False
        value, plain = self.found.tried[name].value, self.found.tried[other].value
        return self.shop.problem.metric.better(plain, value) and abs(value - plain) > _NEAR * abs(plain)

    def _pairs(self) -> None:
        """The best boosted members again, told of pairs of categories."""
        if len(self.shop.categories) < 2:
            return
        boosted = [bag.member for bag in self.ranked() if bag.member.learner in BOOSTING]
        for member in boosted[:2]:
            self.attempt(replace(member, name=f"{member.name}, pairs", cost=1.3 * member.cost, pairs=True))

    # one member -------------------------------------------------------------------------------------
    def attempt(self, member: Member) -> Bag | None:
        """Fit a member if its folds fit into what is left, with quicker rounds if need be; else note it."""
        needed, left = self.needed(member), self.shop.clock.left() - self._end_of(member)
        if needed > left * _CLOSE and not self.shop.has(member):
            quicker = _quicker(member, needed / left) if left > 0 else None
            if quicker is None:
                self._skip(member, "the budget was used", needed)
                return None
            member = quicker
        most = _NETWORK_SHARE * left / self.shop.waves() if member == NETWORK else math.inf
        return self.fit(member, most=most)

    def fit(self, member: Member, **options: Any) -> Bag | None:
        """Fit a member, whatever it takes, and remember it. None where that failed: it is among the skipped."""
        try:
            bag = self.shop.fit(member, **options)
        except OutOfTime as stopped:
            self._skip(member, "its folds did not end in time", stopped.needed)
            return None
        except (BessemerError, MemoryError) as error:
            self._skip(member, str(error).partition("\n")[0] or "out of memory")
            return None
        self._add(bag)
        return bag

    def _add(self, bag: Bag) -> None:
        problem, resampling, name = self.shop.problem, self.shop.resampling, bag.member.name
        output = output_of(problem.task, bag.margins)
        begin = time.perf_counter()
        value = problem.metric(resampling.y, output)
        self._judging = time.perf_counter() - begin
        first = bag.fits[0]
        self.found.tried[name] = Tried(
            bag.member,
            value,
            bag.seconds,
            sum(fold.whole_seconds for fold in bag.folds) / len(bag.folds),
            1e6 * sum(f.predict_seconds for f in bag.folds) * len(bag.folds) / max(1, len(resampling.y)),
            bag.size,
            tuple(fitted.iterations for fitted in bag.fits),
            dict(first.params),
            first.curves,
            interval(problem.metric, resampling.y, output, value),
        )
        self.found.bags[name] = bag
        self._keep_the_best()
        self._reserve()
        self.ctx.metric(f"automl.{problem.metric.name}", value, len(self.found.tried))
        self.ctx.note(
            f"{name}: {problem.metric.name} {value:.5g}, {len(bag.folds)} fits, {bag.seconds:.1f} s"
        )

    def _keep_the_best(self) -> None:
        floor = {member.name for member in FLOOR}
        for extra in self.ranked()[_KEPT:]:
            if extra.member.name not in floor:
                del self.found.bags[extra.member.name]

    def _reserve(self) -> None:
        """What choosing, assembling, checking and writing will take."""
        rows = len(self.shop.resampling.y)
        judging = self._judging * min(1.0, _JUDGED / max(1, rows)) * len(self.found.bags) * STEPS / 2
        ships = sum(self._ships()) / 1e6
        self.shop.clock.reserve = self._end = (
            _END + _END_SHARE * self.spec.budget + judging + ships * _END_PER_MEGABYTE
        )
        if self.spec.distill is not None:
            self.shop.clock.reserve += _STUDENT * self.expected(_student(self.spec.distill))

    def begin_end(self) -> None:
        """The time that was kept for the student is now the student's."""
        self.shop.clock.reserve = self._end

    def ranked(self) -> list[Bag]:
        """The kept bags, the best first."""
        metric, tried = self.shop.problem.metric, self.found.tried
        sign = -1 if metric.maximize else 1

        def key(bag: Bag) -> float:
            value = tried[bag.member.name].value
            return math.inf if math.isnan(value) else sign * value

        return sorted(self.found.bags.values(), key=key)

    def _ships(self) -> list[int]:
        """Bytes of the members that would ship as it stands, the best first."""
        return [bag.size for bag in self.ranked()[: min(_SHIPPED, self.spec.members)]]

    def _end_of(self, member: Member) -> float:
        """Seconds that writing a member takes beyond those of the largest it would stand in for."""
        same = [t for t in self.found.tried.values() if t.member.learner == member.learner]
        size = max((t.size * member.cost / t.member.cost for t in same), default=0.0)
        ships = self._ships()
        replaced = min(ships) if len(ships) == min(_SHIPPED, self.spec.members) else 0.0
        return max(0.0, size - replaced) / 1e6 * _END_PER_MEGABYTE

    def needed(self, member: Member) -> float:
        """Seconds of all folds of a member."""
        return self.expected(member) * self.shop.waves()

    def expected(self, member: Member) -> float:
        """Seconds of a fold: as measured for this learner, scaled to this member; else from LightGBM's."""
        same = [t for t in self.found.tried.values() if t.member.learner == member.learner]
        for tried in (*same, *self.found.tried.values()):
            if tried.member.learner in (member.learner, "lightgbm"):
                return tried.fold_seconds * member.cost / tried.member.cost
        return 0.0

    def _skip(self, member: Member, why: str, needed: float = math.nan) -> None:
        self.found.skipped.append(Skipped(member, why, needed))
        more = "" if math.isnan(needed) else f"; it would have needed about {needed:.0f} s"
        self.ctx.note(f"{member.name} was left out: {why}{more}")

    # the ensemble -----------------------------------------------------------------------------------
    def weights(self) -> dict[str, float]:
        """The greedy ensemble over the kept bags, by name."""
        resampling, problem = self.shop.resampling, self.shop.problem
        rows = np.arange(len(resampling.y))
        if len(rows) > _JUDGED:
            rows = np.sort(self.ctx.rng("automl", "judged").choice(rows, _JUDGED, replace=False))
        y = resampling.y[rows]

        def judge(margins: np.ndarray) -> float:
            return problem.metric(y, output_of(problem.task, margins))

        bags = [bag for bag in self.ranked() if np.isfinite(bag.margins).all()]
        bags = [bag for bag in bags if self.may_ship(bag.member.learner)] or bags
        if bags[0].member.name != "constant":  # a weight for the constant only shrinks the others
            bags = [bag for bag in bags if bag.member.name != "constant"]
        while True:
            best = {bag.member.name: bag.margins[rows] for bag in bags}
            found = select(best, judge, problem.metric.better, self.spec.members)
            chosen = [bag for bag in bags if bag.member.name in found]
            large = [bag for bag in chosen if bag.member not in FLOOR]
            if not large or sum(bag.size for bag in chosen) / 1e6 <= self._affordable():
                return found
            largest = max(large, key=lambda bag: bag.size)
            self._skip(largest.member, "writing a model of its size would not end in time")
            bags = [bag for bag in bags if bag is not largest]

    def _affordable(self) -> float:
        """Megabytes of models that can still be assembled, checked and written about within the budget: rather a second
        late than a worse model."""
        seconds = self.shop.clock.left() + self.shop.clock.reserve - _END + _ALLOWED * self.spec.budget
        return seconds / _END_PER_MEGABYTE


def _student(learner: str) -> Member:
    known = (m for m in (*FLOOR, *FIRST, *LATER) if m.learner == learner)
    return next(known, Member(learner, learner))


def _quicker(member: Member, times: float) -> Member | None:
    """The member with so many times fewer and larger rounds; None where that is too few or not possible."""
    if member.learner not in BOOSTING or times > _STEPS[-1]:
        return None
    table = LEARNERS.load(member.learner).PARAMS
    # Few steps of it, so that a run that was killed and goes on comes to the same member, whose folds it has.
    times = next(step for step in _STEPS if times <= step)
    given = member.params.get("learning_rate", table["learning_rate"].default) or 0.07
    params = {**member.params, "learning_rate": min(0.3, float(given) * times)}
    return replace(member, name=f"{member.name}, quick", params=params, cost=member.cost / times)
