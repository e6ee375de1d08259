"""Delivery: at least once, in order, each receiver by itself; what cannot be delivered is kept, shown and bounded."""

from __future__ import annotations

import datetime as dt
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alert_support import Listener, Request, absent, at, drift, kept, listening, notice, text
from click.testing import CliRunner
from log_support import Server, watching
from log_support import at as log_at

from bessemer.cli import group
from bessemer.core.errors import EnvironmentFault
from bessemer.monitor.alerts.courier import Courier, Couriers
from bessemer.monitor.alerts.outbox import Outbox
from bessemer.monitor.alerts.receiver import Receiver
from bessemer.monitor.alerts.spec import AlertsSpec
from bessemer.monitor.sinks.settings import SinkSettings
from bessemer.monitor.store import MonitorStore
from patience import PATIENCE, until


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock()


def outbox(folder: Path, clock: Clock, *receivers: Any, **settings: Any) -> Outbox:
    spec = AlertsSpec(to=list(receivers), **settings)
    return Outbox(MonitorStore(folder / "monitor.db"), spec, clock)


def webhook(listener: Listener, **settings: Any) -> dict[str, Any]:
    return {"webhook": {"url": listener.url + "/hook", "timeout": f"{PATIENCE:g}s", **settings}}


def courier(found: Outbox, place: int = 0) -> tuple[Courier, list[str]]:
    said: list[str] = []
    return Courier(found, found.receivers[place], said.append), said


def states(folder: Path) -> dict[str, int]:
    with sqlite3.connect(folder / "monitor.db") as connection:
        rows = connection.execute(
            "SELECT sink || ' ' || state, count(*) FROM deliveries GROUP BY 1"
        ).fetchall()
    return dict(rows)


def test_notices_are_delivered_once_and_in_order(tmp_path: Path, listener: Listener, clock: Clock) -> None:
    found = outbox(tmp_path, clock, webhook(listener))
    sent = [notice(i) for i in range(250)]
    found.announce(sent)
    found.announce(sent[:3])  # put down twice, it is there once
    assert courier(found)[0].deliver() == 250
    assert listener.ids() == [each.id for each in sent]
    assert courier(found)[0].deliver() == 0
    assert len(listener.requests) == 250
    assert [each.id for each in found.notices(most=2)] == [sent[249].id, sent[248].id]


def test_a_receiver_that_fails_is_tried_later_and_later(
    tmp_path: Path, listener: Listener, clock: Clock
) -> None:
    found = outbox(tmp_path, clock, webhook(listener))
    found.announce([notice(i) for i in range(3)])
    listener.answer = lambda request: (503, b"busy")
    one, said = courier(found)
    tried = []
    for second in range(40):
        before = len(listener.requests)
        one.deliver()
        tried += [second] if len(listener.requests) > before else []
        clock.now += 1
    assert tried == [0, 1, 3, 7, 15, 31], "what comes after the first must not be sent in its place"
    assert len(said) == 1
    assert "answered 503" in said[0]
    (state,) = found.deliveries()
    assert (state.waiting, state.dead) == (3, 0)
    assert "busy" in state.error
    listener.answer = lambda request: (200, b"")
    clock.now += 600
    found.announce([notice(3)])
    assert one.deliver() == 4
    assert listener.ids() == [notice(i).id for i in range(4)]
    assert said[1:] == ["webhook: notices are delivered again"]


def test_what_was_taken_before_a_fault_is_not_sent_again(
    tmp_path: Path, listener: Listener, clock: Clock
) -> None:
    found = outbox(tmp_path, clock, webhook(listener))
    found.announce([notice(i) for i in range(5)])
    listener.answer = lambda request: (200 if len(listener.requests) < 3 else 500, b"")
    one, _ = courier(found)
    assert one.deliver() == 3
    listener.answer = lambda request: (200, b"")
    clock.now += 2
    assert one.deliver() == 2
    assert listener.ids() == [notice(i).id for i in range(5)]


def test_a_receiver_says_how_long_to_wait(tmp_path: Path, listener: Listener, clock: Clock) -> None:
    found = outbox(tmp_path, clock, webhook(listener))
    found.announce([notice()])
    listener.answer, listener.headers = (lambda request: (429, b"")), {"retry-after": "120"}
    one, _ = courier(found)
    one.deliver()
    clock.now += 119
    one.deliver()
    assert len(listener.requests) == 1
    clock.now += 2
    one.deliver()
    assert len(listener.requests) == 2


def test_one_that_is_refused_is_set_aside_and_does_not_hold_up_the_others(
    tmp_path: Path, listener: Listener, clock: Clock
) -> None:
    def picky(request: Request) -> tuple[int, bytes]:
        return (
            (400, b"no such thing")
            if b'"open 2"' in request.body or b'"open 4"' in request.body
            else (200, b"")
        )

    found = outbox(tmp_path, clock, webhook(listener))
    found.announce([notice(i) for i in range(6)])
    listener.answer = picky
    one, said = courier(found)
    assert one.deliver() == 4
    assert listener.ids() == [notice(i).id for i in (0, 1, 3, 5)]
    assert states(tmp_path) == {"webhook delivered": 4, "webhook dead": 2}
    assert len(said) == 2
    assert "no such thing" in said[0]
    clock.now += 10_000
    assert one.deliver() == 0
    listener.answer = lambda request: (200, b"")
    assert found.retry() == 2
    assert one.deliver() == 2
    assert states(tmp_path) == {"webhook delivered": 6}


def test_what_waits_is_bounded_in_age_and_number(tmp_path: Path, listener: Listener, clock: Clock) -> None:
    found = outbox(tmp_path, clock, webhook(listener), give_up="1h", waiting=10)
    listener.answer = lambda request: (503, b"down")
    one, _ = courier(found)
    found.announce([notice(i) for i in range(25)])
    one.deliver()
    assert states(tmp_path) == {"webhook waiting": 10, "webhook dead": 15}
    clock.now += 3601
    one.deliver()
    assert found.deliveries()[0].error.startswith("given up: 127.0.0.1 answered 503")
    found.announce([notice(100)])
    one.deliver()
    assert states(tmp_path) == {"webhook waiting": 1, "webhook dead": 25}
    assert found.deliveries()[0].error.startswith("127.0.0.1 answered 503"), "what waits is said first"


def test_a_kill_while_it_is_sent_sends_it_again(tmp_path: Path, listener: Listener, clock: Clock) -> None:
    """A claim that nobody has ended is over after the time that a delivery may take."""
    hook = webhook(listener, timeout="5s")
    found = outbox(tmp_path, clock, hook)
    found.announce([notice(0), notice(1)])
    assert len(found.claim(found.receivers[0])) == 2  # and then the process is killed
    another, _ = courier(outbox(tmp_path, clock, hook))
    assert another.deliver() == 0, "meanwhile nobody else is given them"
    clock.now += 11
    assert another.deliver() == 2


def test_each_receiver_gets_what_it_wants(tmp_path: Path, listener: Listener, clock: Clock) -> None:
    named = [
        webhook(listener, name="all", send=["window", "finding", "resolved", "action"]),
        webhook(listener, name="night", severity="error"),
        webhook(listener, name="acts", send=["action"]),
    ]
    found = outbox(tmp_path, clock, *named)
    with MonitorStore(tmp_path / "monitor.db").transaction() as connection:
        found.judge(connection, kept(0, drift("tenure", found=True), absent("contract")), at(1))
    found.announce([notice(kind="action", severity="info"), notice(kind="test", severity="info")])
    got: dict[str, list[str]] = {}
    for place, receiver in enumerate(found.receivers):
        before = len(listener.requests)
        courier(found, place)[0].deliver()
        got[receiver.label] = [each["kind"] for each in listener.bodies()[before:]]
    assert got == {
        "all": ["window", "finding", "finding", "action", "test"],
        "night": ["finding", "test"],
        "acts": ["action", "test"],
    }
    window = listener.bodies()[0]
    assert window["body"]["rows"] == 500
    assert len(window["body"]["findings"]) == 2
    kinds = [each.kind for each in found.notices()]
    assert "window" not in kinds, "the window itself is in the store"


@pytest.mark.slow
def test_a_receiver_that_hangs_or_breaks_does_not_touch_the_others(
    tmp_path: Path, listener: Listener, clock: Clock
) -> None:
    """One never answers, one is nobody; the third has everything, and nobody waits for longer than a time-out."""
    release = threading.Event()

    def answer(request: Request) -> tuple[int, bytes]:
        if request.path == "/hang":
            release.wait(PATIENCE)
        return 200, b""

    listener.answer = answer
    named = [
        {"webhook": {"name": "hangs", "url": listener.url + "/hang", "timeout": "1s"}},
        {"webhook": {"name": "nobody", "url": "http://127.0.0.1:9/"}},
        webhook(listener, name="well"),
    ]
    found = outbox(tmp_path, clock, *named)
    found.announce([notice(i) for i in range(3)])
    Couriers(found).once()
    release.set()
    assert states(tmp_path) == {"hangs waiting": 3, "nobody waiting": 3, "well delivered": 3}
    errors = {each.sink: each.error for each in found.deliveries()}
    assert "no complete answer in 1 s" in errors["hangs"]
    assert "was not reached" in errors["nobody"]


class Broken:
    """A sink of somebody else's, with a fault of its own."""

    Settings = SinkSettings

    def send(self, notices: Any) -> None:
        raise ZeroDivisionError("oh")


class Foreign(Receiver):
    def open(self) -> Any:
        return Broken()


def test_a_sink_that_breaks_loses_nothing_and_ends_nobody(tmp_path: Path, clock: Clock) -> None:
    found = outbox(tmp_path, clock)
    found.receivers = (Foreign("mine", "mine", SinkSettings()),)
    found.announce([notice(0)])
    one, said = courier(found)
    assert one.deliver() == 0
    assert "ZeroDivisionError: oh" in said[0]
    assert states(tmp_path) == {"mine waiting": 1}


def test_couriers_deliver_while_they_are_rung(tmp_path: Path, listener: Listener) -> None:
    found = Outbox(MonitorStore(tmp_path / "monitor.db"), AlertsSpec(to=[webhook(listener)]))
    couriers = Couriers(found)
    couriers.start()
    for number in range(3):
        found.announce([notice(number)])
        couriers.ring()
    until(lambda: len(listener.ids()) == 3)
    assert listener.ids() == [notice(i).id for i in range(3)]


def test_what_is_told_is_in_the_windows_transaction(tmp_path: Path, listener: Listener, clock: Clock) -> None:
    """Where a window is not kept, nothing is told of it; where it is, everything."""
    found = outbox(tmp_path, clock, webhook(listener))
    store = MonitorStore(tmp_path / "monitor.db")
    window = kept(0, drift("tenure", found=True))

    def breaks(connection: sqlite3.Connection) -> None:
        found.judge(connection, window, at(1))
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        store.keep(window, also=breaks)
    assert (found.notices(), found.alerts(), store.windows("tiny")) == ([], [], [])
    store.keep(window, also=lambda connection: found.judge(connection, window, at(1)))
    assert [each.kind for each in found.notices()] == ["finding"]
    assert len(found.alerts("tiny")) == 1
    assert found.alerts("other") == []


def test_old_notices_are_forgotten_and_those_that_wait_are_not(
    tmp_path: Path, listener: Listener, clock: Clock
) -> None:
    found = outbox(tmp_path, clock, webhook(listener))
    found.announce([notice(0, at=text(at(0)))])
    courier(found)[0].deliver()
    found.announce([notice(1, at=text(at(0))), notice(2, at=text(at(9)))])
    found.forget(text(at(5)))
    assert [each.event for each in found.notices()] == ["open 2", "open 1"]
    clock.now += 4 * 86_400
    found.forget(text(at(5)))
    assert [each.event for each in found.notices()] == ["open 2"]
    assert states(tmp_path) == {"webhook dead": 1}


def test_delivered_windows_are_counted_as_long_as_others(
    tmp_path: Path, listener: Listener, clock: Clock
) -> None:
    """Their notices go when everybody has them; that they were delivered is known for as long as windows are kept."""
    clock.now = at(0).replace(tzinfo=dt.UTC).timestamp()
    found = outbox(tmp_path, clock, webhook(listener, send=["window"]))
    found.announce([notice(i, kind="window", at=text(at(0))) for i in range(3)])
    courier(found)[0].deliver()
    assert found.notices() == []
    found.forget(text(at(-5)))
    assert [each.delivered for each in found.deliveries()] == [3]
    found.forget(text(at(5)))
    assert [each.delivered for each in found.deliveries()] == [0]


@pytest.mark.parametrize(
    ("lame", "says"),
    [("PRAGMA max_page_count = 1", "make room on its disk"), ("BEGIN EXCLUSIVE", "another process holds it")],
)
def test_advice_about_a_store_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lame: str, says: str
) -> None:
    """Full: the store may not grow. Held: somebody writes for longer than one waits."""
    store = MonitorStore(tmp_path / "monitor.db")
    connect = sqlite3.connect
    full = "PRAGMA" in lame

    def connected(path: Any, timeout: float) -> sqlite3.Connection:
        one = connect(path, timeout=0.05)
        if full:
            one.execute(lame)
        return one

    other = connect(tmp_path / "monitor.db", isolation_level=None)
    if not full:
        other.execute(lame)
    monkeypatch.setattr(sqlite3, "connect", connected)
    with pytest.raises(EnvironmentFault, match=says) as caught:
        store.keep(kept(0, *[drift(f"c{i}", found=True) for i in range(500)]))
    assert "remove" not in str(caught.value)
    other.close()


def test_what_is_no_store_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "monitor.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(EnvironmentFault, match="name another file") as caught:
        MonitorStore(path)
    assert "remove" not in str(caught.value)


def test_alerts_of_a_version_that_is_gone_lapse(tmp_path: Path, clock: Clock) -> None:
    found = outbox(tmp_path, clock, lapse="1d")
    with MonitorStore(tmp_path / "monitor.db").transaction() as connection:
        found.judge(connection, kept(0, drift("tenure", found=True)), at(1))
        found.judge(connection, kept(40, drift("tenure", found=True), version="2.0.0"), at(41))
    found.lapse("tiny", at(42))
    assert [alert.version for alert in found.alerts()] == ["2.0.0"]
    assert found.notices(most=1)[0].kind == "resolved"


def call(folder: Path, *args: str) -> Any:
    before = Path.cwd()
    os.chdir(folder)
    try:
        return CliRunner().invoke(group, ["monitor", "alerts", *args])
    finally:
        os.chdir(before)


@pytest.mark.slow
def test_the_command_shows_retries_and_tries(tmp_path: Path, listener: Listener, clock: Clock) -> None:
    settings = {"monitor": {"alerts": [webhook(listener), {"file": {"path": "told.jsonl", "name": "disk"}}]}}
    (tmp_path / "bessemer.yaml").write_text(json.dumps({"data": "d.csv", "target": "y", **settings}), "utf-8")
    assert "no windows are kept" in str(call(tmp_path).exception)
    (tmp_path / ".bessemer").mkdir()
    store = MonitorStore(tmp_path / ".bessemer" / "monitor.db")
    found = Outbox(store, AlertsSpec(to=[webhook(listener)]))
    window = kept(0, drift("tenure", found=True))
    store.keep(window, also=lambda connection: found.judge(connection, window, at(1)))
    listener.answer = lambda request: (400, b"[red]unfriendly[/]")
    courier(found)[0].deliver()
    shown = call(tmp_path).output
    assert "'tenure' is no longer distributed as in training" in shown
    assert "[red]unfriendly[/]" in " ".join(shown.split()), "what others say is shown as it is"
    assert "--retry" in shown
    described = json.loads(call(tmp_path, "--json", "--model", "tiny").output)
    assert [alert["version"] for alert in described["open"]] == ["1.0.0"]
    assert {each["sink"]: each["dead"] for each in described["receivers"]} == {"webhook": 1, "disk": 0}
    assert json.loads(call(tmp_path, "--json", "--model", "other").output)["open"] == []
    assert call(tmp_path, "--test").exit_code == 6
    listener.answer = lambda request: (200, b"")
    assert call(tmp_path, "--retry").exit_code == 0
    assert [each["kind"] for each in listener.bodies()][-1] == "finding"
    assert found.deliveries()[0].dead == 0
    tried = call(tmp_path, "--test", "--json")
    assert (tried.exit_code, [r["error"] for r in json.loads(tried.output)["receivers"]]) == (0, ["", ""])
    assert json.loads((tmp_path / "told.jsonl").read_text("utf-8").splitlines()[-1])["kind"] == "test"


@pytest.mark.slow
def test_a_watch_tells_what_it_finds_and_what_late_labels_bring(
    package: Path, tmp_path: Path, listener: Listener
) -> None:
    """A column drifts and goes back; a day later labels say that the model was wrong in the first hour."""
    server = Server(tmp_path / "log")
    ids = server.answer(0.5, 600, 1)
    server.answer(1.5, 600, 2, tenure=np.full(600, 70))
    for hour in (2, 3):
        server.answer(hour + 0.5, 600, 3 + hour)
    hook = webhook(listener, send=["finding", "resolved"])
    watch = watching(tmp_path, package, alerts=[hook], watchers=[], detectors=["chi_square"])
    kept = list(watch.tick(log_at(4)))
    found = {each["column"] for each in kept[1].check["findings"]}
    assert "tenure" in found
    courier(watch.outbox)[0].deliver()
    told = [(each["kind"], each["body"]["column"]) for each in listener.bodies()]
    assert sorted(told) == sorted((kind, name) for kind in ("finding", "resolved") for name in found)
    server.label(20, ids, 1, flipped=0.4)
    list(watch.tick(log_at(29)))
    courier(watch.outbox)[0].deliver()
    late = listener.bodies()[len(told) :]
    assert [(each["kind"], each["body"]["detector"]) for each in late] == [
        ("finding", "measured_performance")
    ]
    assert late[0]["severity"] == "error"
    assert "bessemer rollback tiny" in late[0]["todo"]
    server.log.close()


def test_a_store_of_before_alerts_is_taken_over(tmp_path: Path, clock: Clock) -> None:
    store = MonitorStore(tmp_path / "monitor.db")
    with store.transaction() as connection:
        for table in ("alerts", "notices", "deliveries"):
            connection.execute(f"DROP TABLE {table}")
    assert outbox(tmp_path, clock).alerts() == []
