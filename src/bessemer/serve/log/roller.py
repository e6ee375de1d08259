"""The process that makes closed segments into Parquet: `python -m bessemer.serve.log.roller SETTINGS`.

It takes the folder's lock or ends at once, delivers segment after segment to the sinks, deletes each when all sinks
have it, removes what is too old, prints what it did as one JSON object, and ends. It may be killed at any moment: what
it had begun is begun again under the same names.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bessemer.package.prediction_log.convert import LogBatch
    from bessemer.package.prediction_log.journal import Segment
    from bessemer.serve.log.sink import Sink
    from bessemer.serve.log.spec import LogSpec

#: The lock of the one roller, in the log's folder.
LOCK = "_journal/.roller.lock"

_ABANDONED_SECONDS = 60.0


@dataclass
class Rolled:
    """What a roller did. failures: segments that stay for the next try, the last one's reason in `error`.

    lost: what was given up, because too much waited for a sink.
    """

    segments: int = 0
    rows: int = 0
    failures: int = 0
    damaged: int = 0
    error: str = ""
    lost: str = ""


@contextmanager
def locked(path: Path, flags: int = os.O_RDONLY) -> Iterator[IO[bytes] | None]:
    """The file, locked; None where it is gone or another holds it."""
    try:
        file = open(os.open(path, flags | os.O_CLOEXEC, 0o640), "rb")  # noqa: PTH123, SIM115 - of a handle
    except FileNotFoundError:
        yield None
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        # Between opening and locking, another may have finished with the file and removed it.
        yield file if os.fstat(file.fileno()).st_nlink else None


def roll(spec: LogSpec) -> Rolled:
    """Deliver every closed segment of a log, then remove what is too old or too much.

    Does nothing while another roller works on the folder.
    """
    folder, done = Path(spec.folder), Rolled()
    with locked(folder / LOCK, os.O_RDWR | os.O_CREAT) as mine:
        if mine is None:
            return done
        from bessemer.package.prediction_log.layout import segments
        from bessemer.serve.log.retention import retain

        sinks = _opened(spec, folder)
        beside = [name for name, sink in sinks.items() if sink.beside]
        first = [sink for sink in sinks.values() if not sink.beside]
        tried: set[Path] = set()
        while fresh := [path for path in segments(folder) if path not in tried]:
            for path in fresh:
                tried.add(path)
                with locked(path) as file:
                    if file is not None and _set_aside(folder, beside, path, done):
                        _deliver(path, file, first, done)
        for name in beside:
            _catch_up(folder, name, sinks[name], spec, done)
        _remove_abandoned(folder)
        retain(folder, spec.keep, spec.max_disk)
    return done


def _opened(spec: LogSpec, folder: Path) -> dict[str, Sink]:
    from bessemer.serve.log.plugins import SINKS

    kinds = {name: SINKS.load(name) for name in spec.sinks}
    return {
        name: kind(folder, kind.Settings.model_validate(spec.sinks[name])) for name, kind in kinds.items()
    }


def _set_aside(folder: Path, beside: list[str], path: Path, done: Rolled) -> bool:
    """Let a segment wait for those that others do not wait for; False where that failed, and it stays."""
    from bessemer.serve.log.waiting import put

    try:
        for name in beside:
            put(folder, name, path)
    except OSError as error:
        done.failures += 1
        done.error = f"{path.name}: {type(error).__name__}: {error}"
        return False
    return True


def _catch_up(folder: Path, name: str, sink: Sink, spec: LogSpec, done: Rolled) -> None:
    """Deliver what waits for a sink. A segment that fails may be to blame itself; with two in a row it is the sink."""
    from bessemer.serve.log.sink import Beside
    from bessemer.serve.log.waiting import cut, waiting

    settings = sink.Settings.model_validate(spec.sinks[name])
    assert isinstance(settings, Beside), f"the settings of {name} say how much may wait"
    in_a_row = 0
    for path in waiting(folder, name):
        before = done.failures
        with locked(path) as file:
            if file is not None:
                _deliver(path, file, [sink], done, beside=name)
        in_a_row = in_a_row + 1 if done.failures > before else 0
        if in_a_row == 2:
            break
    if gone := cut(folder, name, settings.waiting):
        done.lost = f"{gone} segments for {name}, more than its `waiting` allows; last: {done.error}"


def _deliver(path: Path, file: IO[bytes], sinks: list[Sink], done: Rolled, beside: str = "") -> None:
    from pyarrow import ArrowException

    from bessemer.core.errors import BessemerError
    from bessemer.package.prediction_log.journal import Segment

    rows = 0
    try:
        for sink in sinks:
            file.seek(0)
            segment, counted = Segment(file), [0]
            sink.write(path.stem, _counted(segment, counted))
            rows = counted[0]
    except (OSError, ArrowException, BessemerError, ValueError, LookupError, TypeError) as error:
        done.failures += 1
        where = f"{beside}, {path.name}" if beside else path.name
        done.error = f"{where}: {type(error).__name__}: {error}"
        return
    if beside:
        path.unlink()
        return
    done.rows += rows
    done.segments += 1
    if sinks and segment.tail == "damaged":
        # what stands before the damage was delivered; the rest is kept for a look
        done.damaged += 1
        path.rename(path.with_suffix(".damaged"))
    else:
        path.unlink()


def _counted(segment: Segment, counted: list[int]) -> Iterator[LogBatch]:
    from bessemer.package.prediction_log.convert import convert

    for batch in convert(segment):
        counted[0] += batch.rows.num_rows
        yield batch


def _remove_abandoned(folder: Path) -> None:
    """Segments whose writer died before they had their name: they are empty."""
    for path in (folder / LOCK).parent.glob(".*.new"):
        with locked(path) as file:
            if file is not None and time.time() - os.fstat(file.fileno()).st_mtime > _ABANDONED_SECONDS:
                path.unlink(missing_ok=True)


def main(settings: str) -> None:
    os.nice(19)
    from bessemer.serve.log.spec import LogSpec

    # One thread: the machine is the server's.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    done: dict[str, Any] = asdict(roll(LogSpec.model_validate_json(settings)))
    sys.stdout.write(json.dumps(done))


if __name__ == "__main__":
    main(sys.argv[1])
