"""The counters that servers write beside their log: by processes of several workers, through kills."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from serve_command import Server

import patience
from bessemer.package.model import Model
from bessemer.package.prediction_log.operations import Interval, added, read_operations
from bessemer.serve.deployments.canary import since
from bessemer.serve.server import make_repository
from bessemer.serve.services import Services
from bessemer.serve.spec import ServeSpec
from bessemer.serve.statistics import Statistics
from patience import until

SETTINGS = "serve: {log: {operations: 1s}, access: {anonymous: [predict, admin]}}\n"
ROW = {"rows": [{"tenure": 8}]}


def written(folder: Path, version: str = "1.0.0") -> list[Interval]:
    return list(read_operations(folder / "prediction-log", "tiny", version, 0, time.time() + 60))


def metric(text: str, name: str, **labels: str) -> float:
    named = "".join(rf'(?=[^}}]*{key}="{value}")' for key, value in labels.items())
    found = re.search(rf"^{name}(?:\{{{named}[^}}]*\}})? (\S+)$", text, re.MULTILINE)
    assert found, (name, text)
    return float(found.group(1))


def test_counters_by_protocol_add_up_and_take_away() -> None:
    one = Statistics(dialects={"plain": 3})
    both = Statistics().add(one.snapshot()).add({"dialects": {"plain": 1, "v2": 2}})
    assert both.dialects == {"plain": 4, "v2": 2}
    assert since(both.snapshot(), one.snapshot())["dialects"] == {"plain": 1, "v2": 2}
    assert since(one.snapshot(), {})["requests"] == 0, "a trial that began before there were any"


@pytest.mark.slow
def test_every_request_is_counted_once_through_kills(
    server: Callable[..., Server], versions: Callable[..., str], tmp_path: Path
) -> None:
    """SIGKILL of a worker: at most what it did since its last line is missing, and nothing is there twice."""
    begun = time.monotonic()
    running = server(versions("1.0.0"), "--workers", "2", settings=SETTINGS)

    def ask(count: int) -> None:
        with ThreadPoolExecutor(4) as pool:
            answers = list(
                pool.map(lambda _: patience.post(f"{running.url}/predict", json=ROW), range(count))
            )
        assert {answer.status_code for answer in answers} == {200}

    def requests() -> float:
        return float(added(written(tmp_path)).get("requests", 0))

    ask(60)
    until(lambda: requests() == 60)
    before = running.workers()
    os.kill(before[0], signal.SIGKILL)
    until(lambda: sum(each.cold_start is not None for each in written(tmp_path)) == 3)
    assert requests() == 60, "who takes the place of the dead one tells nothing again"
    ask(40)
    assert patience.post(f"{running.url}/predict", json={"rows": [{"tenure": "x"}]}).status_code == 400
    assert running.stop() == 0
    done = added(written(tmp_path))
    assert (done["requests"], done["rows"], sum(done["latencies"]), done["refused"]) == (100, 100, 100, 1)
    processes = {each.process for each in written(tmp_path)}
    assert len(processes) == 3
    assert all(each.cpu >= 0 and each.memory > 10_000_000 for each in written(tmp_path))
    lasted = time.monotonic() - begun
    assert all(each.cold_start is None or 0 < each.cold_start < lasted for each in written(tmp_path))


@pytest.mark.slow
def test_what_is_told_of_starts_and_trials(
    server: Callable[..., Server], versions: Callable[..., str]
) -> None:
    begun = time.monotonic()
    running = server(versions("1.0.0"), "--workers", "2", settings=SETTINGS)

    def metrics() -> str:
        return patience.get(f"{running.url}/metrics").text

    told = metrics()
    lasted = time.monotonic() - begun
    assert 0 < metric(told, "bessemer_model_load_seconds", version="1.0.0") < lasted
    until(lambda: metric(metrics(), "bessemer_cold_start_seconds") > 0)
    assert metric(told, "bessemer_model_traffic_share", version="1.0.0") == 1.0
    assert metric(told, "bessemer_model_canary", version="1.0.0") == 0.0
    body = {"package": versions("1.1.0"), "mode": "canary", "steps": ["25%"], "gates": {"requests": 1000}}
    answer = patience.post(f"{running.url}/deployments", json=body)
    assert answer.status_code in (200, 201), answer.text
    told = metrics()
    assert metric(told, "bessemer_model_traffic_share", version="1.1.0") == 0.25
    assert metric(told, "bessemer_model_canary", version="1.1.0") == 1.0
    assert metric(told, "bessemer_model_canary", version="1.0.0") == 0.0
    for _ in range(8):
        patience.post(f"{running.url}/predict", json=ROW)

    def counted() -> float:
        told = metrics()
        return sum(
            metric(told, "bessemer_dialect_requests_total", version=version, dialect="plain")
            for version in ("1.0.0", "1.1.0")
            if f'dialect="plain",model="tiny",version="{version}"' in told
        )

    until(lambda: counted() == 8, "what all workers have counted")


@pytest.mark.parametrize(("every", "lines"), [(60.0, 1), (0.0, 0)])
def test_what_is_left_is_written_at_the_end_unless_it_is_switched_off(
    every: float, lines: int, models: dict[str, Model], tmp_path: Path
) -> None:
    spec = ServeSpec(log={"folder": str(tmp_path / "prediction-log"), "operations": every})
    with ThreadPoolExecutor(1) as pool, Services(spec, pool) as services:
        repository = make_repository(models["binary"], spec, pool, services.observers)
        services.serve(repository)
        services.ready()
        repository.lanes()[0].subject.statistics.ran(rows=2, requests=1, infer=0.1)
    found = written(tmp_path)
    assert len(found) == lines
    assert added(found).get("rows", 0) == 2 * lines
