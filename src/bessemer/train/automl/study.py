"""The search: trials drawn by a searcher, seeded with what the portfolio found, until the budget is used."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from bessemer.train.automl.members import Member
from bessemer.train.checkpoint import Checkpoints
from bessemer.train.plugins import LEARNERS
from bessemer.train.search.plugins import SEARCHERS
from bessemer.train.search.space import distribution, inside, levels, suggest, tunable

if TYPE_CHECKING:
    from bessemer.train.automl.run import AutoML, Tried
    from bessemer.train.params import Param

#: The search ends when so many trials in a row would not end in time.
_TOO_LONG = 5
#: The best learners, whose settings are searched; those behind them would have to make up too much.
_LEARNERS = 3


class Study:
    """One search over the best learners of the portfolio.

    Every trial has a seed of its own and its result is kept in a file, so a run that was killed asks the same
    questions again and knows the answers up to where it was.
    """

    def __init__(self, automl: AutoML, searcher: Any) -> None:
        self.automl, self.searcher = automl, searcher
        ranked = dict.fromkeys(bag.member.learner for bag in automl.ranked())
        learners = [name for name in ranked if automl.may_ship(name) and self._space(name)]
        learners = sorted(learners[: _LEARNERS if searcher.MIXED else 1])
        self._learners = learners
        self._trials = self._late = 0

    def run(self) -> None:
        spec = self.automl.spec
        if not self._learners or self._too_late():
            return
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(
            study_name="bessemer",  # Hyperband's brackets hang on it
            pruner=self.searcher.pruner(len(self.automl.shop.resampling.folds)),
            direction="maximize" if self.automl.shop.problem.metric.maximize else "minimize",
        )
        if self.searcher.WALKS:
            study.sampler = self.searcher.sampler(self.automl.shop.callbacks.seed("search"), self._grid())
        else:
            for tried in self._portfolio():
                self._seed(optuna, study, tried)
        while self._late < _TOO_LONG and (spec.trials is None or self._trials < spec.trials):
            if not self.searcher.WALKS:
                seed = self.automl.shop.callbacks.seed(f"search/{len(study.trials)}")
                study.sampler = self.searcher.sampler(seed, self._grid())
            if getattr(study.sampler, "is_exhausted", lambda _: False)(study):
                break
            study.optimize(self._objective, n_trials=1, catch=(_NoTime,))
        if self._trials:
            self.automl.ctx.note(f"search ({spec.search}): {self._trials} trials")

    def _too_late(self) -> bool:
        """Whether no time is left, nor anything that an earlier, killed run has tried: then Optuna is not loaded."""
        shop = self.automl.shop
        return shop.clock.left() <= 0 and not any(shop.callbacks.workdir.glob("trial-*.npz"))

    def _portfolio(self) -> list[Tried]:
        return [t for t in self.automl.found.tried.values() if t.member.learner in self._learners]

    def _space(self, learner: str) -> dict[str, Param]:
        return tunable(LEARNERS.load(learner).PARAMS)

    def _grid(self) -> dict[str, list[Any]]:
        learner = self._learners[0]
        grid = {f"{learner}.{name}": levels(param) for name, param in self._space(learner).items()}
        return {"learner": [learner], **grid}

    def _seed(self, optuna: Any, study: Any, tried: Tried) -> None:
        """What the portfolio found, as a finished trial."""
        member = tried.member
        like_trials = member.sums == self._sums(member.learner)
        if member.log_target or member.pairs or not like_trials or math.isnan(tried.value):
            return
        learner = tried.member.learner
        distributions: dict[str, Any] = {
            "learner": optuna.distributions.CategoricalDistribution(self._learners)
        }
        params: dict[str, Any] = {"learner": learner}
        for name, param in self._space(learner).items():
            if (value := inside(param, tried.params.get(name))) is not None:
                distributions[f"{learner}.{name}"] = distribution(param)
                params[f"{learner}.{name}"] = value
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=distributions, value=tried.value)
        )

    def _sums(self, learner: str) -> bool:
        """Whether the trials of a learner are told of sums of numbers."""
        return self.automl.told(Member(learner, learner)).sums

    # one trial --------------------------------------------------------------------------------------
    def _objective(self, trial: Any) -> float:
        """The metric of a trial.

        Raises:
            TrialPruned: it is worse than others after the same folds.
            _NoTime: it would not end in time.
        """
        member = self._drawn(trial)
        callbacks = self.automl.shop.callbacks
        file = Checkpoints(callbacks.workdir / f"trial-{trial.number}.npz", callbacks.fingerprint)
        if (found := file.load()) is not None and found[0]["params"] == dict(trial.params):
            return self._again(trial, member, found[0])
        if self.automl.needed(member) > self.automl.shop.clock.left():
            self._late += 1
            raise _NoTime
        told: list[float] = []
        try:
            value = self._fit(trial, member, told)
        except _pruned():
            file.save({"params": trial.params, "told": told, "tried": None}, {})
            raise
        tried = asdict(self.automl.found.tried[member.name]) | {"member": None}
        file.save({"params": trial.params, "told": told, "tried": tried}, {})
        return value

    def _drawn(self, trial: Any) -> Member:
        learner = trial.suggest_categorical("learner", self._learners)
        space = self._space(learner)
        params = {name: suggest(trial, f"{learner}.{name}", param) for name, param in space.items()}
        same = [t.member for t in self._portfolio() if t.member.learner == learner]
        cost = next((m.cost for m in same if m.sums == self._sums(learner)), same[0].cost)
        drawn = Member(f"{learner} #{trial.number}", learner, params)
        return replace(self.automl.told(drawn), cost=cost)

    def _fit(self, trial: Any, member: Member, told: list[float]) -> float:
        folds = len(self.automl.shop.resampling.folds)

        def after_fold(done: int, value: Callable[[], float]) -> None:
            if done < folds:
                told.append(value())
                trial.report(told[-1], done)
                if trial.should_prune():
                    self._trials += 1
                    self.automl.shop.forget(member)
                    raise _pruned()

        bag = self.automl.fit(member, after_fold=after_fold)
        if bag is None:
            self._late += 1
            raise _NoTime
        self._late = 0
        self._trials += 1
        if member.name not in self.automl.found.bags:
            self.automl.shop.forget(member)
        return self.automl.found.tried[member.name].value

    def _again(self, trial: Any, member: Member, state: dict[str, Any]) -> float:
        """A trial that an earlier, killed run has finished; its model too, where that was kept."""
        self._trials += 1
        for done, value in enumerate(state["told"], start=1):
            trial.report(_number(value), done)
            trial.should_prune()  # some pruners keep books of what they were asked
        if state["tried"] is None:
            raise _pruned()
        if not (self.automl.shop.has(member) and self.automl.fit(member)):
            self.automl.found.tried[member.name] = _restored(member, state["tried"])
        return self.automl.found.tried[member.name].value


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _restored(member: Member, state: dict[str, Any]) -> Tried:
    """What was remembered of a trial, from its file: JSON has no tuples and no NaN."""
    from bessemer.train.automl.run import Tried

    low, high = (_number(end) for end in state["interval"])
    curves = {name: [(int(step), float(v)) for step, v in points] for name, points in state["curves"].items()}
    values: dict[str, Any] = {
        **state,
        "member": member,
        "value": _number(state["value"]),
        "rounds": tuple(state["rounds"]),
        "curves": curves,
        "interval": (low, high),
    }
    return Tried(**values)


class _NoTime(Exception):
    """A trial that the time does not allow."""


def _pruned() -> type[Exception]:
    import optuna

    pruned: type[Exception] = optuna.TrialPruned
    return pruned


def search(automl: AutoML) -> None:
    """The search that the project file asks for; without Optuna there is none, and that is said."""
    name = automl.spec.search
    if name == "none":
        return
    if SEARCHERS.ref(name).missing():
        automl.ctx.note("no search: it needs Optuna: pip install 'bessemer[search]'")
        return
    Study(automl, SEARCHERS.load(name)()).run()
