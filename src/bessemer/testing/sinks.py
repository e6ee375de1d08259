"""What every sink of predictions must do. Run each check over yours:

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_sink(check, tmp_path):
        check("my_package.sinks:MySink", Target("mine", str(tmp_path / "out")), read)

`read` gives the rows that stand at the target, as dicts. A check raises AssertionError with what is wrong.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pyarrow as pa

from bessemer.predict.protocol import Job, Progress, Sink, Target

Read = Callable[[Target], list[dict[str, Any]]]
Check = Callable[[str, Target, Read], None]

_ROWS = 4
SCHEMA = pa.schema([("id", pa.int64()), ("prediction", pa.string()), ("probability", pa.float64())])


def batch(number: int) -> pa.Table:
    """The batch of this number: four rows with ids of their own, one of them without a prediction."""
    ids = range(number * _ROWS, (number + 1) * _ROWS)
    labels = [None if i % _ROWS == 3 else f'row "{i}", ü' for i in ids]
    return pa.table({"id": ids, "prediction": labels, "probability": [i / 8 for i in ids]}, SCHEMA)


def job(key: str = "a", **more: Any) -> Job:
    """A job whose batches are made safe at once."""
    return Job(key * 64, SCHEMA, work=Path(mkdtemp(prefix="bessemer-sink-")), every=0.0, **more)


def _made(kind: str) -> type[Sink]:
    module, _, name = kind.partition(":")
    found: type[Sink] = getattr(importlib.import_module(module), name)
    return found


def _write(sink: Sink, first: int, last: int) -> None:
    for number in range(first, last):
        sink.write(batch(number), Progress(number + 1, (number + 1) * _ROWS, 0, (number + 1) * _ROWS))


def _whole(kind: str, target: Target, of: Job, batches: int) -> Progress:
    """Do all that is left of a job, as `bessemer predict` does; gives what was there before."""
    sink = _made(kind)(target, of)
    try:
        before = sink.open()
        if not before.complete:
            _write(sink, before.batches, batches)
        sink.finish()
    finally:
        sink.close()
    return before


def _die(kind: str, target: str, key: str, work: str, batches: str) -> None:
    """Begin a job and die in the middle of it, as SIGKILL does: nothing is closed, flushed or rolled back."""
    given = json.loads(target)
    sink = _made(kind)(Target(**given), replace(job(key), work=Path(work)))
    before = sink.open()
    _write(sink, before.batches, int(batches))
    os._exit(9)


def _killed(kind: str, target: Target, of: Job, batches: int) -> None:
    script = "import sys; from bessemer.testing.sinks import _die; _die(*sys.argv[1:])"
    arguments = [kind, json.dumps(asdict(target)), of.key[0], str(of.work), str(batches)]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)  # noqa: S603
    assert done.returncode == 9, done.stderr


def _same(rows: list[dict[str, Any]], batches: int) -> None:
    wanted = pa.concat_tables(batch(number) for number in range(batches)).to_pylist()
    found = [{name: row[name] for name in SCHEMA.names} for row in rows]
    assert found == wanted, f"{len(found)} rows are there, {len(wanted)} were written, or they differ"


def every_row_is_there_once_in_order(kind: str, target: Target, read: Read) -> None:
    before = _whole(kind, target, job(), 5)
    assert (before.batches, before.rows, before.complete) == (0, 0, False), "a new job has something already"
    _same(read(target), 5)


def a_killed_job_goes_on(kind: str, target: Target, read: Read) -> None:
    """It is killed after none, one and three of its batches; no batch that was made safe is asked for again."""
    of = job()
    for batches in (0, 1, 3):
        _killed(kind, target, of, batches)
    before = _whole(kind, target, of, 5)
    assert before.batches in (2, 3), f"three batches were written, {before.batches} are known"
    assert before.rows == before.batches * _ROWS
    assert before.row == before.rows, "the place in the source is lost"
    _same(read(target), 5)


def a_failed_job_goes_on(kind: str, target: Target, read: Read) -> None:
    of = job()
    sink = _made(kind)(target, of)
    sink.open()
    _write(sink, 0, 2)
    sink.close()
    assert _whole(kind, target, of, 3).batches == 2, "what was finished before a failure is lost"
    _same(read(target), 3)


def a_job_that_is_complete_is_not_done_again(kind: str, target: Target, read: Read) -> None:
    """Where the sink cannot tell, it begins anew; in no case are rows there twice."""
    of = job()
    _whole(kind, target, of, 3)
    again = _whole(kind, target, of, 3)
    assert again.complete or again.batches == 0
    _same(read(target), 3)


def nothing_is_kept_of_a_job_that_cannot_go_on(kind: str, target: Target, read: Read) -> None:
    """Killed, failed, and then whole: the rows of the whole one are there, and no others."""
    _killed(kind, target, job("b"), 0)
    sink = _made(kind)(target, job("c", resumable=False))
    sink.open()
    _write(sink, 0, 2)
    sink.close()
    _whole(kind, target, job("d", resumable=False), 3)
    _same(read(target), 3)


def no_rows_give_an_empty_output(kind: str, target: Target, read: Read) -> None:
    _whole(kind, target, job(), 0)
    assert read(target) == []


CHECKS: tuple[Check, ...] = (
    every_row_is_there_once_in_order,
    a_killed_job_goes_on,
    a_failed_job_goes_on,
    a_job_that_is_complete_is_not_done_again,
    nothing_is_kept_of_a_job_that_cannot_go_on,
    no_rows_give_an_empty_output,
)
