"""The server of the monitor's page: it reads the stores and changes nothing."""

from __future__ import annotations

import errno
import ipaddress
import json
import socket
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
        host: the address to listen on; `0.0.0.0` or `::` are all addresses of this machine. Requests that name
            another host are refused: a page of somebody else's must not read this one by a name that points here (DNS
            rebinding). Where it listens on all addresses, any address and this machine's own names are right: it takes
            a name of theirs to be misled.

    Raises:
        EnvironmentFault: the port or the address cannot be had.
    """

    daemon_threads = True

    def __init__(self, stores: Stores, host: str = "127.0.0.1", port: int = 0) -> None:
        self.stores = stores
        try:
            found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            self.address_family, *_, address = found[0]
            self._everywhere = ipaddress.ip_address(address[0]).is_unspecified
            super().__init__((host, port), _Handler)
        except OSError as error:
            port_taken = error.errno in (errno.EADDRINUSE, errno.EACCES)
            raise EnvironmentFault(
                f"cannot listen on {_shown(host)}:{port}",
                why=str(error),
                fix="name another port: --port 0 takes a free one"
                if port_taken
                else "name an address of this machine: --host 127.0.0.1",
            ) from error
        own = _own_names(self.server_name) if self._everywhere else set()
        self._names = (_LOCAL | {_plain(host)} | own) - {""}

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            # of `::` also the addresses of the fourth version, whatever the system does by itself
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not self._everywhere))
        super().server_bind()

    def known_as(self, host: str) -> bool:
        """Whether a request may name this host: a name or an address, without its port."""
        return _plain(host) in self._names or (self._everywhere and _is_address(host))

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{_shown(str(host))}:{port}/"


def _own_names(qualified: str) -> set[str]:
    """What this machine is called, in short and in full, also by multicast DNS."""
    names = {socket.gethostname().lower(), qualified.lower()}
    short = {name.partition(".")[0] for name in names if not _is_address(name)}
    return names | short | {f"{name}.local" for name in short if name}


def _plain(host: str) -> str:
    """A host in one spelling; a trailing dot says that a name is whole."""
    name = host.lower().rstrip(".")
    return ipaddress.ip_address(name).compressed if _is_address(name) else name


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _Handler(BaseHTTPRequestHandler):
    server: MonitorServer
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        try:
            host = urlsplit(f"//{self.headers.get('host', '')}").hostname or ""
            address = urlsplit(self.path)
        except ValueError:
            self._answer(HTTPStatus.BAD_REQUEST, b"the host or the address cannot be read\n", "text/plain")
            return
        if not self.server.known_as(host):
            self._answer(
                HTTPStatus.MISDIRECTED_REQUEST, b"this server is known by another name\n", "text/plain"
            )
        elif address.path in _FILES:
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
            mark, body = self.server.stores.page(
                query.get("model", [""])[0], _days(query.get("days", [""])[0])
            )
        except BessemerError as error:
            told = json.dumps({"error": str(error)}).encode()
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, told, "application/json")
            return
        self._answer(HTTPStatus.OK, body, "application/json", f'"{mark}"')

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
