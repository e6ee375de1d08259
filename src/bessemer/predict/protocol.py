"""What a job is made of: rows that come in batches, a sink that takes them, and how far it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Progress:
    """How far a job is, in whole batches.

    batches, rows: what the sink has for good. file, row: where in the source the next batch begins.
    complete: nothing is left to do.
    """

    batches: int = 0
    rows: int = 0
    file: int = 0
    row: int = 0
    complete: bool = False


@dataclass(frozen=True)
class Batch:
    """Rows of the source, and where the batch after them begins."""

    table: pa.Table
    file: int
    row: int


class Rows(Protocol):
    """An opened source. Its batches are the same whenever they are read while the fingerprint is the same.

    uri: what is shown of it. unstable: why a job over it cannot go on after a kill; '' where it can.
    """

    uri: str
    unstable: str

    def fingerprint(self) -> str:
        """A text that differs when the content does; asked again at the end of the job."""

    def empty(self) -> pa.Table:
        """A table without rows, with the columns of the batches."""

    def batches(self, file: int, row: int) -> Iterator[Batch]:
        """The batches from this place on, each with rows."""

    def close(self) -> None:
        """Let go of what is open."""


@dataclass(frozen=True)
class Target:
    """Where predictions go, as it was asked for.

    kind: the sink's name. where: a path or URL. folder: whether it is a folder of parts. options: the other words.
    """

    kind: str
    where: str
    folder: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """What a sink must know of the job whose rows it takes.

    key: differs where package, source or settings do. schema: of every batch. resumable: whether an unfinished
    job may be gone on with; where not, a sink keeps nothing of it. restart: throw away what an earlier call left.
    work: a folder for what is not finished, where the sink has none beside the output. facts: what is written
    down with the output. every: seconds between the moments at which finished batches are made safe.
    """

    key: str
    schema: pa.Schema
    resumable: bool = True
    restart: bool = False
    work: Path = Path()
    facts: Mapping[str, Any] = field(default_factory=dict)
    every: float = 1.0


class Sink(Protocol):
    """Takes the batches of one job in order; each is there once, whatever was killed when.

    `open` says what is there already, `write` adds a batch together with the progress after it, `finish` makes it
    complete, `close` is always called: without `finish` before it, the job has failed.

    Raises:
        UsageError: the target cannot be written in this way.
        StoreError: disk full or read-only.
    """

    def __init__(self, target: Target, job: Job) -> None: ...
    def open(self) -> Progress: ...
    def write(self, table: pa.Table, progress: Progress) -> None: ...
    def finish(self) -> None: ...
    def close(self) -> None: ...
