"""One member in folds: a fit for each fold, judged on the rows the fit did not learn from."""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core import canonical
from bessemer.core.errors import DataError
from bessemer.package.trees.codec import decode
from bessemer.train.automl.members import Member
from bessemer.train.automl.pairs import fit_pairs, with_features
from bessemer.train.automl.sums import fit_sums
from bessemer.train.automl.target import in_target_units, log_part, log_problem, stopped_by_loss
from bessemer.train.checkpoint import Checkpoints
from bessemer.train.keys import marked, sturdy, with_keys
from bessemer.train.learner import Callbacks, Native, Problem
from bessemer.train.metrics import output_of
from bessemer.train.native_model import restored
from bessemer.train.paired import PairedModel
from bessemer.train.params import resolved
from bessemer.train.plugins import LEARNERS
from bessemer.train.tree_model import TreeModel

if TYPE_CHECKING:
    from bessemer.package.pair_features import PairFeatures
    from bessemer.train.automl.clock import Clock
    from bessemer.train.automl.folds import Resampling
    from bessemer.train.automl.pairs import Category
    from bessemer.train.learner import Fitted, Learner, Part

#: A fold may take this much more than its even share of the time: early stopping makes most of them shorter.
_LONGEST_FOLD = 1.3
#: A fit that is stopped short of its last rounds is nearly as good: so much more time may be missing.
_LATE = 1.25
#: Of the time of a fold, what the learner may take; the rest is for turning the model into trees and predicting.
_FITTING = 0.94
#: Rounds that boosting goes to where nothing stops it.
_USUAL_ROUNDS = 300


@dataclass(frozen=True)
class FoldFit:
    """The fit of one fold.

    margin: (J', K') of the fold's judged rows; none once the bag has them.
    seconds: it took; predict_seconds: of predicting those rows.
    cut: whether it was stopped for time. size: bytes of its native form.
    """

    fitted: Fitted
    margin: np.ndarray
    seconds: float
    predict_seconds: float
    cut: bool
    size: int

    @property
    def whole_seconds(self) -> float:
        """What it would have taken if it had not been cut."""
        rounds = max(1, self.fitted.iterations)
        return self.seconds * max(1.0, _USUAL_ROUNDS / rounds) if self.cut else self.seconds


@dataclass(frozen=True)
class Bag:
    """A member that was fitted in every fold.

    margins: (J, K') of the judged rows, each from the fit that did not learn from it.
    seconds: that all of it took.
    """

    member: Member
    folds: tuple[FoldFit, ...]
    margins: np.ndarray
    seconds: float

    @property
    def fits(self) -> tuple[Fitted, ...]:
        return tuple(fold.fitted for fold in self.folds)

    @property
    def size(self) -> int:
        return sum(fold.size for fold in self.folds)


class Stopped(Exception):
    """A fit that nobody waits for any more."""


class OutOfTime(Exception):
    """The folds of a member do not fit into what is left; `needed` seconds were still to go."""

    def __init__(self, needed: float) -> None:
        self.needed = needed


@dataclass(frozen=True)
class Workshop:
    """Where members are fitted: the rows, the problem, the clock, and the folder of finished folds.

    categories: the categorical columns, for members that learn from pairs of them. numbers: likewise the features that
        are numbers.
    keys: rows that mark the model, which every fit learns from and none is judged on.
    """

    problem: Problem
    resampling: Resampling
    callbacks: Callbacks
    clock: Clock
    categories: tuple[Category, ...] = ()
    numbers: tuple[int, ...] = ()
    keys: Part | None = None

    def fit(
        self,
        member: Member,
        *,
        must: bool = False,
        most: float = math.inf,
        after_fold: Callable[[int, Callable[[], float]], None] = lambda n, value: None,
    ) -> Bag:
        """Fit every fold.

        Args:
            must: fit all folds, however short each has to be.
            most: seconds for a fold.
            after_fold: called with the number of folds done, and a function for the metric so far; may raise.

        Raises:
            OutOfTime: the folds that are left would not end in time; not with `must`.
        """
        margins = np.full((len(self.resampling.judged), self.problem.outputs), math.nan)
        done: list[FoldFit] = []
        begin = self.clock.used()
        with closing(Crew(self, member, must=must, most=most).results()) as results:
            for fold, one in zip(self.resampling.folds, results, strict=True):
                margins[self.resampling.place(fold)] = one.margin
                done.append(replace(one, margin=one.margin[:0]))  # they are all in `margins` now
                self._record_time()
                after_fold(len(done), partial(self._value_so_far, margins))
        took = sum(one.seconds for one in done) / self.at_once  # of folds that a killed run has fitted
        return Bag(member, tuple(done), margins, max(took, self.clock.used() - begin))

    @property
    def at_once(self) -> int:
        """Folds that are fitted at the same time. Two fits of a thread each take less time than one after the other
        of two threads each, and the number of threads does not change a fit."""
        return min(len(self.resampling.folds), self.callbacks.threads)

    def waves(self, folds: int | None = None) -> int:
        """How many times the time of a fold so many folds (all, by default) take."""
        return math.ceil((len(self.resampling.folds) if folds is None else folds) / self.at_once)

    def _threads(self, number: int) -> int:
        """Threads of a fold's fit: the last folds share what those before them have left."""
        folds = len(self.resampling.folds)
        beside = min(self.at_once, folds - number // self.at_once * self.at_once)
        return max(1, self.callbacks.threads // beside)

    def finished(self, member: Member, number: int) -> FoldFit | None:
        """A fit that an earlier, killed run had finished."""
        found = self._saved(member, number).load()
        return None if found is None else _loaded(*found)

    def _saved(self, member: Member, number: int) -> Checkpoints:
        return Checkpoints(self._file(member, number), self.callbacks.fingerprint)

    def has(self, member: Member) -> bool:
        """Whether an earlier, killed run has finished all folds of a member."""
        return all(self._file(member, number).exists() for number in range(len(self.resampling.folds)))

    def forget(self, member: Member) -> None:
        """Remove what is kept of a member's folds: it will not ship."""
        for number in range(len(self.resampling.folds)):
            self._file(member, number).unlink(missing_ok=True)

    def _value_so_far(self, margins: np.ndarray) -> float:
        done = ~np.isnan(margins[:, 0])
        output = output_of(self.problem.task, margins[done])
        return self.problem.metric(self.resampling.y[done], output)

    # one fold ---------------------------------------------------------------------------------------
    def _key(self, member: Member, number: int) -> str:
        fold = self.resampling.folds[number]
        rows = [len(fold.learn), len(fold.judge)]
        told = [member.log_target, member.pairs, member.sums]
        what = [member.name, dict(member.params), told, number, rows]
        return canonical.digest(what)[:16]

    def _file(self, member: Member, number: int) -> Path:
        return self.callbacks.workdir / f"fold-{self._key(member, number)}.npz"

    def fold(self, member: Member, number: int, seconds: float, stopped: threading.Event) -> FoldFit:
        """One fit, kept in a file.

        Args:
            seconds: it may take. stopped: set when nobody waits for it any more.

        Raises:
            Stopped: it was set.
        """
        fold = self.resampling.folds[number]
        begin = self.clock.used()
        fitted = self._fit(member, number, seconds, stopped)
        if stopped.is_set():  # it may have been cut anywhere: not to be found by a run that goes on
            raise Stopped
        native, took = fitted.native(), self.clock.used() - begin
        before = time.perf_counter()
        margin = fitted.margin(np.ascontiguousarray(self.resampling.pool.X[fold.judge]))
        predicting, cut = time.perf_counter() - before, took >= seconds
        state = {
            "kind": native.kind,
            "name": native.name,
            "params": dict(fitted.params),
            "iterations": fitted.iterations,
            "curves": {name: [list(p) for p in points] for name, points in fitted.curves.items()},
            "seconds": took,
            "predict_seconds": predicting,
            "cut": cut,
        }
        content = np.frombuffer(native.content, dtype=np.uint8)
        self._saved(member, number).save(state, {"native": content, "margin": margin})
        fitted = _as_read_back(fitted)
        return FoldFit(fitted, margin, took, predicting, cut, len(native.content))

    def _fit(self, member: Member, number: int, seconds: float, stopped: threading.Event) -> Fitted:
        learner = LEARNERS.load(member.learner)
        problem, pool, fold = (
            stopped_by_loss(self.problem),
            self.resampling.pool,
            self.resampling.folds[number],
        )
        learn, judge = pool.take(fold.learn), pool.take(fold.judge)
        keys = self.keys if marked(member.learner) else None
        if member.log_target:
            problem, learn, judge = log_problem(problem), log_part(learn), log_part(judge)
            keys = None if keys is None else log_part(keys)
        folder = self.callbacks.workdir / f"fit-{self._key(member, number)}"
        folder.mkdir(parents=True, exist_ok=True)
        deadline = self.clock.used() + seconds
        seed = self.callbacks.seed
        callbacks = replace(
            self.callbacks,
            workdir=folder,
            seed=lambda label: seed(f"{member.name}/{number}/{label}"),
            threads=self._threads(number),
            time_left=lambda: 0.0 if stopped.is_set() else deadline - self.clock.used(),
        )
        params = resolved(learner.PARAMS, sturdy(member.learner, member.params, keys))
        rng = np.random.default_rng(seed(f"{member.name}/{number}/pairs"))
        told = []
        for encoder, own in self._told(member, problem, learn, rng):
            problem = with_features(problem, encoder.features)
            learn, judge = replace(learn, X=own), replace(judge, X=encoder.added(judge.X))
            keys = None if keys is None else replace(keys, X=encoder.added(keys.X))
            told.append(encoder)
        learn = with_keys(learn, keys, problem)
        fitted = _learnt(member, learner(), problem, learn, judge, params, callbacks)
        if not stopped.is_set():
            shutil.rmtree(folder)
        if member.log_target:
            fitted = in_target_units(fitted)
        for encoder in reversed(told):
            fitted = PairedModel(encoder, fitted)
        return fitted

    def _told(
        self, member: Member, problem: Problem, learn: Part, rng: np.random.Generator
    ) -> Iterator[tuple[PairFeatures, np.ndarray]]:
        """What a member is told of pairs of columns, and what the rows to learn from are with it."""
        X = learn.X
        if member.pairs and (found := fit_pairs(problem, learn, self.categories, rng)) is not None:
            encoder, X = found
            yield encoder, X
        if member.sums and (sums := fit_sums(problem, learn, self.numbers, rng)) is not None:
            yield sums, sums.added(X)

    def _record_time(self) -> None:
        spent_file(self.callbacks).save({"used": self.clock.used()}, {})


def _learnt(
    member: Member,
    learner: Learner,
    problem: Problem,
    learn: Part,
    judge: Part,
    params: Mapping[str, Any],
    callbacks: Callbacks,
) -> Fitted:
    """A fit.

    Raises:
        DataError: it failed, in whichever way the learner's library says so: the others go on without it.
    """
    try:
        return learner.fit(problem, learn, judge, params, callbacks)
    except (RuntimeError, ValueError, TypeError, ArithmeticError, LookupError) as error:
        why = str(error).strip().partition("\n")[0] or type(error).__name__
        raise DataError(f"{member.learner} failed: {why}") from error


def _as_read_back(fitted: Fitted) -> Fitted:
    """The model as its file has it: leaves are float32 there."""
    if isinstance(fitted, TreeModel):
        return replace(fitted, trees=decode(fitted.native().content))
    if isinstance(fitted, PairedModel):
        return replace(fitted, inner=_as_read_back(fitted.inner))
    return fitted


class Crew:
    """Fits the folds of a member, several at once; their results come in the order of the folds.

    Args:
        must: fit all folds, however short each has to be. most: seconds for a fold.
    """

    def __init__(self, shop: Workshop, member: Member, *, must: bool, most: float) -> None:
        self._shop, self._member, self._must, self._most = shop, member, must, most
        self._stopped = threading.Event()
        self._took: list[float] = []  # seconds of each fold that has ended

    def results(self) -> Generator[FoldFit, None, None]:
        """One after the other. When the iterator is closed, or a fold fails, the fits that go on are stopped.

        Raises:
            OutOfTime: the folds that are left would not end in time.
        """
        with ThreadPoolExecutor(self._shop.at_once, thread_name_prefix="fold") as pool:
            folds = [pool.submit(self._fit, number) for number in range(len(self._shop.resampling.folds))]
            try:
                for fold in folds:
                    yield fold.result()
            except Stopped:  # because another fold failed: that is what is to be told
                pool.shutdown()
                raise next(e for f in folds if (e := _failure(f)) is not None) from None
            finally:
                self._stopped.set()
                pool.shutdown(cancel_futures=True)

    def _fit(self, number: int) -> FoldFit:
        try:
            return self._shop.finished(self._member, number) or self._fitted(number)
        except BaseException:
            self._stopped.set()  # the others are not wanted any more
            raise

    def _fitted(self, number: int) -> FoldFit:
        shop, left = self._shop, self._shop.clock.left()
        waves = shop.waves(len(shop.resampling.folds) - number)
        if self._took and not self._must and (needed := max(self._took) * waves) > left * _LATE:
            raise OutOfTime(needed)
        share = _FITTING * left / waves * (1.0 if self._must or waves == 1 else _LONGEST_FOLD)
        one = shop.fold(self._member, number, min(self._most, share), self._stopped)
        self._took.append(one.seconds)
        return one


def _failure(fold: Future[FoldFit]) -> BaseException | None:
    """What a fold failed with, but for being stopped."""
    error = None if fold.cancelled() else fold.exception()
    return None if isinstance(error, Stopped) else error


def spent_file(callbacks: Callbacks) -> Checkpoints:
    """Where the seconds used so far are kept, for a run that is killed and goes on."""
    return Checkpoints(callbacks.workdir / "clock.npz", callbacks.fingerprint)


def _loaded(state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> FoldFit:
    native = Native(state["kind"], state["name"], arrays["native"].tobytes())
    curves = {name: [(int(s), float(v)) for s, v in points] for name, points in state["curves"].items()}
    fitted = restored(native, state["params"], int(state["iterations"]), curves)
    return FoldFit(
        fitted,
        arrays["margin"],
        float(state["seconds"]),
        float(state["predict_seconds"]),
        bool(state["cut"]),
        len(native.content),
    )
