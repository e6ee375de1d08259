"""The processes that deliver closed segments: `python -m bessemer.serve.log.roller SETTINGS [SINK]`.

Without a sink it makes Parquet of them: it takes the folder's lock or ends at once, delivers segment after segment to
the sinks that all wait for, deletes each when they have it, and removes what is too old. With a sink it delivers what
waits for that one (`catch_up`), under a lock of its own: a sink that is slow holds up itself alone. At the end it
prints what it did as one JSON object. It may be killed at any moment: what it had begun is begun again under the same
names.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bessemer.serve.log.locks import locked

if TYPE_CHECKING:
    from bessemer.serve.log.rolled import Rolled
    from bessemer.serve.log.sink import Sink
    from bessemer.serve.log.spec import LogSpec

#: The lock of the one roller, in the log's folder.
LOCK = "_journal/.roller.lock"

_ABANDONED_SECONDS = 60.0


def roll(spec: LogSpec) -> Rolled:
    """Deliver every closed segment of a log, or let it wait for its sink, then remove what is too old or too much.

    Does nothing while another roller works on the folder.
    """
    from bessemer.serve.log.retention import retain
    from bessemer.serve.log.rolled import Rolled

    folder, done = Path(spec.folder), Rolled()
    with locked(folder / LOCK, os.O_RDWR | os.O_CREAT) as mine:
        if mine is None:
            return done
        # whatever fails in one of the steps keeps no other from its work, and what was done is told
        for step in (
            lambda: _roll(folder, spec, done),
            lambda: _remove_abandoned(folder),
            lambda: retain(folder, spec.keep, spec.max_disk),
        ):
            try:
                step()
            except Exception as error:  # noqa: BLE001
                done.failed(str(folder), error)
    return done


def _roll(folder: Path, spec: LogSpec, done: Rolled) -> None:
    from bessemer.package.prediction_log.layout import segments
    from bessemer.serve.log.catch_up import keep_within
    from bessemer.serve.log.plugins import SINKS

    kinds = {name: SINKS.load(name) for name in spec.sinks}
    beside = [name for name, kind in kinds.items() if kind.beside]
    first = [
        kind(folder, kind.Settings.model_validate(spec.sinks[name]))
        for name, kind in kinds.items()
        if not kind.beside
    ]
    tried: set[Path] = set()
    while fresh := [path for path in segments(folder) if path not in tried]:
        for path in fresh:
            tried.add(path)
            with locked(path) as file:
                if file is not None and _waits(folder, beside, path, done):
                    _deliver(path, file, first, done)
    for name in beside:
        keep_within(folder, name, spec, done)


def _waits(folder: Path, beside: Iterable[str], path: Path, done: Rolled) -> bool:
    """Let a segment wait for those that others do not wait for; False where that failed, and it stays."""
    from bessemer.serve.log.waiting import put

    try:
        for name in beside:
            put(folder, name, path)
    except OSError as error:
        done.failed(path.name, error)
        return False
    return True


def _deliver(path: Path, file: IO[bytes], sinks: Iterable[Sink], done: Rolled) -> None:
    from bessemer.package.prediction_log.journal import Segment
    from bessemer.serve.log.rolled import Rows

    rows: Rows | None = None
    try:
        for sink in sinks:
            file.seek(0)
            rows = Rows(Segment(file))
            sink.write(path.stem, iter(rows))
    except Exception as error:  # noqa: BLE001 - whatever a sink raises: the others' turn comes
        done.failed(path.name, error)
        return
    done.rows += rows.count if rows else 0
    done.segments += 1
    if rows and rows.segment.tail == "damaged":
        # what stands before the damage was delivered; the rest is kept for a look
        done.damaged += 1
        path.rename(path.with_suffix(".damaged"))
    else:
        path.unlink()


def _remove_abandoned(folder: Path) -> None:
    """Segments whose writer died before they had their name: they are empty."""
    for path in (folder / LOCK).parent.glob(".*.new"):
        with locked(path) as file:
            if file is not None and time.time() - os.fstat(file.fileno()).st_mtime > _ABANDONED_SECONDS:
                path.unlink(missing_ok=True)


def main(settings: str, sink: str = "") -> None:
    os.nice(19)
    from bessemer.serve.log.spec import LogSpec

    # One thread: the machine is the server's.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    spec = LogSpec.model_validate_json(settings)
    if sink:
        from bessemer.serve.log.catch_up import catch_up

        done = catch_up(spec, sink)
    else:
        done = roll(spec)
    _tell(json.dumps(asdict(done)))


def _tell(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (
        BrokenPipeError
    ):  # the server has ended meanwhile: nobody listens, nor when Python flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main(*sys.argv[1:3])
