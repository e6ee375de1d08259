"""An emulator of a registry of schemas: Confluent's HTTP API as far as its official client uses it, in this process.

No registry could be installed for tests. This one is faithful in ids, subjects, versions, references and errors (404
with `error_code`, 401), and does not judge whether schemas are compatible.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from systems.threaded import listening


class Registry:
    """What it has. login: `user:password` that it wants, or '' for none."""

    def __init__(self, url: str, login: str = "") -> None:
        self.url, self.login = url, login
        self.schemas: list[dict[str, Any]] = []
        self.subjects: dict[str, list[int]] = {}
        self.asked = 0

    def add(
        self, subject: str, schema: str, kind: str, references: list[dict[str, Any]] | None = None
    ) -> int:
        """Register a schema; gives its id, the same for the same text."""
        entry = {"schema": schema, "schemaType": kind, "references": references or []}
        if entry not in self.schemas:
            self.schemas.append(entry)
        number = self.schemas.index(entry) + 1
        versions = self.subjects.setdefault(subject, [])
        if number not in versions:
            versions.append(number)
        return number

    def answer(self, method: str, url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked += 1
        path, _, query = url.partition("?")
        code, answer = self._found(method, path, body)
        if "format=serialized" in query and answer.get("schemaType") == "PROTOBUF":
            answer = {**answer, "schema": _serialized(answer["schema"])}
        return code, answer

    def _found(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        match [unquote(part) for part in path.strip("/").split("/")]:
            case ["schemas", "ids", number]:
                if not 0 < int(number) <= len(self.schemas):
                    return 404, {"error_code": 40403, "message": "Schema not found"}
                return 200, self.schemas[int(number) - 1]
            case ["subjects", subject, "versions"] if method == "POST":
                kind = body.get("schemaType", "AVRO")
                return 200, {"id": self.add(subject, body["schema"], kind, body.get("references"))}
            case ["subjects", subject, "versions", version]:
                versions = self.subjects.get(subject, [])
                place = len(versions) if version in ("latest", "-1") else int(version)
                if not 0 < place <= len(versions):
                    return 404, {"error_code": 40401, "message": f"Subject '{subject}' not found"}
                number = versions[place - 1]
                return 200, {"subject": subject, "version": place, "id": number, **self.schemas[number - 1]}
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}


def _serialized(text: str) -> str:
    """A schema of Protobuf as the official client asks for it: a descriptor in base64."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    from bessemer.acquire.streams.decoders.protobuf import compiled
    from bessemer.acquire.streams.registry import Text

    found = FileDescriptorProto()
    compiled(Text(text)).CopyToProto(found)
    return base64.b64encode(found.SerializeToString()).decode()


@contextmanager
def registry(login: str = "") -> Iterator[Registry]:
    """A registry that answers until the end."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._told("GET", {})

        def do_POST(self) -> None:
            self._told("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _told(self, method: str, body: dict[str, Any]) -> None:
            wanted = "Basic " + base64.b64encode(found.login.encode()).decode()
            if found.login and self.headers.get("Authorization") != wanted:
                code, answer = 401, {"error_code": 401, "message": "Unauthorized"}
            else:
                code, answer = found.answer(method, self.path, body)
            said = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Registry(f"http://127.0.0.1:{server.server_port}", login)
    with listening(server):
        yield found
