"""Canaries on trial: what they have done since their step began, and what follows from it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import orjson

from bessemer.core.store import write_atomic
from bessemer.serve.deployments import changes
from bessemer.serve.deployments.canary import Verdict, judge, since
from bessemer.serve.deployments.state import Canary, State, StateFile
from bessemer.serve.dialect import Subject
from bessemer.serve.errors import RequestError

log = logging.getLogger("bessemer.serve")

#: The metric of a model's version from the labels that came back, or None while there are too few (see `Gates`).
Metric = Callable[[Subject, str, int, float], float | None]


class Served(Protocol):
    """What a trial needs of the deployments."""

    @property
    def file(self) -> StateFile: ...

    def loaded(self, name: str) -> Mapping[str, Subject]:
        """The loaded versions of a model; none where there is no such model."""

    def statistics(self, subject: Subject) -> dict[str, Any]:
        """What all workers have done with a version."""

    def deaths(self) -> int:
        """How many processes of the server have died since it was started."""

    def change(self, change: Callable[[State], State]) -> State:
        """Change the state, and wait until it is followed."""


class Trials:
    """The trials of a server; one of its workers holds them.

    What both versions had done when a step began is kept in the state's folder: the worker's death does not make the
    step begin anew.
    """

    def __init__(self, served: Served, metric: Metric | None = None) -> None:
        self._served, self._metric = served, metric
        self._path: Path = served.file.folder / "trials.json"

    def judge(self) -> None:
        """Let canaries go on, or end them; called about once a second."""
        models = self._served.file.read().models
        models = {name: model for name, model in models.items() if model.canary is not None}
        if not models:
            return
        bases, deaths = self._bases(), self._served.deaths()
        kept = {}
        for name, model in models.items():
            assert model.canary is not None
            loaded = self._served.loaded(name)
            if not {model.canary.version, model.canary.against} <= set(loaded):
                continue
            pair = [loaded[version] for version in (model.canary.version, model.canary.against)]
            now = [self._served.statistics(subject) for subject in pair]
            trial = orjson.loads(orjson.dumps(asdict(model.canary)))
            known = bases.get(name)
            base: dict[str, Any] = (
                known if known is not None and known["trial"] == trial else {"done": now, "deaths": deaths}
            )
            base["deaths"] = min(base["deaths"], deaths)  # a server that was started anew counts from nought
            kept[name] = {"trial": trial, "done": base["done"], "deaths": base["deaths"]}
            done = [since(now[i], base["done"][i]) for i in range(2)]
            verdict = self._judged(model.canary, pair, done, deaths - base["deaths"])
            try:
                self.act(name, model.canary, verdict)
            except RequestError as error:
                log.error("the canary '%s': %s", name, error)
        if kept != bases:
            write_atomic(self._path, orjson.dumps(kept))

    def _bases(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = orjson.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return found

    def _judged(
        self, canary: Canary, pair: Sequence[Subject], done: Sequence[dict[str, Any]], deaths: int
    ) -> Verdict:
        gates, metrics = canary.gates, None
        if gates.metric and self._metric is not None:
            found = [self._metric(subject, gates.metric, gates.labels, canary.since) for subject in pair]
            if found[0] is not None and found[1] is not None:
                metrics = (found[0], found[1])
        return judge(gates, done[0], done[1], time.time() - canary.since, metrics, deaths)

    def act(self, name: str, canary: Canary, verdict: Verdict) -> None:
        """Do what a verdict says, unless somebody has ended the trial meanwhile."""

        def ended(state: State) -> State:
            model = state.models.get(name)
            if model is None or model.canary != canary:
                return state
            if verdict.kind == "pass":
                return changes.step(state, name)
            return changes.rollback(state, name, f"{canary.version} was rolled back: {verdict.why}")

        if verdict.kind == "pass":
            log.warning("the canary '%s %s' kept its gates", name, canary.version)
        elif verdict.kind == "fail":
            log.error("the canary '%s %s' is rolled back: %s", name, canary.version, verdict.why)
        else:
            return
        self._served.change(ended)
