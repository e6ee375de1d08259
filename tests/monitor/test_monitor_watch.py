"""Watching a real prediction log, written by the server's own writer, by a clock that the test turns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from log_support import Server, at, watching

from bessemer.cli import group
from bessemer.core.errors import DataError
from bessemer.monitor.store import MonitorStore
from bessemer.monitor.watch import describe

HOURS = 6


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    one = Server(tmp_path / "log")
    yield one
    one.log.close()


@pytest.mark.slow
def test_each_window_once_and_the_changed_one_is_found(server: Server, package: Path, tmp_path: Path) -> None:
    for hour in range(HOURS):
        changed = {"tenure": np.full(500, 70)} if hour == 4 else {}
        server.answer(hour + 0.5, 500, 100 + hour, **changed)
    watch = watching(tmp_path, package)
    early = list(watch.tick(at(3.2)))
    assert [(w.start, w.rows) for w in early] == [
        (at(h).isoformat(timespec="microseconds"), 500) for h in range(3)
    ]
    assert not any(w.check["alarm"] for w in early)
    assert list(watch.tick(at(3.3))) == []
    late = list(watching(tmp_path, package).tick(at(HOURS)))  # another process goes on where the first was
    assert [w.check["alarm"] for w in late] == [False, True, False]
    found = {(row["column"], row["of"]) for row in late[1].check["findings"]}
    assert ("tenure", "input") in found
    assert ("prediction", "output") in found
    assert describe(late[1])["start"] == at(4).isoformat(timespec="microseconds")
    assert len(MonitorStore(tmp_path / "monitor.db").windows("tiny")) == HOURS


@pytest.mark.slow
def test_a_window_with_few_rows_goes_on_until_it_has_enough(
    server: Server, package: Path, tmp_path: Path
) -> None:
    for hour in range(4):
        server.answer(hour + 0.5, 120, hour)
    windows = list(watching(tmp_path, package).tick(at(4)))
    assert [(w.start[11:13], w.end[11:13], w.rows) for w in windows] == [("00", "02", 240), ("02", "04", 240)]


@pytest.mark.slow
def test_labels_that_come_late_are_looked_at(server: Server, package: Path, tmp_path: Path) -> None:
    """The concept changed in the second hour: nothing can be seen until its labels come, a day later."""
    ids = {hour: server.answer(hour + 0.5, 600, hour) for hour in range(2)}
    watch = watching(tmp_path, package, silence=None)
    first = list(watch.tick(at(2)))
    assert not any(w.check["alarm"] for w in first)
    assert [w.check["performance"]["labelled"] for w in first] == [0, 0]
    for hour in range(2):
        server.label(20, ids[hour], hour, flipped=0.4 * hour)
    assert list(watch.tick(at(24))) == []
    again = list(watch.tick(at(26)))
    assert [(w.looks, w.check["performance"]["labelled"], w.check["alarm"]) for w in again] == [
        (2, 600, False),
        (2, 600, True),
    ]
    assert [row["detector"] for row in again[1].check["findings"]] == ["measured_performance"]
    assert list(watch.tick(at(60))) == [], "it was looked at as often as was asked for"


@pytest.mark.slow
def test_what_was_forgotten_is_not_looked_at_again(server: Server, package: Path, tmp_path: Path) -> None:
    for hour in range(3):
        server.answer(hour + 0.5, 300, hour)
    watch = watching(tmp_path, package, keep="1d", again=[])
    assert len(list(watch.tick(at(3)))) == 3
    assert list(watch.tick(at(40))) == []
    assert MonitorStore(tmp_path / "monitor.db").windows("tiny") == []
    assert list(watch.tick(at(41))) == []
    server.answer(41.5, 300, 9)
    assert [w.rows for w in watch.tick(at(42))] == [300]


@pytest.mark.slow
def test_inputs_that_are_not_logged_say_nothing(package: Path, tmp_path: Path) -> None:
    (tmp_path / "log.key").write_bytes(bytes(range(32)))
    columns = {"exclude": ["tenure"], "hash": ["monthly charges"], "key": str(tmp_path / "log.key")}
    server = Server(tmp_path / "log", columns=columns)
    server.answer(0.5, 500, 3)
    server.log.close()
    (window,) = watching(tmp_path, package).tick(at(1))
    assert not window.check["alarm"], window.check["findings"]
    assert set(window.check["columns"]) <= {"autopay", "contract", "désactivé"}
    assert {"prediction", "probability", "score"} <= set(window.check["outputs"])


def test_where_nothing_is_logged(package: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no prediction log"):
        watching(tmp_path, package)
    Server(tmp_path / "log").log.close()
    assert list(watching(tmp_path, package).tick(at(5))) == []


@pytest.mark.slow
def test_the_command(server: Server, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer(0.5, 400, 1)
    server.answer(1.5, 400, 2, tenure=np.full(400, 70))
    monkeypatch.chdir(tmp_path)
    words = ["monitor", str(package), "--once", "--json"]
    done = CliRunner().invoke(group, [*words, "--log", "log", "--every", "1h", "--store", "found.db"])
    assert done.exception is None, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (
        "watching tiny 1.0.0 in log: 800 rows since 2026-03-01T00:00:00, they are looked at now"
        in done.stderr
    )
    assert [line["alarm"] for line in lines[:2]] == [False, True]
    (tmp_path / "bessemer.yaml").write_text(
        "data: x.csv\ntarget: churned\nserve: {log: {folder: log}}\nmonitor: {every: 2h, store: other.db}\n"
    )
    done = CliRunner().invoke(group, ["monitor", "watch", str(package), "--once"])
    assert done.exception is None, done.output
    assert "tenure" in done.output
    assert (tmp_path / "other.db").exists()
    wrong = CliRunner().invoke(group, [*words, "--log", "log", "--false-alarms", "1 per fortnight"])
    assert "'fortnight' is no period" in str(wrong.exception)
    short = CliRunner().invoke(group, [*words, "--log", "log", "--every", "0s"])
    assert "--every: a window of 0 s is too short: write 1s or more" in str(short.exception)
    typo = CliRunner().invoke(group, [*words, "--log", "log", "--model", "tinny", "--store", "typo.db"])
    assert "watching tinny 1.0.0 in log: no rows yet; the log has tiny 1.0.0;" in typo.stderr
    assert not typo.stdout
