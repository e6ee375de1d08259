"""What a stage is, and the one door through which it reaches time, randomness, disk and the user."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bessemer.core.artifact import Artifact, ArtifactRef
from bessemer.core.store import Store

if TYPE_CHECKING:
    import numpy as np

Emit = Callable[[str, Mapping[str, Any]], None]


class Stage(Protocol):
    """A stage's `run`: artifacts in, artifacts out, everything else through the context."""

    def __call__(
        self, spec: Any, inputs: Mapping[str, ArtifactRef], ctx: Context
    ) -> Mapping[str, ArtifactRef]: ...


@dataclass
class Progress:
    """A bar on the terminal; `advance` may be called as often as you like."""

    _emit: Emit
    what: str
    done: float = 0
    total: float | None = None

    def advance(self, n: float = 1) -> None:
        self.done += n
        self._emit("progress", {"what": self.what, "done": self.done, "total": self.total})


@dataclass
class Context:
    """A stage's only door to time, randomness and disk.

    store: where artifacts are read and written.
    stage: the stage's name.
    shared: the project-wide settings the stage's row in `flow.py` asks for (target, name...), and no others.
    seed: the run's seed; use `rng`.
    project_dir: the folder of the project file, for relative paths in it.
    workdir: scratch space that outlives a killed run: the next run of the same work finds what it left there.
    kept: the folder behind `cache`; a folder in workdir where none is given.
    written: what the stage has told of by `wrote`.
    threads, memory: how many threads and bytes the stage may use.
    """

    store: Store
    stage: str
    shared: Mapping[str, Any]
    seed: int
    project_dir: Path
    workdir: Path
    kept: Path | None = field(default=None, kw_only=True)
    written: dict[str, str] = field(default_factory=dict, kw_only=True)
    threads: int = 2
    memory: int = 2 * 2**30
    emit: Emit = lambda kind, data: None
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("bessemer"))

    def open(self, ref: ArtifactRef) -> Artifact:
        return self.store.get(ref)

    def rng(self, *labels: object) -> np.random.Generator:
        """A generator that depends on the run's seed, the stage and the labels, and on nothing else."""
        import numpy as np

        text = "/".join([self.stage, *map(str, labels)])
        word = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, word])))

    def now(self) -> dt.datetime:
        """The time in UTC; the one of SOURCE_DATE_EPOCH where that is set (reproducible-builds.org)."""
        fixed = os.environ.get("SOURCE_DATE_EPOCH")
        if fixed:
            return dt.datetime.fromtimestamp(int(fixed), dt.UTC)
        return dt.datetime.now(dt.UTC)

    def temporary(self, name: str) -> Path:
        """A path for a file that will be given to `store.put`: on the store's disk, so that it is moved, not copied."""
        folder = self.store.temporary() / self.workdir.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    @property
    def cache(self) -> Path:
        """A folder of this stage that outlives its runs. Whoever keeps something there bounds its size, and does
        without it where it is gone: it may be deleted at any time between runs."""
        folder = self.kept or self.workdir / "cache"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def wrote(self, what: str, fingerprint: str) -> None:
        """Say that the stage itself wrote something that its `reads` names `what`, and what it reads there next time:
        the cache knows that state as the one that the stage left."""
        self.written[what] = fingerprint

    def connect(self, *, threads: int | None = None) -> Any:
        """A DuckDB connection with the run's limits (see `core.sql.connect`)."""
        from bessemer.core.sql import connect

        return connect(threads=threads or self.threads, memory=self.memory, temporary=self.workdir / "spill")

    @contextmanager
    def progress(self, what: str, total: float | None = None) -> Iterator[Progress]:
        bar = Progress(self.emit, what, 0, total)
        self.emit("progress", {"what": what, "done": 0, "total": total})
        yield bar
        self.emit("progress", {"what": what, "done": bar.done, "total": total, "finished": True})

    def metric(self, name: str, value: float, step: int) -> None:
        """A point of a live curve (trackers show it while training goes on)."""
        self.emit("metric", {"name": name, "value": float(value), "step": int(step)})

    def note(self, text: str) -> None:
        """Something the user should know; it is printed, kept with the run and shown in the report."""
        self.emit("note", {"text": text})

    def warn(self, text: str) -> None:
        """Something the user should look at; as `note`, but it stands out."""
        self.emit("warning", {"text": text})
