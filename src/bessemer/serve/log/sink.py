"""Where the rows of closed journal segments go: the protocol of sinks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import Field

from bessemer.core.errors import BessemerError
from bessemer.core.spec import Size, Spec

if TYPE_CHECKING:
    from bessemer.package.prediction_log.convert import LogBatch


class SegmentRefused(BessemerError):
    """Of a sink that is well, and will never take this segment: another one's turn."""


class NoSettings(Spec):
    """Of a sink that needs none."""


class Beside(Spec):
    """The settings that every sink has which others do not wait for."""

    waiting: Size = Field(
        2**30,
        description="The most that waits for it, in bytes of the journal; beyond it the oldest is lost, and told.",
    )


class Sink(Protocol):
    """Takes each closed segment once, and again when the process died before the segment was deleted.

    A sink must therefore do nothing new when it gets a segment of the same name again, and must return only
    when the rows are safe. An exception keeps the segment for the next try.

    beside: segments wait for it alone, in the folder `_waiting`, and a process of its own delivers them, the oldest
    first; its settings are then of the kind `Beside`. `SegmentRefused` sets the segment aside, and so do a ValueError
    and its like; any other exception says that the sink takes nothing now.
    """

    Settings: ClassVar[type[Spec]]
    beside: ClassVar[bool]

    def __init__(self, folder: Path, settings: Any) -> None: ...

    def write(self, segment: str, batches: Iterator[LogBatch]) -> None: ...
