"""The models a server has loaded, and which version answers."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from bessemer.core.errors import PackageError, did_you_mean
from bessemer.package.contributions import Contributions
from bessemer.package.decision import Decision
from bessemer.package.model import Model
from bessemer.serve.batching import Job, Lane, Observer
from bessemer.serve.dialect import Entry, Label, Subject
from bessemer.serve.errors import RequestError
from bessemer.serve.ownership.altered import altered_of
from bessemer.serve.predictor import Predictor
from bessemer.serve.spec import ServeSpec
from bessemer.serve.telemetry.facts import ModelFacts, ServerFacts, models_of

__all__ = ["Repository", "Traffic", "make_lane"]


@dataclass(frozen=True)
class Traffic:
    """How the requests that name no version are shared: weights by version; the default is the heaviest's.

    >>> Traffic({"1": 9.0, "2": 1.0}).default
    '1'
    """

    weights: Mapping[str, float]

    @property
    def default(self) -> str:
        return max(self.weights, key=lambda version: self.weights[version])

    def pick(self, draw: float) -> str:
        """The version for a draw from [0, 1).

        >>> Traffic({"1": 9.0, "2": 1.0}).pick(0.95)
        '2'
        """
        left = draw * sum(self.weights.values())
        for version, weight in self.weights.items():
            left -= weight
            if left < 0:
                return version
        return self.default


def make_lane(
    model: Model,
    spec: ServeSpec,
    *,
    pool: Executor | None = None,
    source: str = "",
    observers: Sequence[Observer] = (),
    opening: float = 0.0,
) -> Lane:
    """What serves a model, warmed: everything that is done once is done.

    Args:
        opening: seconds that it took to open the package.
    """
    begin = time.perf_counter()
    explainer = _explainer(model) if spec.explain != "never" else None
    always = ("score",) if spec.ownership is not None else ()  # an altered answer follows from it
    predictor = Predictor(model.signature, model.session, explainer, always)
    sample, thresholds = model.sample[0] if model.sample else {}, _thresholds(model)
    subject = Subject(
        name=model.name,
        version=model.version,
        signature=model.signature,
        groups=predictor.groups,
        spec=spec,
        sample={field.name: sample[field.name] for field in model.signature.inputs if field.name in sample},
        source=source,
        digest=model.manifest.digest,
        learner=str(model.info.get("learner", "")),
        size=sum(member.size for member in model.manifest.members.values()),
        thresholds=thresholds,
        altered=altered_of(spec.ownership, model, thresholds),
    )
    lane = Lane(subject, predictor, pool, spec.threads, observers)
    lane.warm()
    subject.loading = opening + time.perf_counter() - begin
    return lane


def _thresholds(model: Model) -> tuple[float, ...]:
    """The probabilities at which the prediction changes, those of all groups."""
    if model.task != "binary":
        return ()
    decision = Decision.from_json(model.info.get("decision"))
    return tuple(sorted({decision.threshold, *decision.table}))


def _explainer(model: Model) -> Contributions | None:
    try:
        return model.explainer
    except PackageError:  # a package without its native model predicts, and cannot explain
        return None


class Repository:
    """Models by name and version (see `dialect.Models`). Changes are made on one thread at a time; reading is free.

    A change replaces whole mappings, so that a reader in another thread sees the state before it or after it.
    """

    def __init__(self, spec: ServeSpec, lanes: Sequence[Lane] = ()) -> None:
        self.spec = spec
        self.ready = True
        self._most_waiting = spec.threads + spec.queue
        self.keep: Callable[[str, Sequence[Label], str], None] | None = None  #: where labels go
        self._lanes: dict[str, dict[str, Lane]] = {}
        self._first: str | None = None
        self._traffic: dict[str, Traffic] = {}
        self._shared: dict[str, Traffic] = {}  # those of several versions
        self._found: dict[tuple[str, str | None, str | None], Lane] = {}
        self._lane_of: dict[Subject, Lane] = {}
        #: Dropped ones, and when: requests that found them may still be read.
        self._leaving: dict[Lane, float] = {}
        for lane in lanes:
            self.put(lane)

    # reading ---------------------------------------------------------------------------------------
    def names(self) -> tuple[str, ...]:
        return tuple(self._lanes)

    def versions(self, name: str) -> tuple[Subject, ...]:
        found = [lane.subject for lane in self._named(name).values()]
        return tuple(sorted(found, key=lambda subject: (subject.number, subject.version), reverse=True))

    def default(self) -> Subject | None:
        """The version that answers where no model is named; None where none is loaded."""
        return self._lane(self._first, None, None).subject if self._first is not None else None

    def get(self, name: str | None = None, version: str | None = None, label: str | None = None) -> Subject:
        return self._lane(name, version, label).subject

    def predictor(self, subject: Subject) -> Predictor:
        return self._lane_of[subject].predictor

    def index(self) -> tuple[Entry, ...]:
        return tuple(
            Entry(name, version, "READY" if lane.subject.ready else "UNLOADING", source=lane.subject.source)
            for name, lanes in self._lanes.items()
            for version, lane in lanes.items()
        )

    def facts(self, server: ServerFacts) -> tuple[list[ModelFacts], ServerFacts]:
        """What is told of these models and of the server that has them."""
        return self.own_facts(), server

    def own_facts(self) -> list[ModelFacts]:
        """The facts of what this process serves."""
        return [replace(each, share=self._share(each)) for each in models_of(self.lanes())]

    def _share(self, facts: ModelFacts) -> float:
        traffic = self._traffic.get(facts.name)
        whole = sum(traffic.weights.values()) if traffic is not None else 0.0
        return traffic.weights.get(facts.version, 0.0) / whole if traffic is not None and whole else 0.0

    def lanes(self) -> list[Lane]:
        return [lane for lanes in self._lanes.values() for lane in lanes.values()]

    def every_lane(self) -> list[Lane]:
        """Also those of versions that are leaving."""
        return list(self._lane_of.values())

    def _named(self, name: str) -> dict[str, Lane]:
        found = self._lanes.get(name)
        if found is None:
            raise RequestError(404, f"there is no model '{name}'", fix=did_you_mean(name, self._lanes))
        return found

    def _lane(self, name: str | None, version: str | None, label: str | None) -> Lane:
        if name is None:
            name = next(iter(self._lanes), None)
            if name is None:
                raise RequestError(404, "no model is loaded", fix="load one first")
        if version is None and label is None and (traffic := self._shared.get(name)) is not None:
            return self._lanes[name][traffic.pick(random.random())]  # noqa: S311 - shares, not secrets
        key = (name, version, label)
        known = self._found  # a change meanwhile has another: what was found before it must not stand there
        lane = known.get(key)
        if lane is None:
            lane = known[key] = self._search(name, version, label)
        return lane

    def _search(self, name: str, version: str | None, label: str | None) -> Lane:
        lanes = self._named(name)
        if version is None and label is None:
            return lanes[self._traffic[name].default]
        for own, lane in lanes.items():
            if version is not None and version in (own, str(lane.subject.number)):
                return lane
            if label is not None and label in lane.subject.labels:
                return lane
        wrong, right = (
            version or label or "",
            [*lanes, *(x for lane in lanes.values() for x in lane.subject.labels)],
        )
        kind = "version" if version is not None else "label"
        raise RequestError(404, f"the model '{name}' has no {kind} '{wrong}'", fix=did_you_mean(wrong, right))

    # requests --------------------------------------------------------------------------------------
    @property
    def waiting(self) -> int:
        """Requests that are read and not answered yet."""
        return sum(lane.waiting for lane in self._lane_of.values())

    def submit(self, job: Job) -> None:
        """Give a request to its model.

        Raises:
            RequestError: 503 when too many wait already, or the model has just been unloaded.
        """
        lane = self._lane_of.get(job.call.subject)
        if lane is None:
            raise RequestError(503, "the model has been unloaded", headers=(("retry-after", "1"),))
        if lane.waiting >= self._most_waiting and (lane.slow or lane.waiting >= self.spec.connections):
            raise RequestError(503, "the server is full", fix="try again", headers=(("retry-after", "1"),))
        lane.submit(job)

    # changing --------------------------------------------------------------------------------------
    def put(self, lane: Lane) -> None:
        """Add a version; it takes the place of one of the same name and version, and the traffic where it is first."""
        subject = lane.subject
        if subject.name not in self._traffic:  # first, so that nobody finds a model without its traffic
            self._traffic = {**self._traffic, subject.name: Traffic({subject.version: 1.0})}
        self._lanes = {
            **self._lanes,
            subject.name: {**self._lanes.get(subject.name, {}), subject.version: lane},
        }
        self._changed()

    def drop(self, name: str, version: str) -> Lane:
        """Take a version out; the lane goes on with what it has."""
        lanes = dict(self._named(name))
        if version not in lanes:
            raise RequestError(
                404, f"the model '{name}' has no version '{version}'", fix=did_you_mean(version, lanes)
            )
        lane = lanes.pop(version)
        weights = {v: w for v, w in self._traffic[name].weights.items() if v != version}
        if not weights and lanes:  # the newest of those that are left
            weights = {max(lanes, key=lambda v: lanes[v].subject.number): 1.0}
        traffic = {n: t for n, t in self._traffic.items() if n != name}
        if lanes:  # the traffic first: nobody is sent to a version that is gone
            self._set_traffic({**traffic, name: Traffic(weights)})
            self._lanes = {**self._lanes, name: lanes}
        else:
            left = {n: v for n, v in self._lanes.items() if n != name}
            self._first = next(iter(left), None)
            self._shared = {n: t for n, t in self._shared.items() if n != name}
            self._lanes = left
            self._traffic = traffic
        lane.subject.ready = False
        self._leaving[lane] = time.monotonic()
        self._changed()
        return lane

    def share(self, name: str, traffic: Traffic) -> None:
        """Set how a model's traffic is shared among its loaded versions."""
        lanes = self._named(name)
        for version in traffic.weights:
            if version not in lanes:
                raise RequestError(
                    404, f"the model '{name}' has no version '{version}'", fix=did_you_mean(version, lanes)
                )
        self._set_traffic({**self._traffic, name: replace(traffic)})
        self._changed()

    def set_default(self, name: str, version: str) -> None:
        self.share(name, Traffic({self.get(name, version).version: 1.0}))

    def load(self, source: str | None = None, name: str | None = None) -> Subject:
        raise RequestError(
            403, "this server loads no packages while it runs", fix="start it with the packages it serves"
        )

    def unload(self, name: str, version: str | None = None) -> None:
        raise RequestError(403, "this server unloads no packages")

    def feedback(self, name: str, labels: Sequence[Label], client: str = "") -> None:
        self._named(name)
        if self.keep is None:
            fix = "start it with `serve: {log: true}`"
            raise RequestError(501, "this server keeps no prediction log, and so no labels", fix=fix)
        self.keep(name, labels, client)

    def let_go(self) -> None:
        """Forget the dropped versions that no request can be on its way to any more: each holds a model in memory."""
        if any(not self._stays(lane, at) for lane, at in self._leaving.items()):
            self._changed()

    def _stays(self, lane: Lane, dropped: float) -> bool:
        return bool(lane.waiting) or time.monotonic() < dropped + 2 * self.spec.timeout

    def _set_traffic(self, traffic: dict[str, Traffic]) -> None:
        self._traffic = traffic
        self._shared = {name: each for name, each in traffic.items() if len(each.weights) > 1}

    def _changed(self) -> None:
        self._leaving = {lane: at for lane, at in self._leaving.items() if self._stays(lane, at)}
        self._lane_of = {lane.subject: lane for lane in [*self.lanes(), *self._leaving]}
        self._first = next(iter(self._lanes), None)
        self._found = {}
