"""The sinks for Kafka and Alertmanager against the real servers."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alert_support import Listener, at, drift, kept, listening, notice
from confluent_kafka import Consumer

import noida
from bessemer.monitor.alerts.courier import Courier
from bessemer.monitor.alerts.outbox import Outbox
from bessemer.monitor.alerts.spec import AlertsSpec
from bessemer.monitor.plugins import SINKS
from bessemer.monitor.sinks.settings import SinkFault
from bessemer.monitor.store import MonitorStore
from patience import PATIENCE, until

pytestmark = pytest.mark.slow


def sink(kind: str, **settings: Any) -> Any:
    found = SINKS.load(kind)
    return found(found.Settings.model_validate(settings))


# Kafka -----------------------------------------------------------------------------------------------


def consumed(server: noida.Noida, topic: str, wanted: set[str]) -> list[Any]:
    """The messages of a topic, from the first on, until those with the wanted ids are among them."""
    group = f"g{time.monotonic_ns()}"
    reader = Consumer(
        {"bootstrap.servers": server.address, "group.id": group, "auto.offset.reset": "earliest"}
    )
    reader.subscribe([topic])
    found: list[Any] = []

    def there() -> bool:
        message = reader.poll(0.5)
        if message is not None and not message.error():
            found.append(message)
        return wanted <= {id_of(each) for each in found}

    until(there, "the notices")
    reader.close()
    return found


def id_of(message: Any) -> str:
    return str(dict(message.headers())["id"].decode())


def test_kafka_has_every_notice_with_its_key_and_id(tmp_path: Path) -> None:
    sent = [notice(i, subject=f"tiny/1/{i % 3}") for i in range(30)]
    with noida.running("kafka", tmp_path / "kafka") as server:
        sink("kafka", servers=server.address, topic="alerts", timeout="300s").send(sent)
        found = consumed(server, "alerts", {each.id for each in sent})
    assert [json.loads(m.value()) for m in found] == [each.to_json() for each in sent]
    assert [m.key().decode() for m in found] == [each.subject for each in sent]
    assert [id_of(m) for m in found] == [each.id for each in sent]


def test_kafka_may_be_killed_between_and_nothing_is_lost(tmp_path: Path) -> None:
    """What is told while it is away waits, and is there when it is back."""
    server = noida.Noida("kafka", tmp_path / "kafka")
    server.start()
    try:
        said: list[str] = []

        def courier_of(timeout: str) -> Courier:
            named = {"kafka": {"servers": server.address, "topic": "alerts", "timeout": timeout}}
            outbox = Outbox(store, AlertsSpec(to=[named]))
            return Courier(outbox, outbox.receivers[0], said.append)

        store = MonitorStore(tmp_path / "monitor.db")
        found = Outbox(store, AlertsSpec(to=[{"kafka": {"servers": server.address, "topic": "alerts"}}]))
        courier = courier_of("300s")
        found.announce([notice(0), notice(1)])
        assert courier.deliver() == 2
        consumed(server, "alerts", {notice(0).id, notice(1).id})
        server.kill()
        found.announce([notice(2), notice(3)])
        assert courier_of("2s").deliver() == 0
        assert "has not taken the notices" in said[0] or "cannot be used" in said[0]
        server.start()
        found.retry()
        assert courier.deliver() == 2
        consumed(server, "alerts", {notice(2).id, notice(3).id})
    finally:
        server.kill()


# Alertmanager ----------------------------------------------------------------------------------------

CONFIGURATION = """
route: {receiver: night, group_by: [alertname, model, column], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: night, webhook_configs: [{url: '%s', send_resolved: true}]}]
"""


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


@pytest.fixture
def alertmanager(tmp_path: Path, listener: Listener) -> Iterator[str]:
    """Prometheus' own, which tells the listener what it has been told."""
    (tmp_path / "alertmanager.yml").write_text(CONFIGURATION % listener.url, "utf-8")
    port = noida.free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        ["prometheus-alertmanager", f"--config.file={tmp_path / 'alertmanager.yml'}", "--cluster.listen-address=",
         f"--storage.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: _ready(url))
        yield url
    finally:
        process.kill()
        process.wait()


def _ready(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(url + "/-/ready", timeout=5).status == 200)
    except OSError:
        return False


def alerts(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        urllib.request.urlopen(url + "/api/v2/alerts", timeout=PATIENCE).read()
    )
    return found


def test_alertmanager_is_told_and_told_that_it_is_over(
    alertmanager: str, listener: Listener, tmp_path: Path
) -> None:
    """Two findings open, one ends: what Alertmanager says to its own receiver is that."""
    named = {"alertmanager": {"url": alertmanager, "timeout": "300s"}}
    spec = AlertsSpec(to=[named], resolve=1)
    found = Outbox(MonitorStore(tmp_path / "monitor.db"), spec)
    courier = Courier(found, found.receivers[0])
    store = MonitorStore(tmp_path / "monitor.db")
    strange = 'a "quoted"\ncolumn'

    def see(hour: int, *tests: Any) -> None:
        window = kept(hour, *tests)
        store.keep(window, also=lambda connection: found.judge(connection, window, at(hour + 1)))
        courier.deliver()

    see(0, drift("tenure", found=True), drift(strange, found=True))
    assert {each["labels"]["column"] for each in alerts(alertmanager)} == {"tenure", strange}
    (one,) = (each for each in alerts(alertmanager) if each["labels"]["column"] == "tenure")
    assert one["labels"] == {
        "alertname": "BessemerDrift", "model": "tiny", "version": "1.0.0", "severity": "warning",
        "detector": "psi", "column": "tenure", "of": "input",
    }  # fmt: skip
    assert "no longer distributed" in one["annotations"]["summary"]
    assert "bessemer log tiny" in one["annotations"]["runbook"]
    until(lambda: told(listener) >= {("firing", "tenure"), ("firing", strange)})
    see(1, drift("tenure", found=False), drift(strange, found=True))
    until(lambda: ("resolved", "tenure") in told(listener))
    assert {each["labels"]["column"] for each in alerts(alertmanager)} == {strange}
    assert ("resolved", strange) not in told(listener)


def told(listener: Listener) -> set[tuple[str, str]]:
    return {
        (each["status"], each["labels"]["column"]) for body in listener.bodies() for each in body["alerts"]
    }


def test_alertmanager_takes_a_test_and_the_same_twice(alertmanager: str) -> None:
    one = sink("alertmanager", url=alertmanager + "/", lasts="1h", timeout="300s")
    one.send([notice(), notice(1), notice(kind="test", body={})])
    one.send([notice()])
    assert len(alerts(alertmanager)) == 2
    one.send([notice(kind="resolved")])
    assert len(alerts(alertmanager)) == 1
    with pytest.raises(SinkFault, match="answered 404"):
        sink("alertmanager", url=alertmanager + "/no").send([notice()])
