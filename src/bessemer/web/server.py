"""The server of the monitor's page: it reads the stores and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bessemer.core.errors import BessemerError, EnvironmentFault
from bessemer.web.state import Stores

_FILES = {
    "/": ("monitor.html", "text/html"),
    "/monitor.css": ("monitor.css", "text/css"),
    "/monitor.js": ("monitor.js", "text/javascript"),
}
#: The parts of the report's page that this one is made of too.
_SHARED = {"/monitor.css": ("report.css",), "/monitor.js": ("base.js", "charts.js", "forest.js", "tables.js")}
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


@cache
def asset(path: str) -> tuple[bytes, str]:
    """A file of the page and its type."""
    name, kind = _FILES[path]
    report, own = (resources.files(f"bessemer.{room}") / "assets" for room in ("report", "web"))
    parts = [report / shared for shared in _SHARED.get(path, ())] + [own / name]
    return b"\n".join(part.read_bytes() for part in parts), f"{kind}; charset=utf-8"


class MonitorServer(ThreadingHTTPServer):
    """Serves the page until `shutdown`.

    Args:
        host: the address to listen on. Requests that name another host are refused: a page of somebody else's must
            not read this one by a name that points here (DNS rebinding).

    Raises:
        EnvironmentFault: the port cannot be had.
    """

    daemon_threads = True

    def __init__(self, stores: Stores, host: str = "127.0.0.1", port: int = 0) -> None:
        self.stores = stores
        self.names = _LOCAL | {host.lower()}
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise EnvironmentFault(
                f"cannot listen on {host}:{port}",
                why=str(error),
                fix="name another port: --port 0 takes a free one",
            ) from error

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/"


class _Handler(BaseHTTPRequestHandler):
    server: MonitorServer
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        host = urlsplit(f"//{self.headers.get('host', '')}").hostname or ""
        if host.lower() not in self.server.names:
            self._answer(
                HTTPStatus.MISDIRECTED_REQUEST, b"this server is known by another name\n", "text/plain"
            )
            return
        address = urlsplit(self.path)
        if address.path in _FILES:
            self._answer(HTTPStatus.OK, *asset(address.path))
        elif address.path == "/state.json":
            self._state(parse_qs(address.query))
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"there is nothing here\n", "text/plain")

    def _state(self, query: Mapping[str, list[str]]) -> None:
        mark = f'"{self.server.stores.mark()}"'
        if self.headers.get("if-none-match") == mark:
            self._answer(HTTPStatus.NOT_MODIFIED, b"", "application/json", mark)
            return
        try:
            body = json.dumps(self._found(query), ensure_ascii=False).encode()
        except BessemerError as error:
            told = json.dumps({"error": str(error)}).encode()
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, told, "application/json")
            return
        self._answer(HTTPStatus.OK, body, "application/json", mark)

    def _found(self, query: Mapping[str, list[str]]) -> dict[str, Any]:
        models = self.server.stores.models()
        asked = query.get("model", [""])[0]
        model = asked if asked in models else next(iter(models), "")
        if not model:
            return {"models": []}
        return {"models": models, **self.server.stores.state(model, _days(query.get("days", [""])[0]))}

    def _answer(self, status: HTTPStatus, body: bytes, kind: str, mark: str = "") -> None:
        self.send_response(status)
        headers = {
            "content-type": kind,
            "content-length": str(len(body)),
            "cache-control": "no-store" if not mark else "no-cache",
            "content-security-policy": _POLICY,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            **({"etag": mark} if mark else {}),
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Nobody reads who looked at the page."""


def _days(text: str) -> float | None:
    try:
        days = float(text)
    except ValueError:
        return None
    return days if 0 < days < 1e6 else None
