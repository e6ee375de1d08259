"""Spans and metrics to an OpenTelemetry collector, by OTLP over HTTP (protobuf).

The SDK batches, retries and sends in threads of its own. What it says of the environment holds: OTEL_SERVICE_NAME,
OTEL_RESOURCE_ATTRIBUTES, OTEL_EXPORTER_OTLP_*, OTEL_BSP_*, OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER=none and so on.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Mapping
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.util.re import parse_env_headers

from bessemer._version import __version__
from bessemer.core.errors import UsageError
from bessemer.core.redaction import remember
from bessemer.serve.telemetry.observed import SCOPE, Models, WithHistograms, observe
from bessemer.serve.telemetry.sampling import sampling_of
from bessemer.serve.telemetry.spec import OtlpSpec
from bessemer.serve.telemetry.tracing import Tracing


class Otlp:
    """What one process sends to a collector.

    tracing: the observer of its requests; None where no spans are sent.

    Raises:
        UsageError: the variable of `headers_env` is not set, or has no headers.
    """

    def __init__(self, spec: OtlpSpec, scheme: str = "http") -> None:
        self._spec = spec
        self._headers = _headers(spec.headers_env, os.environ)
        self._resource = _resource()
        self._spans: TracerProvider | None = None
        self._meters: MeterProvider | None = None
        self.tracing: Tracing | None = None
        if _wanted(spec.traces, "TRACES"):
            self._spans = self._tracer_provider()
            tracer = self._spans.get_tracer(SCOPE, __version__)
            self.tracing = Tracing(tracer, sampling_of(spec.sample, os.environ), scheme)

    def _tracer_provider(self) -> TracerProvider:
        # which requests are traced is decided before the SDK hears of them
        provider = TracerProvider(sampler=ALWAYS_ON, resource=self._resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=self._at("traces"), headers=self._headers)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        return provider

    def watch(self, models: Models) -> None:
        """Begin to send metrics."""
        if not _wanted(self._spec.metrics, "METRICS"):
            return
        exporter = WithHistograms(
            OTLPMetricExporter(endpoint=self._at("metrics"), headers=self._headers), models
        )
        every = self._spec.interval
        reader = PeriodicExportingMetricReader(exporter, every * 1000 if every else None)
        self._meters = MeterProvider([reader], resource=self._resource, shutdown_on_exit=False)
        observe(self._meters.get_meter(SCOPE, __version__), models)

    def _at(self, signal: str) -> str | None:
        return f"{self._spec.endpoint}/v1/{signal}" if self._spec.endpoint else None

    def close(self, wait: float = 5.0) -> None:
        """Send what is left, for at most so many seconds: a collector that is away does not hold up the end."""

        def finish() -> None:
            for provider in (self._spans, self._meters):
                if provider is not None:
                    provider.shutdown()

        thread = threading.Thread(target=finish, name="bessemer-otlp-end", daemon=True)
        thread.start()
        thread.join(wait)


def _wanted(setting: bool, signal: str) -> bool:
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return (
        setting and not disabled and os.environ.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() != "none"
    )


def _resource() -> Resource:
    """What the data is about: this process. The environment's words go before ours."""
    ours: dict[str, Any] = {
        "service.name": "bessemer",
        "service.version": __version__,
        "service.instance.id": str(
            uuid.uuid4()
        ),  # workers are told apart: their counters are not one another's
    }
    return Resource.create({**ours, **OTELResourceDetector().detect().attributes})


def _headers(variable: str | None, env: Mapping[str, str]) -> dict[str, str] | None:
    if variable is None:
        return None
    found: dict[str, str] = parse_env_headers(env.get(variable, ""), liberal=True)
    if not found:
        raise UsageError(
            f"`otlp.headers_env` names {variable}, which has no headers",
            fix=f"set it: export {variable}='authorization=Bearer%20...'",
        )
    for value in found.values():
        remember(value)
    return found
