"""What a server has beside its models: who may ask, TLS, the prediction log. Opened together and closed together."""

from __future__ import annotations

import contextlib
import os
import secrets
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from bessemer.serve.app import App, House
from bessemer.serve.batching import Job, Lane, Observer, Run
from bessemer.serve.deployments.metric import logged_metric
from bessemer.serve.dialect import Label, RouteSource, Subject
from bessemer.serve.feedback import Feedback
from bessemer.serve.guards.guard import Guard
from bessemer.serve.guards.spec import AccessSpec
from bessemer.serve.guards.tls import ServerTls
from bessemer.serve.listeners import Listeners
from bessemer.serve.log.entry import Entry
from bessemer.serve.log.entry import Label as LoggedLabel
from bessemer.serve.log.operations import Operations
from bessemer.serve.log.prediction_log import PredictionLog
from bessemer.serve.repository import Repository
from bessemer.serve.spec import ServeSpec
from bessemer.serve.telemetry.facts import ServerFacts, usage
from bessemer.serve.telemetry.metrics import Metrics
from bessemer.serve.telemetry.telemetry import Telemetry

_MOST_ID = 128
_ID_BYTES, _IDS = 12, 256


class Logged:
    """Gives every run to the prediction log before its answers are sent (a `batching.Observer`)."""

    def __init__(self, log: PredictionLog) -> None:
        self._log = log

    def added(self, lane: Lane) -> None:
        subject = lane.subject
        self._log.register(subject.name, subject.version, subject.signature)

    def scored(self, run: Run) -> None:
        if all(job.batch.values is not None for job in run.jobs):
            self._take(run, run.jobs, run.predictions[0].whole.outputs)
            return
        for job, predictions in zip(run.jobs, run.predictions, strict=True):
            self._take(run, [job], predictions.outputs)

    def answered(self, run: Run) -> None:
        """All is done before the answers are sent."""

    def _take(self, run: Run, jobs: Sequence[Job], outputs: Any) -> None:
        ids: list[str] = []
        requests: list[str] = []
        latency: list[float] = []
        client: list[str] = []
        dialect: list[str] = []
        for job in jobs:
            rows, name = job.batch.rows, job.identity
            ids += [name] if rows == 1 else [f"{name}-{i}" for i in range(rows)]
            requests += [name] * rows
            latency += [run.predicted - job.begun] * rows
            client += [job.client] * rows
            dialect += [job.dialect.name] * rows
        feeds = jobs[0].batch.tensors([field.name for field in run.subject.signature.inputs])
        values = None if feeds is not None else [row for job in jobs for row in job.batch.values or ()]
        subject = run.subject
        left = {name for one in subject.signature.further for name in (one.probability, one.score)}
        if left:  # of further targets the predictions are kept
            outputs = {name: array for name, array in outputs.items() if name not in left}
        self._log.take(
            Entry(
                *(subject.name, subject.version, ids, values, feeds, outputs, time.time()),
                *(latency, client, dialect, requests),
            )
        )

    def keep(self, name: str, labels: Sequence[Label], client: str) -> None:
        """Keep labels (see `dialect.Models.feedback`). Whatever time a client gives one, it comes now: nobody sends a
        label past those who watch them, nor one that all later ones lose to."""
        now = time.time()
        self._log.feedback(
            name,
            [
                LoggedLabel(each.prediction_id, each.label, min(each.time or now, now), client, arrived=now)
                for each in labels
            ],
        )


def identities() -> Callable[[str], str]:
    """A function that names a request: as its client did, where that is short and printable, else by a new name.

    A new name has 96 random bits: whoever knows those of its own requests cannot tell those of others, and so cannot
    label their predictions. They are drawn many at a time, since each request waits for its name.
    """
    spare: list[str] = []

    def fresh() -> str:
        while True:
            try:
                return spare.pop()  # atomic, so no two threads get the same
            except IndexError:
                drawn = secrets.token_hex(_ID_BYTES * _IDS)
                spare.extend(drawn[i : i + 2 * _ID_BYTES] for i in range(0, len(drawn), 2 * _ID_BYTES))

    def name(given: str) -> str:
        if given and len(given) <= _MOST_ID and given.isascii() and given.isprintable():
            return given
        return fresh()

    return name


class Services:
    """All of it, for one process.

    Args:
        spec: the server's settings.
        pool: threads.
        workers: how many processes serve together.
        folder: what paths in the settings are relative to.
    """

    def __init__(self, spec: ServeSpec, pool: Executor, workers: int = 1, folder: Path | None = None) -> None:
        self._stack, self._spec = contextlib.ExitStack(), spec
        self.tls: ssl.SSLContext | None = None
        self.observers: list[Observer] = []
        self.log: PredictionLog | None = None
        self._cold_start = 0.0
        self.logged: Logged | None = None
        guard = Guard(spec.access or AccessSpec(), spec.cors, workers, folder=folder)
        guard.start()
        self._stack.callback(guard.stop)
        if spec.tls is not None:
            tls = ServerTls(spec.tls, folder)
            tls.start()
            self._stack.callback(tls.stop)
            self.tls = tls.context
        if spec.log is not None:
            self.log = self._stack.enter_context(PredictionLog(spec.log))
            self.logged = Logged(self.log)
            self.observers.append(self.logged)
        self.telemetry = Telemetry(spec.telemetry, "https" if spec.tls else "http")
        self._stack.callback(self.telemetry.close)
        self.observers += self.telemetry.observers
        self.house = House(guard, pool, identities() if self.log else None, self.telemetry.access)

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def added(self, lane: Lane) -> None:
        """Told of every version that is loaded."""
        if self.logged is not None:
            self.logged.added(lane)

    def metric(self, subject: Subject, kind: str, labels: int, since: float) -> float | None:
        """The metric of a version from the labels that came back (see `deployments.metric`)."""
        if self._spec.log is None:
            return None
        return logged_metric(Path(self._spec.log.folder), subject.name, subject.version, kind, labels, since)

    def serve(
        self, repository: Repository, own: Sequence[RouteSource] = (), *, shared: bool = False
    ) -> Listeners:
        """The listeners of an application for these models, with all of these services.

        Args:
            own: further routes of the server itself.
            shared: whether several processes listen on the ports.
        """
        house = self.house
        if self.logged is not None:
            repository.keep = self.logged.keep
            own = (*own, Feedback(repository))
        if self._spec.telemetry.metrics:
            own = (*own, Metrics(lambda: repository.facts(self.facts())))
        house.own = (*house.own, *own)
        self._app = App(repository, house)
        self._listeners = Listeners(self._app, self._spec, self.tls, shared=shared)
        self.telemetry.watch(self._app)
        self._write_operations(repository)
        return self._listeners

    def _write_operations(self, repository: Repository) -> None:
        log = self._spec.log
        if log is None or not log.operations:
            return
        folder = Path(log.folder).absolute()
        writer = Operations(folder, log.operations, log.keep, repository.every_lane, self.facts)
        writer.start()
        self._stack.callback(writer.close)

    def ready(self) -> None:
        """Told when the process takes requests."""
        used = usage(os.getpid())
        self._cold_start = used.age if used is not None else 0.0

    def facts(self) -> ServerFacts:
        """What this process is doing, for the metrics."""
        dropped = dict(self.telemetry.dropped)
        if self.log is not None:
            dropped["prediction_log"] = self.log.stats().dropped
        http = self._listeners.http
        return ServerFacts(
            ready=self._app.models.ready,
            connections=http.connections,
            accepted=http.accepted,
            refused=dict(self._app.refused),
            dropped=dropped,
            cold_start=self._cold_start,
        )
