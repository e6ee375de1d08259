"""Watching a real prediction log, written by the server's own writer, by a clock that the test turns."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from package_support import given, labels

import bessemer
from bessemer.cli import group
from bessemer.core.errors import DataError
from bessemer.monitor.spec import MonitorSpec
from bessemer.monitor.store import MonitorStore
from bessemer.monitor.watch import Watch, describe
from bessemer.serve.log.entry import Entry, Label
from bessemer.serve.log.prediction_log import PredictionLog
from bessemer.serve.log.spec import LogSpec
from bessemer.testing.models import CLASSES, INPUTS, tiny_model, tiny_signature

DAY = dt.datetime(2026, 3, 1)
HOURS = 6


def at(hours: float) -> dt.datetime:
    return DAY + dt.timedelta(hours=hours)


def seconds(moment: dt.datetime) -> float:
    return moment.replace(tzinfo=dt.UTC).timestamp()


class Server:
    """Logs what the tiny model says of rows at a time, and takes labels for them."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.log = PredictionLog(LogSpec(folder=str(folder), keep=None, **settings))
        self.log.register("tiny", "1.0.0", tiny_signature("binary"))
        self._model = tiny_model("binary")

    def answer(self, hour: float, n: int, seed: int, **changes: Any) -> list[str]:
        data = given(n, seed)
        for name, values in changes.items():
            data = data.set_column(data.schema.get_field_index(name), name, [values])
        outputs = self._model.session.run(data, ["prediction", "probability", "score"])
        rows = list(zip(*(data.column(field.name).to_pylist() for field in INPUTS), strict=True))
        ids = [f"{hour:g}-{i}" for i in range(n)]
        where = {
            "time": seconds(at(hour)),
            "latency": [0.001] * n,
            "client": ["me"] * n,
            "dialect": ["plain"] * n,
        }
        self.log.take(Entry("tiny", "1.0.0", ids, rows, None, outputs, **where))
        return ids

    def label(self, hour: float, ids: list[str], seed: int, flipped: float) -> None:
        found = labels(given(len(ids), seed), "binary", 99, flipped=flipped)
        told = [Label(i, CLASSES["binary"][k], seconds(at(hour))) for i, k in zip(ids, found, strict=True)]
        self.log.feedback("tiny", told)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    one = Server(tmp_path / "log")
    yield one
    one.log.close()


def watching(folder: Path, package: Path, **settings: Any) -> Watch:
    spec = MonitorSpec(
        **{"every": "1h", "rows": 200, "false_alarms": "1 per year", "again": ["1d"], **settings}
    )
    return Watch(bessemer.Monitor(package), folder / "log", MonitorStore(folder / "monitor.db"), spec)


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


def test_a_window_with_few_rows_goes_on_until_it_has_enough(
    server: Server, package: Path, tmp_path: Path
) -> None:
    for hour in range(4):
        server.answer(hour + 0.5, 120, hour)
    windows = list(watching(tmp_path, package).tick(at(4)))
    assert [(w.start[11:13], w.end[11:13], w.rows) for w in windows] == [("00", "02", 240), ("02", "04", 240)]


def test_labels_that_come_late_are_looked_at(server: Server, package: Path, tmp_path: Path) -> None:
    """The concept changed in the second hour: nothing can be seen until its labels come, a day later."""
    ids = {hour: server.answer(hour + 0.5, 600, hour) for hour in range(2)}
    watch = watching(tmp_path, package)
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


def test_the_command(server: Server, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer(0.5, 400, 1)
    server.answer(1.5, 400, 2, tenure=np.full(400, 70))
    monkeypatch.chdir(tmp_path)
    words = ["monitor", str(package), "--once", "--json"]
    done = CliRunner().invoke(group, [*words, "--log", "log", "--every", "1h", "--store", "found.db"])
    assert done.exception is None, done.output
    lines = [json.loads(line) for line in done.output.splitlines()]
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
