"""What waits for a sink: neither the files nor retention wait for it, and one bad segment holds up no other."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from elastic_listener import ElasticListener
from serve_log_writer import ROW, entry
from telemetry_tools import Telling

from bessemer.package.prediction_log import layout
from bessemer.package.prediction_log.read import read_log
from bessemer.serve.log.catch_up import catch_up
from bessemer.serve.log.entry import Label
from bessemer.serve.log.helper import Helper
from bessemer.serve.log.prediction_log import PredictionLog
from bessemer.serve.log.roller import roll
from bessemer.serve.log.sinks.parquet import Parquet
from bessemer.serve.log.spec import LogSpec
from bessemer.serve.log.waiting import FOLDER, cut, lock_of, say_sent, waiting
from bessemer.testing.models import tiny_signature
from patience import PATIENCE, until

DAY = 86_400.0


@pytest.fixture
def server() -> Iterator[ElasticListener]:
    found = ElasticListener()
    yield found
    found.close()


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a test are its own."""
    monkeypatch.setattr(Helper, "free", False)


def spec(folder: Path, server: ElasticListener | None, **settings: Any) -> LogSpec:
    sinks: list[Any] = ["parquet"]
    if server is not None:
        sinks.append({"elasticsearch": {"url": server.url, **settings.pop("sink", {})}})
    return LogSpec(**{"folder": str(folder), "keep": None, "sinks": sinks} | settings)


def logged(log: LogSpec, name: str, **changes: Any) -> None:
    """A closed segment with one prediction."""
    with_log = PredictionLog(log)
    with_log.register("tiny", "1.0.0", tiny_signature("binary"))
    with_log.take(entry([name], **changes))
    with_log.close(wait=0)


def sent(server: ElasticListener) -> list[str]:
    return [document["prediction_id"] for documents in server.bulks for document in documents]


def read(folder: Path) -> list[dict[str, Any]]:
    return read_log(folder, "tiny").read_all().sort_by("prediction_id").to_pylist()


@pytest.mark.usefixtures("no_processes")
@pytest.mark.parametrize(
    "moment", [9_000_000_000_000_000_000, -9_000_000_000_000_000_000, "9999-12-31T23:59:59-10:00"]
)
def test_a_time_that_python_has_not_holds_up_nothing(
    server: ElasticListener, tmp_path: Path, moment: Any
) -> None:
    log = spec(tmp_path / "log", server)
    logged(log, "a", rows=[(*ROW[:4], moment)])
    logged(log, "b")
    assert roll(log).segments == 2
    done = catch_up(log, "elasticsearch")
    assert (done.failures, done.damaged, done.error, done.lost) == (0, 0, "", "")
    found = {document["prediction_id"]: document for documents in server.bulks for document in documents}
    assert "time" not in found["a"]["in"]
    assert found["a"]["in"]["number"]["tenure"] == 8
    assert found["b"]["in"]["time"] == {"désactivé": "2024-01-31T12:00:00.000000Z"}
    assert found["b"]["@timestamp"].endswith("Z")


@pytest.mark.slow
@pytest.mark.usefixtures("no_processes")
@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_with_a_server_at_fault_the_rest_waits(server: ElasticListener, tmp_path: Path, status: int) -> None:
    log = spec(tmp_path / "log", server)
    for name in "abc":
        logged(log, name)
    assert roll(log).segments == 3
    server.answers = lambda documents: status
    done = catch_up(log, "elasticsearch")
    assert (done.failures, done.damaged, done.lost) == (1, 0, "")
    assert "for a reason" in done.error
    assert set(sent(server)) == {"a"}, "the others are not even tried"
    assert len(waiting(tmp_path / "log", "elasticsearch")) == 3
    server.answers = lambda documents: 200
    server.bulks.clear()
    assert catch_up(log, "elasticsearch").failures == 0
    assert sent(server) == ["a", "b", "c"]


@pytest.mark.slow
@pytest.mark.usefixtures("no_processes")
@pytest.mark.parametrize("status", [400, 413])
def test_segments_that_are_at_fault_are_set_aside(
    server: ElasticListener, tmp_path: Path, status: int
) -> None:
    """Three of them at the head, and the others arrive."""
    folder = tmp_path / "log"
    log = spec(folder, server)
    for name in "abcde":
        logged(log, name)
    assert roll(log).segments == 5
    server.answers = lambda documents: status if documents[0]["prediction_id"] in "abc" else 200
    done = catch_up(log, "elasticsearch")
    assert (done.failures, done.damaged) == (0, 3)
    assert "for a reason" in done.lost
    aside = sorted((folder / FOLDER / "elasticsearch").glob("*.aside"))
    assert len(aside) == 3
    assert any(str(path) in done.lost for path in aside)
    assert sent(server)[-2:] == ["d", "e"]
    assert not waiting(folder, "elasticsearch")
    server.answers = lambda documents: 200
    for path in aside:
        path.rename(path.with_suffix(".journal"))
    assert catch_up(log, "elasticsearch").failures == 0
    assert sorted(sent(server)[-3:]) == ["a", "b", "c"], "under its old name it is tried again"


@pytest.mark.usefixtures("no_processes")
def test_damaged_bytes_at_the_head_hold_up_nothing(server: ElasticListener, tmp_path: Path) -> None:
    """A record that is whole and makes no sense, and two segments of a format that is to come."""
    from bessemer.package.prediction_log.journal import MAGIC, frame

    folder = tmp_path / "log"
    log = spec(folder, server)
    where = folder / FOLDER / "elasticsearch"
    where.mkdir(parents=True)
    for number in (0, 1):
        (where / f"{number}.journal").write_bytes(b"BSMLOG9\n")
    import msgspec

    (where / "2.journal").write_bytes(MAGIC + frame(msgspec.msgpack.encode([1, 7, 0.0, ["a"]])))
    logged(log, "a")
    assert roll(log).segments == 1
    done = catch_up(log, "elasticsearch")
    assert (done.failures, done.damaged) == (2, 1)
    assert "later format" in done.error
    assert "2.aside" in done.lost
    assert sent(server) == ["a"]
    assert [path.name for path in waiting(folder, "elasticsearch")] == ["0.journal", "1.journal"]


@pytest.mark.usefixtures("no_processes")
def test_whatever_a_sink_raises_retention_runs_and_counts_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "log"
    log = spec(folder, None, keep="1d")
    logged(log, "old", at=time.time() - 40 * DAY)
    assert roll(spec(folder, None)).segments == 1
    assert len(read(folder)) == 1
    for name in "abc":
        logged(log, name)
    write, calls = Parquet.write, []

    def fails(self: Parquet, segment: str, batches: Any) -> None:
        calls.append(segment)
        if len(calls) == 2:
            raise RecursionError("a fault of a library")
        write(self, segment, batches)

    monkeypatch.setattr(Parquet, "write", fails)
    done = roll(log)
    assert (done.segments, done.rows, done.failures) == (2, 2, 1)
    assert "a fault of a library" in done.error
    assert len(layout.segments(folder)) == 1
    assert {row["prediction_id"] for row in read(folder)} == {"a", "b", "c"}, "what is too old has gone"


@pytest.mark.usefixtures("no_processes")
def test_a_sink_that_cannot_begin_is_told(server: ElasticListener, tmp_path: Path, monkeypatch: Any) -> None:
    folder = tmp_path / "log"
    monkeypatch.setenv("ES_KEY", "bm90OnNlY3JldA==")
    log = spec(folder, server, sink={"api_key_env": "ES_KEY"})
    logged(log, "a")
    monkeypatch.delenv("ES_KEY")
    assert roll(log).failures == 0, "the files do not ask for it"
    done = catch_up(log, "elasticsearch")
    assert done.failures == 1
    assert "ES_KEY is not set" in done.error
    assert len(waiting(folder, "elasticsearch")) == 1


@pytest.mark.usefixtures("no_processes")
def test_what_is_being_sent_is_not_given_up(server: ElasticListener, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log = spec(folder, server)
    for name in "abcd":
        logged(log, name)
    roll(log)
    first, second, *_ = waiting(folder, "elasticsearch")
    second.rename(second.with_suffix(".aside"))
    assert (folder / lock_of("elasticsearch")).parent == first.parent
    say_sent(folder, "elasticsearch", first.name)
    size = first.stat().st_size
    assert cut(folder, "elasticsearch", 4 * size) == 0
    assert cut(folder, "elasticsearch", 2 * size) == 2
    left = sorted(path.name for path in first.parent.iterdir() if not path.name.startswith("."))
    assert first.name in left, "the oldest is being sent"
    assert len(left) == 2
    assert not list(first.parent.glob("*.aside")), "what was set aside counts, and goes"
    say_sent(folder, "elasticsearch", "")
    assert cut(folder, "elasticsearch", 0) == 2


@pytest.mark.usefixtures("no_processes")
def test_labels_that_no_date_has_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They may stand in journals of earlier servers, which took any number."""
    folder = tmp_path / "log"
    log = PredictionLog(spec(folder, None))
    log.register("tiny", "1.0.0", tiny_signature("binary"))
    now = time.time()
    names = [*"abcdef"]
    log.take(entry(names, rows=[ROW] * 6))
    wrong = [now * 1e3, -1e15, float("inf"), float("nan"), 253_402_300_800.0]
    log.feedback(
        "tiny", [Label(name, "yes", moment) for name, moment in zip(names, [now, *wrong], strict=True)]
    )
    log.close(wait=0)
    for what in ("journal", "files"):
        assert [row["label"] for row in read(folder)] == ["yes", *[None] * 5], what
        assert "5 labels are left out" in caplog.text
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            done = roll(spec(folder, None))
        assert (done.failures, done.segments, done.rows) == ((0, 1, 7) if what == "journal" else (0, 0, 0))


@pytest.mark.slow
@pytest.mark.usefixtures("no_processes")
def test_a_roller_whose_server_has_gone_ends_quietly(tmp_path: Path) -> None:
    log = spec(tmp_path / "log", None)
    logged(log, "a")
    roller = subprocess.Popen(
        [sys.executable, "-m", "bessemer.serve.log.roller", log.model_dump_json()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert roller.stdout
    assert roller.stderr
    roller.stdout.close()
    assert roller.wait(PATIENCE) == 0
    assert roller.stderr.read() == b""
    roller.stderr.close()


@pytest.mark.slow
def test_files_do_not_wait_for_a_server_that_is_slow(
    tell: Any, server: ElasticListener, tmp_path: Path
) -> None:
    """It answers no bulk request until the test lets it: segment after segment becomes a file meanwhile."""
    folder = tmp_path / "log"
    sink = {"elasticsearch": {"url": server.url, "timeout": f"{2 * PATIENCE:g}s"}}
    settings = {"folder": str(folder), "roll_age": "1s", "sinks": ["parquet", sink]}
    server.goes_on.clear()
    served: Telling = tell({}, log=settings)
    assert served.predict().is_success
    until(lambda: server.bulks)  # it is being sent
    for number in (2, 3):
        assert served.predict().is_success
        until(lambda: len(list(folder.rglob("*.parquet"))) >= number)  # noqa: B023
    assert len(server.bulks) == 1, "nothing was answered yet"
    assert len(waiting(folder, "elasticsearch")) >= 2
    server.goes_on.set()
    until(lambda: not waiting(folder, "elasticsearch"))
    assert "Traceback" not in served.end()
    assert len(set(sent(server))) == len(sent(server)) == 6


@pytest.mark.slow
def test_the_last_segment_is_sent_at_the_end(tell: Any, server: ElasticListener, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    settings = {"folder": str(folder), "sinks": ["parquet", {"elasticsearch": {"url": server.url}}]}
    served: Telling = tell({}, log=settings)
    assert served.predict().is_success
    served.end()
    until(lambda: len(sent(server)) == 2)
    assert list(folder.rglob("*.parquet"))
