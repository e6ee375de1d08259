"""The models of a server that can change while it serves: follows the state file, and makes changes through it."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import Executor
from dataclasses import asdict, replace
from typing import Any

from bessemer.core.errors import BessemerError
from bessemer.package.model import Model
from bessemer.serve.batching import Lane, Observer, Run
from bessemer.serve.deployments import changes
from bessemer.serve.deployments.peers import Peers
from bessemer.serve.deployments.shadow import Shadows
from bessemer.serve.deployments.state import ModelState, State, StateFile, known
from bessemer.serve.deployments.trials import Metric, Trials
from bessemer.serve.dialect import Entry, Subject
from bessemer.serve.errors import RequestError
from bessemer.serve.repository import Repository, Traffic, make_lane
from bessemer.serve.spec import ServeSpec
from bessemer.serve.statistics import Statistics
from bessemer.serve.telemetry.facts import (
    ModelFacts,
    ServerFacts,
    models_together,
    server_of,
    servers_together,
)

log = logging.getLogger("bessemer.serve")

#: Seconds until a package that could not be loaded is tried again: its disk or its bucket may be back.
_TRY_AGAIN = 30.0

Open = Callable[[str], Model]


class Deployments(Repository):
    """A repository that follows a state file; several worker processes with the same file serve the same.

    A change is written to the file first and followed by each worker by itself: new versions are loaded and warmed,
    then they take their requests, and then those that are no more in the state are let go when they have answered
    what they had.

    Args:
        spec: the server's settings.
        file: the state.
        open_: opens a package: the file's path or address -> Model.
        pool: threads for slow models and for loading.
        observers: told of every run.
        worker: the number of this worker, from 0, of `workers`.
        metric: computes the metric of a canary's gates.
        record: is given what shadows predicted.
        added: is told of every version that is loaded, before it is asked anything.
    """

    def __init__(
        self,
        spec: ServeSpec,
        file: StateFile,
        open_: Open,
        pool: Executor,
        *,
        observers: Sequence[Observer] = (),
        worker: int = 0,
        workers: int = 1,
        metric: Metric | None = None,
        record: Callable[[Run], None] | None = None,
        added: Callable[[Lane], None] = lambda lane: None,
    ) -> None:
        super().__init__(spec)
        self.file, self._open, self._pool = file, open_, pool
        self.worker, self.workers = worker, workers
        self._peers = Peers(file.folder, worker, workers)
        self._added = added
        self._shadow_lanes: dict[str, tuple[Lane, ...]] = {}
        self.shadows = Shadows(lambda name: self._shadow_lanes.get(name, ()), pool, record)
        self._observers = (*observers, self.shadows)
        self._state = State()
        self._mark = (-1, -1)
        self._again = math.inf  # when what could not be loaded is tried again
        self._changing = threading.Lock()
        self._before = self._peers.own("models")  # counters never go back
        self._opening: dict[tuple[str, str], float] = {}  # seconds, of what was opened at the start
        self.trials = Trials(self, metric)

    # following -------------------------------------------------------------------------------------
    def start(self, packages: Sequence[str]) -> None:
        """Load what the state says, and the packages it does not know of yet.

        A package of a model that the state knows in another version takes that model's requests, as if it had been
        deployed: whoever names it on the command line wants it served.
        """
        opened = []
        for source in packages:
            begin = time.perf_counter()
            model = self._open(source)
            opened.append((source, model))
            self._opening[model.name, model.version] = time.perf_counter() - begin

        def added(state: State) -> State:
            for source, model in opened:
                there = state.models.get(model.name)
                if there is None or model.version not in there.versions:
                    state = changes.deploy(state, model.name, model.version, source)
                elif there.versions[model.version] != source:
                    versions = {**there.versions, model.version: source}
                    state = state.with_model(
                        model.name, ModelState(**{**there.__dict__, "versions": versions})
                    )
            return state

        if self.worker == 0 or not self.file.path.exists():
            self.file.change(added)
        self._follow({(model.name, model.version): model for _, model in opened})

    def changed(self) -> bool:
        """Whether the state file is another than the one that was followed, or is to be tried again; quick."""
        return self.file.mark() != self._mark or time.monotonic() >= self._again

    def follow(self) -> None:
        """Become what the state file says; slow. What fails is logged and told in the worker's file."""
        self._follow({})

    def _follow(self, opened: Mapping[tuple[str, str], Model]) -> None:
        with self._changing:
            mark, state = self.file.mark(), self.file.read()
            errors: dict[str, dict[str, Any]] = {}
            for name, model in state.models.items():
                for version, source in model.versions.items():
                    try:
                        self._load(name, version, source, opened.get((name, version)))
                    except BessemerError as error:
                        log.error("cannot load '%s %s': %s", name, version, error)
                        errors[f"{name} {version}"] = {"what": error.what, "why": error.why, "fix": error.fix}
                    except MemoryError:
                        errors[f"{name} {version}"] = {"what": "there is not enough memory", "status": 507}
                    except Exception as error:  # the border: a runtime's own, where it refuses the graph
                        log.exception("cannot load '%s %s'", name, version)
                        errors[f"{name} {version}"] = {"what": f"it cannot be loaded: {error}", "status": 500}
                self._shape(name, model)
            self._leave(state, {key.rpartition(" ")[0] for key in errors})
            self._order(state)
            self._state, self._mark = state, mark
            self._again = time.monotonic() + _TRY_AGAIN if errors else math.inf
            self._peers.follow(state.generation, errors)

    def _leave(self, state: State, broken: Set[str]) -> None:
        """Drop what is no more in the state; of a model whose new version could not be loaded the old ones go on."""
        for name, version in self._loaded():
            if version not in state.models.get(name, _GONE).versions and name not in broken:
                self.drop(name, version)
        self._shadow_lanes = {
            name: lanes for name, lanes in self._shadow_lanes.items() if name in state.models
        }
        self.shadows.keep({(name, v) for name, model in state.models.items() for v in model.shadows})

    def let_go(self) -> None:
        if self._changing.acquire(
            blocking=False
        ):  # it is called on the loop, which does not wait for a package
            try:
                super().let_go()
            finally:
                self._changing.release()

    def served(self) -> list[tuple[str, str]]:
        """Each model's name, and the version that answers where none is named."""
        return [(name, self.get(name).version) for name in self.names()]

    def _loaded(self) -> list[tuple[str, str]]:
        return [(name, version) for name, lanes in self._lanes.items() for version in lanes]

    def _load(self, name: str, version: str, source: str, opened: Model | None) -> None:
        if version in self._lanes.get(name, {}):
            return
        begin = time.perf_counter()
        model = opened or self._open(source)
        opening = self._opening.pop((name, version), time.perf_counter() - begin)
        if model.version != version:  # the name may be another than its own
            raise RequestError(
                409,
                f"'{source}' is '{model.name} {model.version}' now, and '{name} {version}' was deployed",
                fix="deploy the package anew",
            )
        more: dict[str, Any] = {"source": source, "observers": self._observers, "opening": opening}
        lane = make_lane(model, self.spec, pool=self._pool, **more)
        lane.subject.name, lane.subject.ready = name, self.ready
        lane.subject.statistics.carry(self._before.pop(f"{name}\n{version}", {}))
        self._added(lane)
        self.put(lane)

    def _shape(self, name: str, model: ModelState) -> None:
        """Labels, shares and shadows of a model whose versions are loaded."""
        lanes = self._lanes.get(name, {})
        for version, lane in lanes.items():
            lane.subject.labels = tuple(label for label, v in model.labels.items() if v == version)
        weights = {version: weight for version, weight in model.traffic.items() if version in lanes}
        if weights:
            self.share(name, Traffic(weights))
        self._shadow_lanes = {
            **self._shadow_lanes,
            name: tuple(lanes[version] for version in model.shadows if version in lanes),
        }

    def _order(self, state: State) -> None:
        self._lanes = {name: self._lanes[name] for name in state.models if name in self._lanes}
        self._changed()

    # changing --------------------------------------------------------------------------------------
    def change(self, change: Callable[[State], State]) -> State:
        """Change the state and wait until every worker follows it; slow.

        Raises:
            RequestError: the change cannot be made, or a worker cannot follow it: then the state is what it was.
        """
        before = State()

        def noted(state: State) -> State:
            nonlocal before
            before = state
            return change(state)

        after = self.file.change(noted)
        if after.generation == before.generation:
            return after
        self.follow()
        errors = self._peers.wait(after.generation, lambda: self.ready)
        touched = changes.touched(before, after)
        errors = {where: told for where, told in errors.items() if where.rpartition(" ")[0] in touched}
        if errors:
            self.file.change(lambda state: changes.undo(state, before, after))
            self.follow()
            where, told = next(iter(errors.items()))
            raise RequestError(
                told.pop("status", 400),
                f"'{where}' was not deployed: {told['what']}",
                why=told.get("why", ""),
                fix=told.get("fix", ""),
            )
        return after

    def deploy(self, source: str, *, name: str | None = None, **how: Any) -> Subject:
        """Deploy a package (see `changes.deploy`); slow.

        Args:
            name: the name to serve it under, where that is not its own.

        Raises:
            RequestError: 400 when the package is refused; 409 when it is there already.
        """
        try:
            model = self._open(source)
        except BessemerError as error:
            raise RequestError(400, error.what, why=error.why, fix=error.fix) from None
        name, version = name or model.name, model.version
        del model  # it is loaded again where it is served
        self.change(lambda state: changes.deploy(state, name, version, source, **how))
        return self.get(name, version)

    # what dialects ask for -------------------------------------------------------------------------
    def load(self, source: str | None = None, name: str | None = None) -> Subject:
        if source is None:
            model = known(self._state, name or "")
            if name in self._lanes:
                return self.get(name)
            source = next(iter(model.versions.values()))
        return self.deploy(source, name=name)

    def unload(self, name: str, version: str | None = None) -> None:
        own = self.get(name, version).version if version else ""
        self.change(lambda state: changes.remove(state, name, own))

    def set_default(self, name: str, version: str) -> None:
        own = self.get(name, version).version
        self.change(lambda state: changes.weigh(state, name, {own: 1.0}))

    def index(self) -> tuple[Entry, ...]:
        there = super().index()
        loaded = {(entry.name, entry.version) for entry in there}
        absent = tuple(
            Entry(name, version, "UNAVAILABLE", "it could not be loaded", source)
            for name, model in self._state.models.items()
            for version, source in model.versions.items()
            if (name, version) not in loaded
        )
        return there + absent

    # statistics of all workers ---------------------------------------------------------------------
    def write_statistics(self, server: ServerFacts | None = None) -> None:
        """Tell the other workers what this one has done."""
        lanes = {f"{lane.subject.name}\n{lane.subject.version}": lane for lane in self.lanes()}
        told: dict[str, dict[str, Any]] = {
            "models": {key: lane.subject.statistics.snapshot() for key, lane in lanes.items()},
            "waiting": {key: lane.waiting for key, lane in lanes.items()},
            "shadows": {f"{n}\n{v}": each.snapshot() for (n, v), each in [*self.shadows.differences.items()]},
            "server": asdict(server) if server is not None else {},
        }
        self._peers.write_statistics(told)

    def facts(self, server: ServerFacts) -> tuple[list[ModelFacts], ServerFacts]:
        """The facts of all workers for the metrics: this one's fresh, the others' about a second old."""
        models = [[self._role(each) for each in self.own_facts()]]
        others = self._peers.told()
        for told in others:
            models.append([])
            for key, snapshot in told.get("models", {}).items():
                name, _, version = key.partition("\n")
                waiting = told.get("waiting", {}).get(key, 0)
                models[-1].append(ModelFacts(name, version, (snapshot,), waiting))
        servers = [server_of(told["server"]) for told in others if told.get("server")]
        return models_together(models), servers_together([server, *servers], self._peers.restarts())

    def _role(self, facts: ModelFacts) -> ModelFacts:
        model = self._state.models.get(facts.name, _GONE)
        canary = model.canary is not None and model.canary.version == facts.version
        return replace(facts, canary=canary, shadow=facts.version in model.shadows)

    def statistics(self, subject: Subject) -> dict[str, Any]:
        """What all workers have done with a version, this one's numbers fresh and the others' about a second old."""
        found = Statistics().add(subject.statistics.snapshot())
        for told in self._peers.others("models"):
            if each := told.get(f"{subject.name}\n{subject.version}"):
                found.add(each)
        return found.snapshot()

    def deaths(self) -> int:
        """How many processes of the server have died since it was started."""
        return self._peers.restarts()

    def differences(self, name: str, version: str) -> dict[str, Any]:
        """How a shadow differs, over all workers."""
        own = self.shadows.differences.get((name, version))
        found = own.snapshot() if own else {}
        for told in self._peers.others("shadows"):
            for key, value in told.get(f"{name}\n{version}", {}).items():
                found[key] = max(found.get(key, 0), value) if key == "worst" else found.get(key, 0) + value
        if found:
            found["mean"] = found["total"] / found["rows"] if found["rows"] else 0.0
        return found

    def loaded(self, name: str) -> dict[str, Subject]:
        """The loaded versions of a model; none where there is no such model."""
        return {version: lane.subject for version, lane in self._lanes.get(name, {}).items()}

    def judge(self) -> None:
        """Let canaries go on, or end them; called about once a second, in one of the workers."""
        self.trials.judge()

    def describe(self) -> dict[str, Any]:
        """The deployments as JSON: for each model its versions, their shares, labels, shadows, canary and figures."""
        found = {}
        for name, model in self._state.models.items():
            versions = {}
            for version, source in model.versions.items():
                lane = self._lanes.get(name, {}).get(version)
                role = "shadow" if version in model.shadows else "traffic"
                versions[version] = {
                    "source": source,
                    "digest": lane.subject.digest if lane else None,
                    "loaded": lane is not None,
                    "role": role,
                    "share": model.traffic.get(version, 0.0) / sum(model.traffic.values()),
                    "labels": [label for label, v in model.labels.items() if v == version],
                    "statistics": self.statistics(lane.subject) if lane else None,
                    **({"difference": self.differences(name, version)} if role == "shadow" else {}),
                }
            canary = asdict(model.canary) if model.canary else None
            back = dict(model.previous.traffic) if model.previous else None
            found[name] = {
                "versions": versions,
                "canary": canary,
                "verdict": model.verdict,
                "rollback_to": back,
            }
        return {"generation": self._state.generation, "models": found}


_GONE = ModelState({}, {})
