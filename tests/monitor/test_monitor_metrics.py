"""What the monitor found, as metrics: of real windows, scraped over HTTP and written into a file."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from click.testing import CliRunner
from log_support import Server, at
from operations_support import Busy
from prometheus_client.parser import text_string_to_metric_families

import bessemer
import patience
from bessemer.cli import group
from bessemer.core.errors import EnvironmentFault, UsageError
from bessemer.monitor.metrics import LastWindow, listen, write_textfile
from bessemer.monitor.slo import SloSpec
from bessemer.monitor.spec import MonitorSpec
from bessemer.monitor.store import Kept, MonitorStore
from bessemer.monitor.watch import Watch
from patience import PATIENCE, until
from ports import free_port
from prometheus_tools import prometheus

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    return {
        (sample.name.removeprefix("bessemer_monitor_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def labels(**pairs: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"model": "tiny", "version": "1.0.0", **pairs}.items()))


@pytest.fixture(scope="module")
def watched(
    packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[MonitorStore, list[Kept]]:
    """Three hours: the second has changed inputs, and labels have come for the first."""
    folder = tmp_path_factory.mktemp("watched")
    server = Server(folder / "log")
    first = server.answer(0.5, 500, 1)
    server.answer(1.5, 500, 2, tenure=np.full(500, 70))
    server.answer(2.5, 500, 3, tenure=np.full(500, 70))
    server.label(2.9, first, 1, flipped=0.0)
    server.log.close()
    busy = Busy(folder / "log")
    busy.minute([0.004] * 8, minutes=150, failed=1, cpu=0.1)
    store = MonitorStore(folder / "monitor.db")
    watchers: dict[str, Any] = {"slo": {}, "errors": {}, "cost": {"cpu_hour": 0.04, "currency": "CHF"}}
    spec = MonitorSpec(
        every="1h", rows=200, again=[], watchers=watchers, slo=SloSpec(availability="99%"), keep="365d"
    )
    windows = list(Watch(bessemer.Monitor(packages["binary"]), folder / "log", store, spec).tick(at(3)))
    return store, windows


def test_the_last_window_is_told(watched: tuple[MonitorStore, list[Kept]], tmp_path: Path) -> None:
    _, windows = watched
    last = LastWindow(MonitorStore(tmp_path / "other.db"), "tiny", "1.0.0")
    assert last.text() == "", "nothing was looked at yet"
    for window in windows:
        last.saw(window)
    found, check = samples(last.text()), windows[-1].check
    assert found["rows", labels()] == 500
    assert found["window_seconds", labels()] == 3600
    assert found["window_end_timestamp_seconds", labels()] == at(3).replace(tzinfo=dt.UTC).timestamp()
    kinds = {dict(pairs)["kind"]: value for (name, pairs), value in found.items() if name == "findings"}
    assert kinds["drift"] == sum(each["kind"] == "drift" for each in check["findings"]) > 0
    assert kinds["schema"] == 0
    test = check["columns"]["tenure"]["chi_square"]
    where = labels(of="input", column="tenure", detector="chi_square")
    assert (found["statistic", where], found["p_value", where]) == (test["value"], test["p_value"])
    objective = check["figures"]["slo"]["availability"]
    assert found["slo_budget_left", labels(slo="availability")] == objective["budget_left"] < 0
    cost = check["figures"]["cost"]["per_1000_rows"]
    assert found["cost_per_1000_rows", labels(currency="CHF")] == cost > 0
    assert found["labelled_share", labels()] == 0.0


def test_measured_performance_is_that_of_the_last_labelled_window(
    watched: tuple[MonitorStore, list[Kept]], tmp_path: Path
) -> None:
    """Labels come late: the last window hardly ever has any."""
    _, windows = watched
    last = LastWindow(MonitorStore(tmp_path / "other.db"), "tiny", "1.0.0")
    for window in reversed(windows):  # an older one, looked at again, takes nothing from a newer one
        last.saw(window)
    found = samples(last.text())
    assert found["rows", labels()] == windows[-1].rows
    assert found["window_end_timestamp_seconds", labels()] == at(3).replace(tzinfo=dt.UTC).timestamp()
    for source, window in (("measured", windows[0]), ("estimated", windows[-1])):
        for metric, figure in window.check["performance"][source].items():
            for name, key in (("", "value"), ("_low", "low"), ("_high", "high")):
                assert found[f"performance{name}", labels(metric=metric, source=source)] == figure[key]
    other = Kept("tiny", "2.0.0", "2026-03-02T00:00:00", "2026-03-02T01:00:00", 7, 1, windows[-1].check)
    last.saw(other)
    assert not [pairs for _, pairs in samples(last.text()) if ("source", "measured") in pairs], (
        "of another version"
    )


def test_clients_are_no_labels(watched: tuple[MonitorStore, list[Kept]], tmp_path: Path) -> None:
    _, windows = watched
    test = {"statistic": "queries", "value": 1.0, "p_value": None}
    check = {**windows[0].check, "clients": {"somebody": {"extraction": test}}}
    last = LastWindow(MonitorStore(tmp_path / "other.db"), "tiny", "1.0.0")
    last.saw(Kept("tiny", "1.0.0", windows[0].start, windows[0].end, 9, 1, check))
    assert "somebody" not in last.text()


@pytest.mark.slow
def test_promtool_has_nothing_to_say(watched: tuple[MonitorStore, list[Kept]], tmp_path: Path) -> None:
    last = LastWindow(MonitorStore(tmp_path / "other.db"), "tiny", "1.0.0")
    for window in watched[1]:
        last.saw(window)
    done = subprocess.run(
        [str(prometheus("promtool")), "check", "metrics"], input=last.text().encode(), capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_file_is_whole_or_not_there(watched: tuple[MonitorStore, list[Kept]], tmp_path: Path) -> None:
    store, windows = watched
    last = LastWindow(store, "tiny", "1.0.0", months=100)
    write_textfile(last, tmp_path / "bessemer.prom")
    assert samples((tmp_path / "bessemer.prom").read_text()) == samples(last.text())
    assert samples(last.text())["rows", labels()] == windows[-1].rows, "what is kept is told from the start"
    assert [path.name for path in tmp_path.glob("*.prom*")] == ["bessemer.prom"]
    with pytest.raises(EnvironmentFault, match="cannot write"):
        write_textfile(last, tmp_path / "nowhere" / "bessemer.prom")


def test_addresses(watched: tuple[MonitorStore, list[Kept]]) -> None:
    last = LastWindow(watched[0], "tiny", "1.0.0", months=100)
    port = free_port()
    stop = listen(last, str(port))
    try:
        answer = patience.get(f"http://127.0.0.1:{port}/metrics")
        assert samples(answer.text) == samples(last.text())
        with pytest.raises(EnvironmentFault, match="cannot listen"):
            listen(last, str(port))
    finally:
        stop()
    with pytest.raises(httpx.ConnectError):
        patience.get(f"http://127.0.0.1:{port}/metrics")
    for wrong in ("everywhere", "127.0.0.1:", "99999"):
        with pytest.raises(UsageError, match="is no address"):
            listen(last, wrong)


def logged_lately(folder: Path) -> None:
    """400 predictions of the last whole hour."""
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    server = Server(folder)
    server.answer((now - at(0)) // dt.timedelta(hours=1) - 0.5, 400, 1)
    server.log.close()


@pytest.mark.slow
def test_the_command_writes_the_file(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged_lately(tmp_path / "log")
    monkeypatch.chdir(tmp_path)
    words = ["monitor", str(package), "--once", "--log", "log", "--textfile", "out.prom"]
    done = CliRunner().invoke(group, words)
    assert done.exception is None, done.output
    assert samples((tmp_path / "out.prom").read_text())["rows", labels()] == 400


@pytest.mark.slow
def test_the_command_answers_scrapes(package: Path, tmp_path: Path) -> None:
    logged_lately(tmp_path / "log")
    port = free_port()
    command = [sys.executable, "-m", "bessemer", "monitor", str(package), "--log", "log", "--json"]
    command += ["--metrics", str(port)]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env={**os.environ})
    try:
        assert process.stdout
        assert json.loads(process.stdout.readline())["rows"] == 400
        text = until(lambda: patience.get(f"http://127.0.0.1:{port}/metrics").text)
        assert samples(text)["rows", labels()] == 400
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)
