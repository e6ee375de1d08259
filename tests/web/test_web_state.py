"""What the page is given, and to whom."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from page_support import DAY, Filled, drift_test, window

from bessemer.core.errors import EnvironmentFault
from bessemer.web import state
from bessemer.web.server import MonitorServer
from bessemer.web.state import Stores


def ask(url: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=300)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET", path, headers=named)
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def test_the_state_has_what_is_served_and_found_and_done(filled: Any) -> None:
    state = Stores(filled.path).state("churn")
    assert [(v["version"], v["current"], v["rows"]) for v in state["versions"]] == [
        ("1", False, 1500),
        ("1.1", True, 1500),
    ]
    assert [w["found"] for w in state["windows"]] == [0, 0, 1, 0, 0, 1]
    assert state["windows"][1]["measured"]["value"] == 0.79
    assert state["windows"][0]["measured"] is None
    assert {one["version"] for one in state["alerts"]} == {"1", "1.1"}
    assert all(one["cause"] and one["command"].startswith("bessemer ") for one in state["alerts"])
    assert state["retrainings"][0]["outcome"] == "promoted"


def test_drift_is_one_where_it_is_found_and_less_where_it_is_not(filled: Any) -> None:
    state = Stores(filled.path).state("churn")
    strength = {column["name"]: column["values"] for column in state["drift"]["columns"]}
    assert strength["tenure"][2] == 1
    assert all(0 < value < 0.5 for value in strength["plan"])
    assert strength["tenure"][5] is None  # that window did not look at it


def test_windows_can_be_those_of_some_days(filled: Any) -> None:
    state = Stores(filled.path).state("churn", days=2 / 24)
    assert len(state["windows"]) == 3


def test_nothing_is_sent_twice_while_nothing_changes(filled: Any, served: Callable[[Path], str]) -> None:
    url = served(filled.path)
    status, headers, body = ask(url, "/state.json")
    assert (status, json.loads(body)["model"]) == (200, "churn")
    assert ask(url, "/state.json", if_none_match=headers["etag"])[0] == 304
    filled.keep(window(6, "1.1"))
    assert ask(url, "/state.json", if_none_match=headers["etag"])[0] == 200


@pytest.mark.parametrize("path", ["/", "/monitor.js", "/monitor.css", "/state.json"])
def test_a_name_that_somebody_else_has_pointed_here_is_refused(
    filled: Any, served: Callable[[Path], str], path: str
) -> None:
    url = served(filled.path)
    assert ask(url, path, host="evil.example:8081")[0] == 421
    status, headers, _ = ask(url, path)
    assert status == 200
    assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/etc/passwd", "/../monitor.db", "/state.json/"])
def test_nothing_else_is_there(filled: Any, served: Callable[[Path], str], path: str) -> None:
    assert ask(served(filled.path), path)[0] == 404


def test_a_store_that_is_not_there_yet_is_empty(tmp_path: Path, served: Callable[[Path], str]) -> None:
    status, _, body = ask(served(tmp_path / "none.db"), "/state.json")
    assert (status, json.loads(body)) == (200, {"models": []})
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_no_store_is_told(tmp_path: Path, served: Callable[[Path], str]) -> None:
    (tmp_path / "monitor.db").write_bytes(b"not a database" * 100)
    status, _, body = ask(served(tmp_path / "monitor.db"), "/state.json")
    assert status == 500
    assert "monitor.db" in json.loads(body)["error"]


@pytest.fixture
def listening(filled: Any) -> Iterator[Callable[[str], MonitorServer]]:
    """listening(host): a server of the page there, until the test ends."""
    running = []

    def start(host: str) -> MonitorServer:
        server = MonitorServer(Stores(filled.path), host)
        running.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def asked(server: MonitorServer, host: str, by: str = "127.0.0.1") -> int:
    return ask(f"http://{by}:{server.server_address[1]}/", "/", host=host)[0]


@pytest.mark.parametrize("host", ["0.0.0.0", "0", ""])
def test_on_all_addresses_it_is_asked_by_any_of_them(
    listening: Callable[[str], MonitorServer], host: str
) -> None:
    server = listening(host)
    own = socket.gethostname()
    for name in (
        "192.168.1.5:8081",
        "10.0.0.1",
        "[2001:db8::1]:8081",
        own,
        f"{own.upper()}:8081",
        "localhost",
    ):
        assert asked(server, name) == 200, name
    for name in ("evil.example", "192.168.1.5.evil.example", "evil.example:8081", f"{own}.evil.example", ""):
        assert asked(server, name) == 421, name


def test_on_one_address_it_is_asked_by_that(listening: Callable[[str], MonitorServer]) -> None:
    server = listening("127.0.0.1")
    assert [asked(server, name) for name in ("127.0.0.1", "LOCALHOST.", "192.168.1.5")] == [200, 200, 421]


IPV6 = pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")


@IPV6
def test_it_listens_on_ipv6_too(listening: Callable[[str], MonitorServer]) -> None:
    one, every = listening("::1"), listening("::")
    assert one.url.startswith("http://[::1]:")
    assert ask(one.url, "/")[0] == 200
    assert ask(one.url, "/", host="[0:0:0:0:0:0:0:1]:80")[0] == 200
    assert ask(one.url, "/", host="evil.example")[0] == 421
    assert [asked(every, "10.0.0.1", by) for by in ("127.0.0.1", "[::1]")] == [200, 200]
    assert asked(every, "evil.example", "[::1]") == 421


@pytest.mark.parametrize("host", ["[", "[::1", "a]b", "[evil]"])
def test_a_host_that_is_none_is_an_answer(listening: Callable[[str], MonitorServer], host: str) -> None:
    assert asked(listening("127.0.0.1"), host) in (400, 421)


def test_an_address_that_is_not_of_this_machine_is_said() -> None:
    with pytest.raises(EnvironmentFault, match="name an address of this machine"):
        MonitorServer(Stores(Path("none.db")), "203.0.113.9")
    with (
        MonitorServer(Stores(Path("none.db"))) as other,
        pytest.raises(EnvironmentFault, match="another port"),
    ):
        MonitorServer(Stores(Path("none.db")), port=other.server_port)


def everything(folder: Path) -> tuple[int, dict[str, bytes]]:
    """What is in a folder, and when a file was last made or removed there."""
    return folder.stat().st_mtime_ns, {path.name: path.read_bytes() for path in folder.iterdir()}


def test_nothing_is_written_and_no_file_is_made(tmp_path: Path, served: Callable[[Path], str]) -> None:
    """The store of a monitor that never trained again, in a folder that may not be written."""
    path = tmp_path / "kept" / "monitor.db"
    Filled(path).keep(window(0, "1"))
    before = everything(path.parent)
    path.parent.chmod(0o555)
    try:
        status, _, body = ask(served(path), "/state.json")
        assert (status, json.loads(body)["retrainings"]) == (200, [])
        assert len(json.loads(body)["windows"]) == 1
        assert everything(path.parent) == before
    finally:
        path.parent.chmod(0o755)


def test_what_a_writer_is_about_to_keep_is_not_there_yet(filled: Any) -> None:
    """Whoever writes has a log beside the file: what is in it is read, what is not committed is not."""
    with filled.store.transaction() as connection:
        connection.execute("UPDATE windows SET rows = 7 WHERE start = '2026-03-01T00:00:00'")
        connection.commit()
        connection.execute("UPDATE windows SET rows = 8 WHERE start = '2026-03-01T00:00:00'")
        names = {path.name for path in filled.path.parent.iterdir()}
        assert "monitor.db-wal" in names
        _, body = Stores(filled.path).page("churn")
        assert json.loads(body)["windows"][0]["rows"] == 7
        assert {path.name for path in filled.path.parent.iterdir()} == names


def test_the_newest_windows_are_read_and_no_others(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bessemer.web.state.WINDOWS", 3)
    with filled.store.transaction() as connection:  # whoever read an older one would say so
        connection.execute("UPDATE windows SET \"check\" = 'no JSON' WHERE start < '2026-03-01T03:00:00'")
    state = Stores(filled.path).state("churn")
    assert [one["start"][11:13] for one in state["windows"]] == ["03", "04", "05"]
    assert [version["version"] for version in state["versions"]] == ["1.1"]


def test_many_windows_take_no_more_memory_than_some(tmp_path: Path) -> None:
    """400 windows of 100 KB each are 40 MB; one at a time is read."""
    filled = Filled(tmp_path / "monitor.db")
    tests = {f"column {i}": drift_test(0.5) for i in range(20)}
    one = window(0, "1")
    check = json.dumps({**one.check, "columns": tests, "figures": {"much": "x" * 100_000}})
    with filled.store.transaction() as connection:
        connection.executemany(
            "INSERT INTO windows VALUES ('churn', '1', ?, ?, 500, 1, 0, ?)",
            ((moment(hour), moment(hour + 1), check) for hour in range(400)),
        )
    tracemalloc.start()
    _, body = Stores(filled.path).page("churn")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(json.loads(body)["windows"]) == 400
    assert peak < 8e6


def moment(hour: int) -> str:
    return (DAY + dt.timedelta(hours=hour)).isoformat(timespec="microseconds")


def test_a_state_is_made_once_while_nothing_changes(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    reading = state.reading
    monkeypatch.setattr(state, "reading", lambda path: read.append(path) or reading(path))
    stores = Stores(filled.path)
    first = stores.page("churn")
    assert stores.page("churn") == first
    assert len(read) == 1
    assert stores.page("churn", 0.01) != first
    filled.keep(window(6, "1.1"))
    again = stores.page("churn")
    assert again[0] != first[0]
    assert len(json.loads(again[1])["windows"]) == 7
    assert len(read) == 3
    for days in range(1, 50):
        stores.page("churn", days)
    assert len(stores._pages) <= 8


def test_a_file_that_is_changed_while_it_is_read_is_read_again(
    filled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the store and its end somebody keeps a window."""
    reading, turns = state.reading, iter([True, False])

    @contextmanager
    def meanwhile(path: Path) -> Iterator[Any]:
        with reading(path) as now:
            yield now
        if next(turns):
            filled.keep(window(6, "1.1"))

    monkeypatch.setattr(state, "reading", meanwhile)
    stores = Stores(filled.path)
    mark, body = stores.page("churn")
    assert (mark, len(json.loads(body)["windows"])) == (stores.mark(), 7)


def test_days_beyond_the_calendar_are_all(filled: Any) -> None:
    assert len(Stores(filled.path).state("churn", days=900_000)["windows"]) == 6
