"""A job that was killed goes on: each row is there once, and nothing that was made safe is scored again."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.core.errors import DataError
from bessemer.predict.job import predict

ROWS, BATCH = 40_000, 250
KILLS = 8

# A real process that scores with the real model, and says each batch that its sink has.
SCRIPT = """
import json, sys
from bessemer.api import load, predict
package, source, output, settings = sys.argv[1:]
told = lambda rows, before: print("taken" if before else "batch", rows, flush=True)
predict(load(package, threads=2), source, output, told=told, **json.loads(settings))
print("done", flush=True)
"""


def started(package: Path, source: Path, output: str, settings: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", SCRIPT, str(package), str(source), output, settings]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def killed_until_done(
    package: Path, source: Path, output: str, settings: str, chance: random.Random, most: int
) -> tuple[int, int]:
    """Kill the job at random moments, and at last let it end: gives (kills, batches that were told)."""
    kills = batches = 0
    while True:
        process = started(package, source, output, settings)
        assert process.stdout is not None
        patience = chance.randrange(1, 9) if kills < most else 10**9
        lines = list(itertools.islice(process.stdout, patience))
        if lines and lines[-1] != "done\n":
            time.sleep(chance.random() * 0.02)
            process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
        process.stdout.close()
        code = process.wait()
        kills += code == -signal.SIGKILL
        assert code in (0, -signal.SIGKILL)
        batches += sum(line.startswith("batch") for line in lines)
        if lines and lines[-1] == "done\n":  # a kill may have come behind its end
            return kills, batches
        assert code == -signal.SIGKILL


TARGETS = {
    "parquet": ("out.parquet", {}),
    "csv.gz": ("out.csv.gz", {}),
    "folder": ("out/", {"part_rows": 3000}),
    "sqlite": ("out.db", {"table": "scored"}),
    "duckdb": ("out.duckdb", {"table": "scored"}),
}


def content(folder: Path) -> Any:
    """What a job left, to be held against what another left: files byte by byte, tables row by row."""
    if (folder / "out.db").exists():
        return sqlite3.connect(folder / "out.db").execute("SELECT * FROM scored").fetchall()
    if (folder / "out.duckdb").exists():
        with duckdb.connect(str(folder / "out.duckdb")) as connection:
            return connection.execute("SELECT * FROM scored").fetchall()
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "_SUCCESS")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_killed_at_random_moments_the_output_is_that_of_an_uninterrupted_run(
    name: str, package: Path, make_rows: Any, tmp_path: Path
) -> None:
    source = tmp_path / "in.parquet"
    pq.write_table(make_rows(ROWS), source, row_group_size=3333)
    output, more = TARGETS[name]
    settings = json.dumps({"keep": ["id"], "batch_rows": BATCH, "checkpoint": 0.0, **more})
    (tmp_path / "whole").mkdir()
    whole = started(package, source, f"{tmp_path}/whole/{output}", settings)
    assert whole.communicate(timeout=900)[0].endswith("done\n")
    chance, kills = random.Random(name), 0
    while kills < KILLS:  # a job may be through before it was killed so often: then another one
        (tmp_path / "killed").mkdir()
        there = f"{tmp_path}/killed/{output}"
        more_kills, batches = killed_until_done(package, source, there, settings, chance, KILLS - kills)
        kills += more_kills
        found = content(tmp_path / "killed")
        assert found == content(tmp_path / "whole")
        assert found
        assert batches <= ROWS // BATCH, "a batch that was told is safe: it is not scored again"
        shutil.rmtree(tmp_path / "killed")


class PowerCutError(BaseException):
    """Nobody catches this."""


def cut_at(moment: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """From the n-th call that makes something last on, none does anything; gives how many there were."""
    count = itertools.count(1)
    done = [0]

    def cutting(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            done[0] = next(count)
            if done[0] >= moment:
                raise PowerCutError
            return real(*args, **kwargs)

        return call

    for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink"), (shutil, "rmtree")):
        monkeypatch.setattr(owner, name, cutting(getattr(owner, name)))
    return lambda: done[0]


@pytest.mark.slow
@pytest.mark.parametrize("output", ["out.parquet", "out.jsonl.gz", "out/"])
def test_cut_at_each_single_moment_nothing_is_lost_or_twice(
    output: str, model: Any, make_rows: Any, tmp_path: Path
) -> None:
    """Every write that lasts is the last one, in turn: also those between the end of a file and its name."""
    source = tmp_path / "in.parquet"
    pq.write_table(make_rows(1000), source)
    settings: dict[str, Any] = {"keep": ["id"], "batch_rows": 200, "checkpoint": 0.0}
    settings |= {"part_rows": 400} if output == "out/" else {}
    (tmp_path / "whole").mkdir()
    predict(model, source, f"{tmp_path}/whole/{output}", **settings)
    wanted = content(tmp_path / "whole")
    for moment in itertools.count(1):
        folder = tmp_path / "cut"
        folder.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            reached = cut_at(moment, patch)
            try:
                predict(model, source, f"{folder}/{output}", **settings)
                whole = True
            except PowerCutError:
                whole = False
        if whole and reached() < moment:
            assert moment > 20
            return
        done = predict(model, source, f"{folder}/{output}", **settings)
        assert done.rows == 1000
        assert content(folder) == wanted, f"cut at moment {moment}"
        shutil.rmtree(folder)


def test_a_failed_job_goes_on_and_another_begins_anew(model: Any, make_rows: Any, tmp_path: Path) -> None:
    table = make_rows(1000)
    folder = tmp_path / "in"
    folder.mkdir()
    pq.write_table(table.slice(0, 600), folder / "a.parquet")
    bad = table.slice(600).set_column(1, "tenure", pa.array(["old"] * 400))
    pq.write_table(bad, folder / "b.parquet")
    out = tmp_path / "out.parquet"

    def call(**settings: Any) -> tuple[int, int]:
        seen: list[tuple[int, bool]] = []
        told = lambda n, before: seen.append((n, before))  # noqa: E731
        with contextlib.suppress(DataError):
            predict(model, folder, out, batch_rows=100, told=told, **settings)
        return sum(n for n, before in seen if before), sum(n for n, before in seen if not before)

    assert call() == (0, 600)
    assert call() == (600, 0), "what was scored before the failure is taken over"
    assert call(explain=True) == (0, 600), "another setting"
    assert call(explain=True) == (600, 0)
    assert call(explain=True, restart=True) == (0, 600)
    os.utime(folder / "a.parquet", ns=(1, 1))
    assert call(explain=True) == (0, 600), "another source"
    assert not out.exists()
    pq.write_table(table.slice(600), folder / "b.parquet")
    assert call(explain=True) == (0, 1000)
    assert pq.read_table(out).num_rows == 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out.parquet"]


@pytest.mark.slow
def test_damaged_state_is_not_trusted(model: Any, make_rows: Any, tmp_path: Path) -> None:
    """Cut data, a cut state, a part that is gone: the job begins anew rather than lose a row."""
    source = tmp_path / "in.parquet"
    pq.write_table(make_rows(1000), source)
    settings: dict[str, Any] = {"batch_rows": 100, "checkpoint": 0.0}

    def stop_after(rows: int) -> Callable[[int, bool], None]:
        def told(n: int, before: bool) -> None:
            nonlocal rows
            rows -= n
            if rows <= 0:
                raise KeyboardInterrupt

        return told

    hidden = tmp_path / ".out.csv.parts"
    for damage in ("data", "state.json"):
        with pytest.raises(KeyboardInterrupt):
            predict(model, source, tmp_path / "out.csv", told=stop_after(500), **settings)
        os.truncate(hidden / damage, 100)
        done = predict(model, source, tmp_path / "out.csv", **settings)
        assert (done.rows, done.taken_over) == (1000, 0)
        assert len((tmp_path / "out.csv").read_bytes().splitlines()) == 1001
    with pytest.raises(KeyboardInterrupt):
        predict(model, source, f"{tmp_path}/out/", part_rows=200, told=stop_after(500), **settings)
    (tmp_path / "out" / "part-00000.parquet").unlink()
    assert predict(model, source, f"{tmp_path}/out/", part_rows=200, **settings).taken_over == 0
    assert pq.read_table(tmp_path / "out").num_rows == 1000


def test_a_source_that_changes_meanwhile_is_told(model: Any, make_rows: Any, tmp_path: Path) -> None:
    source = tmp_path / "in.parquet"
    pq.write_table(make_rows(1000), source)
    told = lambda rows, before: os.utime(source, ns=(1, rows))  # noqa: E731
    with pytest.raises(DataError, match="was changed while it was scored"):
        predict(model, source, tmp_path / "out.csv", told=told)
    assert not (tmp_path / "out.csv").exists()


def test_complete_folders_and_tables_are_not_scored_again(model: Any, make_rows: Any, tmp_path: Path) -> None:
    source = tmp_path / "in.parquet"
    pq.write_table(make_rows(500), source)
    for output, more in ((f"{tmp_path}/out/", {}), (f"{tmp_path}/out.db", {"table": "scored"})):
        assert predict(model, source, output, **more).taken_over == 0
        before = content(tmp_path)
        assert predict(model, source, output, **more).taken_over == 500
        assert content(tmp_path) == before
