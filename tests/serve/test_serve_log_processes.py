"""The prediction log over several processes: kills, full disks, two writers, rolling while writing."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from killed_roller import killed_everywhere
from serve_log_writer import ROW, entry

from bessemer.core.errors import EnvironmentFault
from bessemer.package.prediction_log import layout
from bessemer.package.prediction_log.read import read_log
from bessemer.serve.errors import RequestError
from bessemer.serve.log.entry import Label
from bessemer.serve.log.prediction_log import PredictionLog
from bessemer.serve.log.roller import roll
from bessemer.serve.log.spec import LogSpec
from bessemer.testing.models import tiny_signature
from patience import until

pytestmark = pytest.mark.slow
WRITER = Path(__file__).with_name("serve_log_writer.py")


class Writer:
    """A process that logs as fast as it can (or with pauses), and the ids whose `take` has returned in it."""

    def __init__(self, folder: Path, name: str, pause: float = 0.0, **settings: Any) -> None:
        self.acknowledged: list[str] = []
        self.refused = 0
        self.process = subprocess.Popen(
            [sys.executable, str(WRITER), str(folder), name, json.dumps(settings), str(pause)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.endswith("\n"):  # a line that was cut acknowledges nothing
                self.acknowledged += line.split()

    def wait_for(self, ids: int) -> None:
        until(lambda: len(self.acknowledged) >= ids or self.process.poll() is not None, f"{ids} ids")
        assert self.process.poll() is None, "the writer ended"

    def kill(self) -> list[str]:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._thread.join()
        return self.acknowledged


def ids(folder: Path) -> Counter[str]:
    return Counter(read_log(folder, "tiny", labels=False).read_all()["prediction_id"].to_pylist())


def none_lost(folder: Path, acknowledged: list[str]) -> None:
    found = ids(folder)
    assert not [each for each in acknowledged if found[each] != 1]
    assert max(found.values(), default=1) == 1


def settle(folder: Path) -> None:
    """Wait for rollers that killed writers have left behind, then roll what is left."""

    def settled() -> bool:
        done = roll(LogSpec(folder=str(folder), keep=None))
        assert not done.failures, done
        return not layout.segments(folder)

    until(settled)


def test_nothing_acknowledged_is_lost_by_kills(tmp_path: Path) -> None:
    """12 processes, killed at random moments while they write and have journals rolled; then everything, once."""
    folder, chance = tmp_path / "log", random.Random(7)
    acknowledged: list[str] = []
    for number in range(12):
        writer = Writer(folder, f"w{number}", roll_size=50_000, roll_age=0.2)
        writer.wait_for(50)
        time.sleep(chance.random() * 0.3)
        acknowledged += writer.kill()
        if number % 6 == 0:
            none_lost(folder, acknowledged)  # also while a roller may be at work
    assert len(acknowledged) >= 12 * 50
    none_lost(folder, acknowledged)
    settle(folder)
    none_lost(folder, acknowledged)
    labelled = read_log(folder, "tiny").read_all().to_pylist()
    known = set(acknowledged)
    missing = [
        row for row in labelled
        if row["label"] is None and row["prediction_id"].endswith("-0") and row["prediction_id"] in known
        and int(row["prediction_id"].partition(".")[2].partition("-")[0]) % 3 == 0
    ]  # fmt: skip
    assert not missing


def test_rollers_may_be_killed_too(tmp_path: Path) -> None:
    """One that is killed before any change that it makes for a segment neither loses nor doubles a row."""
    folder = tmp_path / "log"
    spec = LogSpec(folder=str(folder), roll_size=200_000, keep=None)
    log = PredictionLog(spec)
    log._watcher.stop()  # the rollers of this test are its own
    log.register("tiny", "1.0.0", tiny_signature("binary"))
    wanted = []
    for number in range(3000):
        batch = [f"{number}-{row}" for row in range(10)]
        log.take(entry(batch, at=1e9 + 86_400.0 * (number % 3)))
        wanted += batch
    log._journal.close()
    assert len(layout.segments(folder)) > 10
    before = len(layout.segments(folder))
    assert killed_everywhere(12, spec.model_dump_json()) == 12
    assert len(layout.segments(folder)) < before, "the last ones came as far as the second segment"
    none_lost(folder, wanted)
    settle(folder)
    none_lost(folder, wanted)
    assert not list(folder.rglob(".*.unfinished"))


def test_two_writers_and_a_reader_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    writers = [Writer(folder, name, pause=0.002, roll_size=50_000, roll_age=0.5) for name in "ab"]
    for writer in writers:
        writer.wait_for(100)
    for _ in range(5):
        before = [each for writer in writers for each in list(writer.acknowledged)]
        none_lost(folder, before)
        for writer in writers:
            writer.wait_for(len(writer.acknowledged) + 50)
    acknowledged = [each for writer in writers for each in writer.kill()]
    settle(folder)
    none_lost(folder, acknowledged)
    assert list((folder / "tiny" / "1.0.0").rglob("part-*.parquet"))


def test_a_living_worker_rolls_its_own_journal_and_that_of_a_dead_one(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    dead = Writer(folder, "dead", pause=0.002, roll_age=3600)
    dead.wait_for(200)
    wanted = dead.kill()
    with PredictionLog(LogSpec(folder=str(folder), roll_age=0.3)) as log:
        log.register("tiny", "1.0.0", tiny_signature("binary"))
        log.take(entry(["mine"]))
        until(lambda: log.stats().rolled_segments >= 2, "both segments")
        assert log.stats().rolled_rows >= len(wanted) + 1
        assert log.stats().roll_failures == 0
    none_lost(folder, [*wanted, "mine"])
    assert not layout.segments(folder)


def limited(code: str, folder: Path, limit: int) -> Any:
    """Run code in a process whose files may not grow beyond a size, as on a disk that is full."""
    return subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(WRITER.parent)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip


FULL = """
import sys, json
from serve_log_writer import entry
from bessemer.serve.log.prediction_log import PredictionLog
from bessemer.serve.log.spec import LogSpec
from bessemer.serve.log.entry import Label
from bessemer.serve.errors import RequestError
from bessemer.testing.models import tiny_signature
log = PredictionLog(LogSpec(folder=sys.argv[1], on_full=POLICY))
log.register("tiny", "1.0.0", tiny_signature("binary"))
kept, refused = [], 0
for i in range(200):
    before = log.stats().dropped
    ids = [f"{i}-{row}" for row in range(1 + i % 9)]
    try:
        log.take(entry(ids))
    except RequestError as error:
        assert error.status == 503, error
        refused += 1
    if log.stats().dropped == before:
        kept += ids
try:
    log.feedback("tiny", [Label("x" * 500, "no", 1.0)] * 100)
    feedback = 200
except RequestError as error:
    feedback = error.status
print(json.dumps({"kept": kept, "refused": refused, "dropped": log.stats().dropped, "feedback": feedback}))
log.close(wait=0)
"""


@pytest.mark.parametrize("policy", ["drop", "refuse"])
def test_a_full_disk_stops_neither_serving_nor_reading(tmp_path: Path, policy: str) -> None:
    """What was written before is whole; small batches that still fit are kept; the rest is counted."""
    folder = tmp_path / "log"
    begun = time.monotonic()
    done = limited(FULL.replace("POLICY", repr(policy)), folder, 30_000)
    lasted = time.monotonic() - begun
    said = json.loads(done.stdout)
    assert said["dropped"] > 100
    assert len(said["kept"]) > 50
    assert bool(said["refused"]) is (policy == "refuse")
    assert said["feedback"] == 503
    assert 1 <= done.stderr.count("cannot be written") <= 1 + lasted // 60, "one line a minute"
    assert ids(folder) == Counter(said["kept"])
    settle(folder)
    assert ids(folder) == Counter(said["kept"])


def test_a_roller_on_a_full_disk_keeps_the_journal(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    spec = LogSpec(folder=str(folder))
    log = PredictionLog(spec)
    log.register("tiny", "1.0.0", tiny_signature("binary"))
    wanted = [f"{random.Random(i).getrandbits(128):032x}" for i in range(2000)]
    log.take(entry(wanted))
    log.close(wait=0)
    code = "import sys; from bessemer.serve.log.roller import main; main(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, spec.model_dump_json()], capture_output=True, text=True, check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )  # fmt: skip
    said = json.loads(done.stdout)
    assert (said["failures"], said["segments"]) == (1, 0)
    assert said["error"]
    assert not list(folder.rglob("*.parquet*"))
    none_lost(folder, wanted)
    settle(folder)
    none_lost(folder, wanted)


def test_too_much_that_waits_blocks_and_unblocks(tmp_path: Path) -> None:
    """Journals that nobody can roll do not grow beyond `max_disk`."""
    spec = LogSpec(folder=str(tmp_path / "log"), max_disk=20_000, on_full="refuse")
    log = PredictionLog(spec)
    log.register("tiny", "1.0.0", tiny_signature("binary"))
    log.take(entry([f"{i}" * 30 for i in range(200)]))
    log._watcher.look(time.monotonic())
    with pytest.raises(RequestError, match="could not be logged"):
        log.take(entry(["more"]))
    with pytest.raises(RequestError, match="labels could not"):
        log.feedback("tiny", [Label("more", "no", 1.0)])
    with log._lock:
        log._journal.roll()
    log._watcher.stop()
    settle(tmp_path / "log") if not log._journal.own else roll(spec)
    log._watcher.look(time.monotonic())
    log.take(entry(["more"]))
    log.close(wait=0)


@pytest.mark.parametrize("fsync", ["interval", "always"])
def test_the_journal_can_be_forced_to_the_disk(tmp_path: Path, fsync: Any) -> None:
    with PredictionLog(LogSpec(folder=str(tmp_path / "log"), fsync=fsync)) as log:
        log.register("tiny", "1.0.0", tiny_signature("binary"))
        log.take(entry(["a"]))
        log._watcher.look(time.monotonic())
    none_lost(tmp_path / "log", ["a"])


def test_the_command_shows_writes_and_finds(tmp_path: Path) -> None:
    with PredictionLog(LogSpec(folder=str(tmp_path / "prediction-log"))) as log:
        log.register("tiny", "1.0.0", tiny_signature("binary"))
        # Python has no date for the second one's time
        log.take(entry(["a", "b"], rows=[ROW, (*ROW[:4], 9_000_000_000_000_000_000)]))
        log.feedback("tiny", [Label("b", "no", time.time())])

    def call(*args: str) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "bessemer", "log", *args], cwd=tmp_path, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    lines = [json.loads(line) for line in call("tiny", "--json", "--since", "1h").stdout.splitlines()]
    assert {line["prediction_id"]: line["label"] for line in lines} == {"a": None, "b": "no"}
    assert lines[0]["in.contract"] == "Month-to-month"
    times = {line["prediction_id"]: line["in.désactivé"] for line in lines}
    assert times == {"a": "2024-01-31T12:00:00Z", "b": None}
    assert "yes" in call("prediction-log").stdout
    assert len(call("prediction-log/tiny", "--limit", "1", "--json").stdout.splitlines()) == 1
    for name in ("out.parquet", "out.csv"):
        done = call("tiny", "-o", name)
        assert "wrote 2 predictions" in done.stdout, done.stderr
        assert (tmp_path / name).stat().st_size
    for args, words in (
        (("tini",), "did you mean 'tiny'"),
        (("tiny", "--since", "soon"), "is no time"),
        (("tiny", "-o", "x.txt"), "neither .parquet nor .csv"),
        ((".",), "no prediction log"),
    ):
        done = call(*args)
        assert done.returncode == 2, done
        assert words in done.stderr


def test_a_folder_that_is_removed_is_made_again(tmp_path: Path) -> None:
    """What comes after the next look is in a file one can find, not in one that has no name."""
    folder = tmp_path / "log"
    with PredictionLog(LogSpec(folder=str(folder))) as log:
        log.register("tiny", "1.0.0", tiny_signature("binary"))
        log.take(entry(["gone"]))
        folder.rename(tmp_path / "removed")  # at once: the log looks after it meanwhile
        shutil.rmtree(tmp_path / "removed")
        log._watcher.look(time.monotonic())
        log.take(entry(["kept"]))
        assert ids(folder) == Counter(["kept"])


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EnvironmentFault, match="cannot be written"):
        PredictionLog(LogSpec(folder=str(tmp_path / "file")))


def test_several_threads_lose_no_row_and_no_count(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log = PredictionLog(LogSpec(folder=str(folder), roll_size=20_000))
    log.register("tiny", "1.0.0", tiny_signature("binary"))

    def work(name: str) -> None:
        for number in range(200):
            log.take(entry([f"{name}.{number}-{row}" for row in range(3)]))
            log.register("tiny", "1.0.0", tiny_signature("binary"))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.stats().rows == 2400
    log.close(wait=0)
    none_lost(
        folder, [f"{name}.{number}-{row}" for name in "abcd" for number in range(200) for row in range(3)]
    )
    settle(folder)
    assert sum(ids(folder).values()) == 2400
