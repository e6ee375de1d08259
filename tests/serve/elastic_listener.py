"""What answers as an Elasticsearch does, when a test lets it: for answers that a real one gives only in trouble."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from patience import PATIENCE


class ElasticListener:
    """bulks: the documents of each bulk request that came. status: of the answer to such a request.

    answers: is asked for the status where a test sets it, with the documents. goes_on: no such answer before it is set.
    """

    def __init__(self) -> None:
        self.bulks: list[list[dict[str, Any]]] = []
        self.answers: Callable[[list[dict[str, Any]]], int] = lambda documents: 200
        self.goes_on = threading.Event()
        self.goes_on.set()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                lines = self.rfile.read(int(self.headers["content-length"])).splitlines()
                if not self.path.startswith("/_bulk"):
                    return self._say(200, {"acknowledged": True})
                documents = [json.loads(line) for line in lines[1::2]]
                listener.bulks.append(documents)
                listener.goes_on.wait(2 * PATIENCE)
                status = listener.answers(documents)
                if status != 200:
                    return self._say(
                        status, {"error": {"type": "trouble", "reason": "for a reason"}, "status": status}
                    )
                return self._say(
                    200, {"errors": False, "items": [{"index": {"status": 201}}] * len(documents)}
                )

            do_POST = do_PUT

            def do_HEAD(self) -> None:
                self._say(200, None)

            def _say(self, status: int, value: Any) -> None:
                said = b"" if value is None else json.dumps(value).encode()
                try:
                    self.send_response(status)
                    self.send_header("x-elastic-product", "Elasticsearch")
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(said)))
                    self.end_headers()
                    self.wfile.write(said)
                except OSError:
                    self.close_connection = True  # whoever asked has gone

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self.goes_on.set()
        self._server.shutdown()
        self._server.server_close()
