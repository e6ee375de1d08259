"""What the project file may say about what a server tells of itself: `serve: telemetry:`."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from bessemer.core.spec import Duration, Share, Size, Spec


def _base_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text!r} is not an address: write http://collector:4318")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a password in a URL ends up in logs: put the header's value in `headers_env`")
    return text.rstrip("/")


class AccessLogSpec(Spec):
    """Where a line for each answer goes.

    >>> AccessLogSpec(file="access.log", rotate="16MB").rotate
    16777216
    """

    file: str | None = Field(
        None,
        min_length=1,
        description="The file, whose folder exists; seen from where the server starts. Without it: the error stream.",
    )
    rotate: Size = Field(
        64 * 2**20, ge=4096, description="A file of this size becomes FILE.1, and FILE.1 becomes FILE.2."
    )
    keep: int = Field(5, ge=0, le=1000, description="How many files that are full are kept.")
    skip: list[str] = Field(
        [], description="Paths that are not logged, as `/healthz`; compared with the whole path."
    )
    queue: int = Field(
        16_384,
        ge=16,
        le=1_000_000,
        description="How many lines may wait to be written; beyond it they are lost, and counted.",
    )


class OtlpSpec(Spec):
    """OpenTelemetry over OTLP/HTTP; the standard OTEL_* variables of the environment are honoured.

    >>> OtlpSpec(endpoint="http://collector:4318/", sample="10%").endpoint
    'http://collector:4318'
    """

    endpoint: Annotated[str, AfterValidator(_base_url)] | None = Field(
        None,
        description="The collector, without `/v1/traces`. Without it: OTEL_EXPORTER_OTLP_ENDPOINT, or port 4318 "
        "of this machine.",
    )
    headers_env: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="The environment variable with headers that the collector wants, as `name=value,name=value`.",
    )
    sample: Share | None = Field(
        None,
        description="The share of requests that is traced where the client's `traceparent` does not decide. "
        "Without it: OTEL_TRACES_SAMPLER, or 1%.",
    )
    traces: bool = Field(True, description="Whether spans are sent.")
    metrics: bool = Field(True, description="Whether metrics are sent.")
    interval: Duration | None = Field(
        None,
        gt=0,
        description="How often metrics are sent. Without it: OTEL_METRIC_EXPORT_INTERVAL, or a minute.",
    )


class ElasticSpec(Spec):
    """Elastic APM, by Elastic's own agent; the variables ELASTIC_APM_* of the environment go before these.

    >>> ElasticSpec(server="http://apm:8200/", sample="10%").server
    'http://apm:8200'
    """

    server: Annotated[str, AfterValidator(_base_url)] | None = Field(
        None,
        description="The APM server. Without it: ELASTIC_APM_SERVER_URL, or port 8200 of this machine. What it wants "
        "to be shown stands in ELASTIC_APM_SECRET_TOKEN or ELASTIC_APM_API_KEY.",
    )
    service: str = Field(
        "bessemer", pattern=r"^[a-zA-Z0-9 _-]+$", description="What the service is called in Elastic APM."
    )
    environment: str | None = Field(
        None, min_length=1, max_length=1024, description="Where it runs, as `production`."
    )
    sample: Share | None = Field(
        None,
        description="The share of requests that is a transaction where the client's `traceparent` does not decide. "
        "Without it: ELASTIC_APM_TRANSACTION_SAMPLE_RATE, or 1%. All requests count in the metrics.",
    )
    interval: Duration = Field(30.0, ge=1, description="How often metrics are sent, in whole seconds.")
    traces: bool = Field(True, description="Whether transactions are sent.")
    metrics: bool = Field(True, description="Whether metrics are sent.")
    errors: bool = Field(True, description="Whether errors of the server are sent.")


def _log(value: Any) -> Any:
    """`true`: the error stream; `false`: none; text: the file."""
    if isinstance(value, bool):
        return {} if value else None
    return {"file": value} if isinstance(value, str) else value


def _otlp(value: Any) -> Any:
    """`true`: as the environment says; `false`: none; text: the endpoint."""
    if isinstance(value, bool):
        return {} if value else None
    return {"endpoint": value} if isinstance(value, str) else value


def _elastic(value: Any) -> Any:
    """`true`: as the environment says; `false`: none; text: the APM server."""
    if isinstance(value, bool):
        return {} if value else None
    return {"server": value} if isinstance(value, str) else value


class TelemetrySpec(Spec):
    """What a server tells of itself.

    >>> TelemetrySpec(access_log="access.log", otlp={"sample": "5%"}).access_log.file
    'access.log'
    """

    metrics: bool = Field(True, description="Whether `/metrics` answers, in Prometheus' format.")
    access_log: Annotated[
        AccessLogSpec | None,
        BeforeValidator(_log, json_schema_input_type=AccessLogSpec | str | bool | None),
    ] = Field(
        None,
        description="A line of JSON for each answer: `true` (the error stream), a file, or its settings.",
    )
    otlp: Annotated[
        OtlpSpec | None, BeforeValidator(_otlp, json_schema_input_type=OtlpSpec | str | bool | None)
    ] = Field(
        None,
        description="Traces and metrics for an OpenTelemetry collector: `true`, its address, or the settings. Needs "
        "`bessemer[otel]`.",
    )
    elastic: Annotated[
        ElasticSpec | None,
        BeforeValidator(_elastic, json_schema_input_type=ElasticSpec | str | bool | None),
    ] = Field(
        None,
        description="Transactions, metrics and errors for Elastic APM: `true`, the APM server's address, or the "
        "settings. Needs `bessemer[elastic]`.",
    )
