"""A server process with telemetry, an OTLP receiver, and Prometheus' own programs."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import patience
from patience import PATIENCE, UNHURRIED
from prometheus_tools import prometheus

__all__ = ["BODY", "Receiver", "Telling", "attributes", "prometheus"]

BODY = b'{"rows": [{"tenure": 8}, {"tenure": 9}]}'


class Telling:
    """A server process with telemetry, and a client of it."""

    def __init__(
        self,
        package: Path,
        key: Path,
        telemetry: dict[str, Any],
        env: dict[str, str] | None = None,
        errors: int = subprocess.PIPE,
        script: str = "serve_telemetry_process.py",
        **settings: Any,
    ) -> None:
        settings = UNHURRIED | {"dialects": ["plain"]} | settings
        script = str(Path(__file__).with_name(script))
        arguments = [str(package), str(key), json.dumps(settings), json.dumps(telemetry)]
        self.process = subprocess.Popen(
            [sys.executable, script, *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src"), **(env or {})},
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line.strip(), self.process.communicate()
        self.port, self.grpc_port = map(int, line.split())
        self.client = patience.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE)

    def predict(self, body: bytes = BODY, **headers: str) -> httpx.Response:
        return self.client.post(
            "/predict", content=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    def end(self) -> str:
        """Stop it as an operator does; what it wrote to the error stream."""
        self.client.close()
        self.process.terminate()
        errors = self.process.communicate(timeout=PATIENCE)[1]
        assert self.process.returncode == 0, errors
        return str(errors)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Receiver:
    """An OTLP/HTTP receiver that keeps what it gets, read with the protocol's own message classes."""

    def __init__(self) -> None:
        self.traces: list[ExportTraceServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.headers["content-type"] == "application/x-protobuf"
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                if self.path == "/v1/traces":
                    receiver.traces.append(ExportTraceServiceRequest.FromString(body))
                elif self.path == "/v1/metrics":
                    receiver.metrics.append(ExportMetricsServiceRequest.FromString(body))
                self.send_response(200 if self.path in ("/v1/traces", "/v1/metrics") else 404)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def spans(self) -> list[Any]:
        return [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def last_metrics(self) -> dict[str, Any]:
        """The metrics of the last export by name."""
        return {
            metric.name: metric
            for resource in self.metrics[-1].resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def resource(self) -> dict[str, str]:
        found = (self.traces or self.metrics)[-1]
        each = found.resource_spans if self.traces else found.resource_metrics  # type: ignore[union-attr]
        return attributes(each[0].resource)


def attributes(message: Any) -> dict[str, Any]:
    """The attributes of a span, a point or a resource as Python values."""
    found: dict[str, Any] = {}
    for each in message.attributes:
        kind = each.value.WhichOneof("value")
        value = getattr(each.value, kind)
        found[each.key] = [v.string_value for v in value.values] if kind == "array_value" else value
    return found
