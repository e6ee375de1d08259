"""The access log: what stands in it, what never does, and that it holds nothing up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from telemetry_tools import Telling

from bessemer.serve.telemetry.access_log import AccessLog
from bessemer.serve.telemetry.lines import LONGEST, clean, line, trace_id
from bessemer.serve.telemetry.rotating import RotatingFile
from bessemer.serve.telemetry.spec import AccessLogSpec, TelemetrySpec
from bessemer.serve.wire import Request, Response
from patience import PATIENCE, until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_bytes().splitlines()] if path.exists() else []


def logged(log: AccessLog, path: str = "/predict", **headers: str) -> None:
    log(Request("POST", path, headers=headers), Response(200, b"{}"), "127.0.0.1", "", 0.001)


def test_the_settings_have_short_forms() -> None:
    assert TelemetrySpec().access_log is None
    assert TelemetrySpec(access_log=False).access_log is None
    assert TelemetrySpec(access_log=True).access_log == AccessLogSpec()
    assert TelemetrySpec(access_log="a.log").access_log == AccessLogSpec(file="a.log")
    whole = TelemetrySpec(access_log="a.log", otlp={"sample": "5%", "interval": "1m"})
    assert TelemetrySpec(**json.loads(whole.model_dump_json())) == whole, "as a worker gets it"
    with pytest.raises(ValidationError, match="not a size"):
        TelemetrySpec(access_log={"file": "a.log", "rotate": "big"})


@pytest.mark.slow
def test_a_server_writes_a_line_for_each_answer(tell: Any, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    served: Telling = tell({"access_log": {"file": str(file), "skip": ["/healthz"]}})
    before = time.time()
    served.predict(
        authorization="Bearer secret-one", x_request_id="abc-1", user_agent="curl/8", traceparent=PARENT
    )
    assert served.client.get("/healthz").status_code == 200
    assert served.predict(b'{"rows": ["secret-two"]}', cookie="session=secret-three").status_code == 400
    assert served.client.post("/predict?explain=true&token=secret-four", content=b"{}").status_code == 400
    served.end()
    found = lines(file)
    assert [(each["method"], each["path"], each["status"]) for each in found] == [
        ("POST", "/predict", 200),
        ("POST", "/predict", 400),
        ("POST", "/predict", 400),
    ]
    first = found[0]
    assert set(first) == {
        *(
            "time",
            "method",
            "path",
            "status",
            "bytes",
            "seconds",
            "address",
            "request_id",
            "user_agent",
            "trace_id",
        )
    }
    assert (first["address"], first["request_id"], first["user_agent"]) == ("127.0.0.1", "abc-1", "curl/8")
    assert first["trace_id"] == TRACE
    assert first["bytes"] > 50
    seconds = time.time() - before
    assert 0 < first["seconds"] < seconds + 0.002
    from datetime import datetime

    assert 0 <= datetime.fromisoformat(first["time"]).timestamp() - before + 0.001 <= seconds + 0.002
    assert b"secret" not in file.read_bytes()


@pytest.mark.slow
def test_without_a_file_lines_go_to_the_error_stream(tell: Any) -> None:
    served: Telling = tell({"access_log": True})
    served.predict()
    errors = served.end()
    assert [json.loads(text)["status"] for text in errors.splitlines()] == [200]


@pytest.mark.slow
def test_an_error_stream_that_nobody_reads_holds_up_no_request(tell: Any) -> None:
    """The pipe is full after 64 KB: the thread waits, the queue fills, the server answers, and counts what is lost."""
    served: Telling = tell({"access_log": {"queue": 16}})
    agent = "x" * 900
    for _ in range(400):
        assert served.predict(user_agent=agent).status_code == 200
    text = served.client.get("/metrics").text
    dropped = next(row for row in text.splitlines() if row.startswith("bessemer_telemetry_dropped_total{"))
    assert float(dropped.split()[-1]) > 100
    errors = served.end()  # which reads the stream: what waited is written, and what was lost is told
    told = [json.loads(row) for row in errors.splitlines()]
    lost = sum(row["dropped"] for row in told if "dropped" in row)
    assert lost + sum("status" in row for row in told) == 401


def test_a_client_cannot_write_a_line_of_its_own() -> None:
    evil = 'x\r\n{"status":200}\x1b[31m\x9b\u2028\u202e'
    found = line((0.0, "GET", "/" + evil, 404, 0, 0.1, evil, "::1", evil, evil * 1000, evil, ""))
    assert found.count(b"\n") == 1
    assert found.endswith(b"}\n")
    text = found.decode()[:-1]
    assert all(character.isprintable() for character in text)
    value = json.loads(text)
    assert "trace_id" not in value
    assert len(value["user_agent"]) <= 6 * LONGEST
    assert clean("plain é text") == "plain é text"


@pytest.mark.parametrize(
    "parent",
    ["", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", PARENT.upper(), PARENT + ", " + PARENT, "x" * 9999],
)
def test_a_broken_trace_is_none(parent: str) -> None:
    assert trace_id(parent) == ""


def test_files_turn_round_and_the_oldest_goes(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    log = RotatingFile(str(file), 4096, keep=2)
    row = b"x" * 99 + b"\n"
    for number in range(150):
        log.write(str(number).zfill(4).encode() + row[4:])
    log.close()
    names = sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".lock")
    assert names == ["a.log", "a.log.1", "a.log.2"]
    assert all(path.stat().st_size <= 4096 for path in tmp_path.iterdir())
    kept = [
        int(r[:4])
        for name in ("a.log.2", "a.log.1", "a.log")
        for r in (tmp_path / name).read_bytes().splitlines()
    ]
    assert kept == list(range(150 - len(kept), 150))
    assert len(kept) > 80


def test_none_is_kept_where_none_shall_be(tmp_path: Path) -> None:
    log = RotatingFile(str(tmp_path / "a.log"), 4096, keep=0)
    for _ in range(100):
        log.write(b"x" * 99 + b"\n")
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.lock"]


def test_a_file_that_another_program_moved_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    log = RotatingFile(str(file), 4096, keep=2)
    log.write(b"one\n")
    file.rename(tmp_path / "moved")
    log.write(b"two\n")
    file.unlink()
    log.write(b"three\n")
    log.close()
    assert (tmp_path / "moved").read_bytes() == b"one\n"
    assert file.read_bytes() == b"three\n"


WRITER = """
import sys
from bessemer.serve.telemetry.rotating import RotatingFile
log = RotatingFile(sys.argv[1], 20_000, keep=1000)
for number in range(3000):
    log.write(f"{sys.argv[2]} {number} ".encode() + b"." * 40 + b"\\n")
"""


@pytest.mark.slow
def test_several_processes_share_a_file_and_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(file), str(i)]) for i in range(3)]
    assert [writer.wait(PATIENCE) for writer in writers] == [0, 0, 0]
    files = [path for path in tmp_path.iterdir() if path.suffix != ".lock"]
    rows = [row.split() for path in files for row in path.read_text().splitlines()]
    assert len(files) > 10
    assert all(len(row) == 3 and row[2] == "." * 40 for row in rows), "no line is torn"
    assert sorted((int(row[0]), int(row[1])) for row in rows) == [
        (i, n) for i in range(3) for n in range(3000)
    ]
    assert all(path.stat().st_size <= 20_000 + 3 * 60 for path in files)


def test_a_folder_that_is_not_there_loses_lines_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "gone"
    log = AccessLog(AccessLogSpec(file=str(folder / "a.log")))
    logged(log)
    until(lambda: log.dropped == 1)
    folder.mkdir()
    logged(log)
    until(lambda: len(lines(folder / "a.log")) == 2)
    log.close()
    assert [row.get("status", row.get("dropped")) for row in lines(folder / "a.log")] == [200, 1]
    assert sum("cannot be written" in record.message for record in caplog.records) == 1


def test_a_full_queue_drops_and_counts(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    os.mkfifo(file)  # a file that nobody reads yet: opening it waits
    log = AccessLog(AccessLogSpec(file=str(file), queue=16))
    logged(log)
    until(lambda: not log._queue)
    for _ in range(20):
        logged(log)
    assert log.dropped == 4
    found: list[bytes] = []

    def read() -> None:
        with file.open("rb") as pipe:
            found.extend(iter(pipe.readline, b""))

    reader = threading.Thread(target=read)
    reader.start()
    log.close()
    reader.join(PATIENCE)
    assert [set(json.loads(row)) == {"time", "dropped"} for row in found].count(True) == 1
    assert len(found) == 1 + 16 + 1


def test_what_waits_is_bounded_in_bytes() -> None:
    log = AccessLog(AccessLogSpec())
    log._start = lambda: None  # type: ignore[method-assign]
    long = "x" * 60_000
    logged(log, "/" + long, **{"user-agent": long, "x-request-id": long, "traceparent": long})
    assert sum(len(part) for part in log._queue[0] if isinstance(part, str)) < 4 * LONGEST + 100


def test_a_forked_process_has_a_thread_of_its_own(tmp_path: Path) -> None:
    code = f"""
import os
from bessemer.serve.telemetry.access_log import AccessLog
from bessemer.serve.telemetry.spec import AccessLogSpec
from bessemer.serve.wire import Request, Response
log = AccessLog(AccessLogSpec(file={str(tmp_path / "a.log")!r}))
child = os.fork()
log(Request("GET", "/child" if child == 0 else "/parent"), Response(), "", "", 0.0)
log.close()
if child: os.waitpid(child, 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert sorted(row["path"] for row in lines(tmp_path / "a.log")) == ["/child", "/parent"]
