"""An APM server that speaks intake v2 and holds every event to the published schema."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).resolve().parents[3] / "shared" / "elastic-intake-schema"
KINDS = ("metadata", "transaction", "span", "error", "metricset")
_UNPACKED: dict[str, Callable[[bytes], bytes]] = {
    "": lambda body: body,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}


def validators() -> dict[str, Draft202012Validator]:
    return {kind: Draft202012Validator(json.loads((SCHEMA / f"{kind}.json").read_text())) for kind in KINDS}


class ApmServer:
    """Answers as Elastic's: 202, or 400 with what is wrong with which line; keeps what it gets.

    events: (kind, event) that are valid. faults: what was wrong with the others.
    authorization: of each request. wants: the header it must have, or 401.
    goes_on: cleared, it answers nothing until it is set.
    """

    def __init__(self, wants: str = "") -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.metadata: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self.authorization: list[str | None] = []
        self.refused = self.requests = 0
        self.goes_on = threading.Event()
        self.goes_on.set()
        self._wants, self._validators = wants, validators()
        apm = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                apm.requests += 1
                apm.goes_on.wait()
                apm.authorization.append(self.headers.get("authorization"))
                if apm._wants and self.headers.get("authorization") != apm._wants:
                    apm.refused += 1
                    self._answer(401, {"accepted": 0, "errors": [{"message": "authentication failed"}]})
                    return
                self._answer(*apm.take(self.path, dict(self.headers), body))

            def _answer(self, status: int, value: Any) -> None:
                said = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(said)))
                with suppress(OSError):  # who waited long has gone
                    self.end_headers()
                    self.wfile.write(said)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        """The answer to a request to /intake/v2/events."""
        names = {name.lower(): value for name, value in headers.items()}
        if path.partition("?")[0] != "/intake/v2/events":
            return 404, {"errors": [{"message": path}]}
        if names.get("content-type") != "application/x-ndjson":
            return 400, {"errors": [{"message": f"invalid content type: {names.get('content-type')}"}]}
        lines = _UNPACKED[names.get("content-encoding", "")](body).splitlines()
        accepted, wrong = 0, []
        for number, line in enumerate(lines):
            fault = self._fault(number, line)
            if fault:
                wrong.append({"message": fault, "document": line[:2000].decode("utf-8", "replace")})
            else:
                accepted += number > 0
        self.faults += [each["message"] for each in wrong]
        return (400 if wrong else 202), {"accepted": accepted, "errors": wrong}

    def _fault(self, number: int, line: bytes) -> str:
        """What is wrong with a line; a good one is kept."""
        try:
            (item,) = json.loads(line, parse_constant=_no_number).items()
        except ValueError as error:
            return f"line {number}: {error}"
        kind, event = item
        if (kind == "metadata") != (number == 0) or kind not in self._validators:
            return f"line {number}: '{kind}' does not belong there"
        found = [
            f"{kind} {error.json_path}: {error.message}"
            for error in self._validators[kind].iter_errors(event)
        ]
        if found:
            return "; ".join(found)
        if kind == "metadata":
            self.metadata.append(event)
        else:
            self.events.append((kind, event))
        return ""

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for name, event in self.events if name == kind]

    def close(self) -> None:
        self.goes_on.set()
        self._server.shutdown()
        self._server.server_close()


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not JSON")
