"""Windows with findings, and receivers that listen on a real socket."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bessemer.monitor.alerts.notice import Notice
from bessemer.monitor.check import decide
from bessemer.monitor.finding import Test
from bessemer.monitor.store import Kept

DAY = dt.datetime(2026, 3, 1)


def at(hours: float) -> dt.datetime:
    return DAY + dt.timedelta(hours=hours)


def text(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def drift(column: str, *, found: bool, detector: str = "psi") -> Test:
    """A test of a column that was made in any case."""
    return Test(detector, column, "drift", "psi", 1.0, f"'{column}' moved", 1e-9 if found else 0.5)


def absent(column: str) -> Test:
    """A fact: it is there only where it is found."""
    return Test("schema", column, "schema", "absent", 1.0, f"'{column}' is absent")


def worse(metric: str) -> Test:
    """Labels say that the model is no longer what it was."""
    return Test("measured_performance", metric, "performance", metric, 0.5, f"'{metric}' fell", 1e-9)


def probing(client: str) -> Test:
    """A client that asks as an attacker would."""
    return Test("near_queries", client, "adversary", "share", 1.0, f"'{client}' probes", 1e-9, of="client")


def kept(hour: int, *tests: Test, looks: int = 1, model: str = "tiny", version: str = "1.0.0") -> Kept:
    """The window of an hour in which these tests were made."""
    check = decide(tests, 500, 0.01).to_json()
    return Kept(model, version, text(at(hour)), text(at(hour + 1)), 500, looks, check)


def notice(number: int = 0, kind: Any = "finding", **changes: Any) -> Notice:
    finding = {"detector": "psi", "column": "tenure", "of": "input", "kind": "drift", "text": "it moved"}
    values: dict[str, Any] = {
        "severity": "error",
        "subject": "tiny/1.0.0/input/tenure/psi",
        "event": f"open {number}",
        "model": "tiny",
        "version": "1.0.0",
        "title": "tiny 1.0.0: 'tenure' is no longer distributed as in training",
        "text": "the PSI is 0.3",
        "todo": "Is it real?\nbessemer log tiny",
        "start": text(at(1)),
        "end": text(at(2)),
        "since": text(at(1)),
        "at": text(at(2)),
        "body": finding,
    }
    return Notice(kind, **{**values, **changes})


@dataclass
class Listener:
    """What came in, and what is answered: `answer` gets the handler and a request, and says status and body."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    answer: Callable[[Request], tuple[int, bytes]] = lambda request: (200, b"ok")
    headers: dict[str, str] = field(default_factory=dict)

    def bodies(self) -> list[Any]:
        return [json.loads(request.body) for request in list(self.requests)]

    def ids(self) -> list[str]:
        """Of the notices that were taken, in the order in which they came."""
        return [r.headers["webhook-id"] for r in list(self.requests) if r.status == 200]


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 0


@contextmanager
def listening() -> Iterator[Listener]:
    """An HTTP server in threads of this process."""
    listener = Listener()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            request = Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            request.status, said = listener.answer(request)
            listener.requests.append(request)
            try:
                self.send_response(request.status)
                for name, value in listener.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)
            except OSError:
                self.close_connection = True  # whoever asked has gone

        do_PUT = do_POST

        def do_HEAD(self) -> None:
            request = Request(self.path, {k.lower(): v for k, v in self.headers.items()}, b"")
            request.status, _ = listener.answer(request)
            listener.requests.append(request)
            self.send_response(request.status)
            for name, value in listener.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    listener.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()
