"""What the metrics are made of: the numbers of each model version and of the server, at one moment."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bessemer.serve.batching import Lane
from bessemer.serve.statistics import Statistics

_STARTED = time.time()


@dataclass(frozen=True)
class ModelFacts:
    """One version of a model, of one process or of several.

    snapshots: `Statistics.snapshot()` of each process that serves it; they are summed.
    waiting: requests that are read and not answered yet, of all processes.
    loading: seconds that it took to load it. share: of the requests that name no version. canary: it is on trial;
    shadow: it sees requests and does not answer. carried: of this process alone, `Statistics.carried`.
    """

    name: str
    version: str
    snapshots: Sequence[Mapping[str, Any]] = ()
    waiting: int = 0
    ready: bool = True
    size: int = 0
    learner: str = ""
    task: str = ""
    loading: float = 0.0
    share: float = 0.0
    canary: bool = False
    shadow: bool = False
    carried: Mapping[str, Any] = field(default_factory=dict)

    def total(self) -> Statistics:
        """The snapshots' sum.

        >>> ModelFacts("churn", "1", [{"rows": 2}, {"rows": 3}]).total().rows
        5
        """
        found = Statistics()
        for snapshot in self.snapshots:
            found.add(snapshot)
        return found


@dataclass(frozen=True)
class ServerFacts:
    """The server as a whole.

    connections: open ones; accepted: since the start. workers: processes that serve; restarts: how often one was
    started again. refused: requests that were answered with a status of 4xx or 5xx by the server itself, by status.
    dropped: what observers lost (lines of the access log, ...), by name.
    started: Unix time of the start. pids: the processes whose CPU and memory are told.
    cold_start: seconds from the start of a process until it could answer; 0 where it is not known.
    """

    ready: bool = True
    connections: int = 0
    accepted: int = 0
    workers: int = 1
    restarts: int = 0
    refused: Mapping[int, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    started: float = _STARTED
    pids: Sequence[int] = field(default_factory=lambda: (os.getpid(),))
    cold_start: float = 0.0


def models_of(lanes: Iterable[Lane]) -> list[ModelFacts]:
    """The facts of the models that this process serves."""
    return [
        ModelFacts(
            name=lane.subject.name,
            version=lane.subject.version,
            snapshots=(lane.subject.statistics.snapshot(),),
            waiting=lane.waiting,
            ready=lane.subject.ready,
            size=lane.subject.size,
            learner=lane.subject.learner,
            task=str(lane.subject.signature.task or ""),
            loading=lane.subject.loading,
            carried=lane.subject.statistics.carried,
        )
        for lane in lanes
    ]


def models_together(processes: Iterable[Iterable[ModelFacts]]) -> list[ModelFacts]:
    """The facts of several processes' models as those of one server: one entry a version.

    >>> one = ModelFacts("churn", "1", [{"rows": 2}], waiting=1)
    >>> (both,) = models_together([[one], [one]])
    >>> both.total().rows, both.waiting
    (4, 2)
    """
    found: dict[tuple[str, str], ModelFacts] = {}
    for each in (model for models in processes for model in models):
        known = found.get((each.name, each.version))
        if known is not None:
            each = replace(
                known,
                snapshots=(*known.snapshots, *each.snapshots),
                waiting=known.waiting + each.waiting,
                ready=known.ready or each.ready,
            )
        found[each.name, each.version] = each
    return list(found.values())


def servers_together(processes: Sequence[ServerFacts], restarts: int = 0) -> ServerFacts:
    """The facts of several processes as those of one server.

    Args:
        processes: one or more.
        restarts: how often one was started again.

    >>> one = ServerFacts(connections=3, refused={503: 1}, pids=(1,))
    >>> both = servers_together([one, one])
    >>> both.connections, both.refused, both.workers, both.pids
    (6, {503: 2}, 2, (1, 1))
    """
    refused: Counter[int] = Counter()
    dropped: Counter[str] = Counter()
    for each in processes:
        refused.update(each.refused)
        dropped.update(each.dropped)
    return ServerFacts(
        ready=any(each.ready for each in processes),
        connections=sum(each.connections for each in processes),
        accepted=sum(each.accepted for each in processes),
        workers=len(processes),
        restarts=restarts,
        refused=dict(refused),
        dropped=dict(dropped),
        started=min(each.started for each in processes),
        pids=tuple(pid for each in processes for pid in each.pids),
        cold_start=max(each.cold_start for each in processes),
    )


def server_of(told: Mapping[str, Any]) -> ServerFacts:
    """The facts in what another process wrote as JSON.

    >>> server_of({"connections": 3, "refused": {"503": 1}, "pids": [7]}).refused
    {503: 1}
    """
    refused = {int(status): count for status, count in told.get("refused", {}).items()}
    return ServerFacts(**{**told, "refused": refused, "pids": tuple(told["pids"])})


@dataclass(frozen=True)
class Usage:
    """What a process has used: seconds of CPU since its start, bytes of memory and open files at this moment.

    age: seconds since its start.
    """

    cpu: float
    memory: int
    files: int
    age: float = 0.0


def usage(pid: int, proc: Path = Path("/proc")) -> Usage | None:
    """What a process uses, from /proc (proc(5)); None where there is no /proc, or the process has ended.

    >>> found = usage(os.getpid())
    >>> found is None or found.memory > 1_000_000
    True
    """
    folder = proc / str(pid)
    try:
        text = (folder / "stat").read_text("utf-8", "replace")
        files = sum(1 for _ in (folder / "fd").iterdir())
    except OSError:
        return None
    # the second field is the program's name in brackets, which may have spaces: count from the last bracket
    fields = text[text.rindex(")") + 2 :].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return Usage(
        cpu=(int(fields[11]) + int(fields[12])) / ticks,
        memory=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        files=files,
        age=max(0.0, _uptime(proc) - int(fields[19]) / ticks),
    )


def _uptime(proc: Path) -> float:
    try:
        return float((proc / "uptime").read_text().split()[0])
    except (OSError, ValueError):
        return 0.0
