"""Delivers what waits for a sink which others do not wait for.

Where the sink is at fault (no answer, no right, too busy) the rest waits for the next try. Where a segment is, it is
set aside, and the next one's turn comes.
"""

from __future__ import annotations

import os
from pathlib import Path

from pyarrow import ArrowException

from bessemer.core.errors import FormatError
from bessemer.core.redaction import hidden
from bessemer.package.prediction_log.journal import Segment
from bessemer.serve.log.locks import locked
from bessemer.serve.log.plugins import SINKS
from bessemer.serve.log.rolled import Rolled, Rows
from bessemer.serve.log.sink import Beside, SegmentRefused, Sink
from bessemer.serve.log.spec import LogSpec
from bessemer.serve.log.waiting import cut, lock_of, say_sent, set_aside, waiting

#: Of a sink's code, for what it cannot make of a segment: an answer that did not come is an OSError, or of its library.
_OF_THE_SEGMENT = (SegmentRefused, ArrowException, ArithmeticError, LookupError, TypeError, ValueError)


def catch_up(spec: LogSpec, name: str) -> Rolled:
    """Deliver segment after segment, the oldest first, also those that come meanwhile.

    Does nothing while another process delivers to this sink.
    """
    folder, done = Path(spec.folder), Rolled()
    with locked(folder / lock_of(name), os.O_RDWR | os.O_CREAT) as mine:
        if mine is None:
            return done
        try:
            _deliver_all(folder, name, spec, done)
        except Exception as error:  # noqa: BLE001 - what was done is told in any case
            done.failed(name, error)
        say_sent(folder, name, "")
        keep_within(folder, name, spec, done)
    return done


def keep_within(folder: Path, name: str, spec: LogSpec, done: Rolled) -> None:
    """Give up what is more than the sink's `waiting` allows."""
    settings = SINKS.load(name).Settings.model_validate(spec.sinks[name])
    assert isinstance(settings, Beside), f"the settings of {name} say how much may wait"
    if gone := cut(folder, name, settings.waiting):
        why = f"; last: {done.error}" if done.error else ""
        done.lose(f"{gone} segments for {name}, more than its `waiting` allows{why}")


def _deliver_all(folder: Path, name: str, spec: LogSpec, done: Rolled) -> None:
    kind = SINKS.load(name)
    sink = kind(folder, kind.Settings.model_validate(spec.sinks[name]))
    tried: set[Path] = set()
    while fresh := [path for path in waiting(folder, name) if path not in tried]:
        for path in fresh:
            tried.add(path)
            say_sent(folder, name, path.name)
            if not _deliver(path, sink, name, done):
                return
            keep_within(folder, name, spec, done)


def _deliver(path: Path, sink: Sink, name: str, done: Rolled) -> bool:
    """Deliver a segment; False where the sink takes nothing now."""
    try:
        file = path.open("rb")
    except FileNotFoundError:  # given up meanwhile
        return True
    with file:
        rows = Rows(Segment(file))
        try:
            sink.write(path.stem, iter(rows))
        except Exception as error:  # noqa: BLE001 - whatever a sink's library raises
            return _failed(path, name, rows.fault, error, done)
    path.unlink(missing_ok=True)
    return True


def _failed(path: Path, name: str, unread: Exception | None, error: Exception, done: Rolled) -> bool:
    if isinstance(unread, FormatError | OSError):  # a later version reads it, or another disk
        done.failed(f"{name}, {path.name}", unread)
        return True
    if unread is None and not isinstance(error, _OF_THE_SEGMENT):
        done.failed(f"{name}, {path.name}", error)
        return False
    done.damaged += 1
    done.lose(hidden(f"{set_aside(path)} is what {name} cannot take: {type(error).__name__}: {error}"))
    return True
