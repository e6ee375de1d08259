"""OpenTelemetry: what arrives at a receiver, as the protocol's own messages."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from telemetry_tools import Receiver, Telling, attributes

import patience
from bessemer.core.errors import UsageError
from bessemer.serve.statistics import LATENCIES
from bessemer.serve.telemetry.otlp import Otlp
from bessemer.serve.telemetry.sampling import Sampling, sampling_of
from bessemer.serve.telemetry.spec import OtlpSpec, TelemetrySpec
from patience import PATIENCE, until
from ports import free_port

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


def test_the_settings_have_short_forms() -> None:
    assert TelemetrySpec(otlp=True).otlp == OtlpSpec()
    assert TelemetrySpec(otlp="http://c:4318").otlp == OtlpSpec(endpoint="http://c:4318")
    for wrong in ("collector:4318", "ftp://c", "http://user:secret@c"):
        with pytest.raises(ValidationError):
            OtlpSpec(endpoint=wrong)


@pytest.mark.slow
def test_a_sampled_request_is_a_span_with_its_stages(tell: Any, receiver: Receiver) -> None:
    served: Telling = tell({"otlp": {"endpoint": receiver.url, "sample": 0.0, "metrics": False}})
    before = time.time_ns()
    assert served.predict(
        traceparent=SAMPLED, tracestate="vendor=1", x_request_id="abc", user_agent="me"
    ).is_success
    after = time.time_ns()
    served.predict(traceparent=UNSAMPLED)
    served.predict()
    served.end()
    spans = {span.name: span for span in receiver.spans()}
    assert len(receiver.spans()) == 4, "the others are not traced"
    server = spans.pop("POST /predict")
    assert (server.trace_id.hex(), server.parent_span_id.hex(), server.trace_state) == (
        TRACE,
        SPAN,
        "vendor=1",
    )
    assert server.kind == server.SPAN_KIND_SERVER
    assert before <= server.start_time_unix_nano < server.end_time_unix_nano <= after
    found = attributes(server)
    assert found.pop("http.response.body.size") > 50
    assert found == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "http.request.body.size": 40,
        "http.request.header.x-request-id": ["abc"],
        "url.path": "/predict",
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": served.port,
        "client.address": "127.0.0.1",
        "user_agent.original": "me",
        "bessemer.model": "tiny",
        "bessemer.version": "1.0.0",
        "bessemer.dialect": "plain",
        "bessemer.rows": 2,
        "bessemer.explained": False,
        "bessemer.batch.rows": 2,
        "bessemer.batch.requests": 1,
    }
    assert list(spans) == ["queue", "infer", "encode"]
    moments = [server.start_time_unix_nano]
    for span in spans.values():
        assert (span.trace_id, span.parent_span_id) == (server.trace_id, server.span_id)
        moments += [span.start_time_unix_nano, span.end_time_unix_nano]
    assert moments == sorted(moments), "one after the other, within the request"
    assert moments[-1] <= server.end_time_unix_nano
    assert spans["infer"].end_time_unix_nano > spans["infer"].start_time_unix_nano


@pytest.mark.slow
def test_failures_and_other_routes_are_traced_too(tell: Any, receiver: Receiver) -> None:
    served: Telling = tell({"otlp": {"endpoint": receiver.url, "sample": "100%", "metrics": False}})
    assert served.predict(b"{").status_code == 400
    assert served.client.get("/docs").status_code == 200
    served.end()
    found = {span.name: span for span in receiver.spans()}
    assert set(found) == {"POST /predict", "GET /docs"}
    assert attributes(found["POST /predict"])["http.response.status_code"] == 400
    assert found["POST /predict"].status.code == 0, "a client's fault is no error of the server"
    assert not found["GET /docs"].parent_span_id


@pytest.mark.slow
def test_calls_of_grpc_are_traced(tell: Any, receiver: Receiver) -> None:
    import grpc

    from bessemer.serve.dialects.v2_grpc import V2Grpc
    from bessemer.testing.dialects import repository

    telemetry = {"otlp": {"endpoint": receiver.url, "sample": 0.0, "metrics": False}}
    served: Telling = tell(telemetry, dialects=["plain", "v2_grpc"], grpc_port=0)
    models = repository()
    example = V2Grpc(models).example(models.get(), [{"tenure": 8}])
    with grpc.insecure_channel(f"127.0.0.1:{served.grpc_port}") as channel:
        call = channel.unary_unary(example.path)
        metadata = (("traceparent", SAMPLED), ("x-request-id", "abc"))
        assert call(example.body, metadata=metadata, timeout=PATIENCE)
        assert call(example.body, timeout=PATIENCE)
        with pytest.raises(grpc.RpcError):
            call(b"\xff\xff", metadata=metadata, timeout=PATIENCE)
    served.end()
    spans = receiver.spans()
    assert sorted(span.name for span in spans) == sorted(
        [*[example.path[1:]] * 2, "queue", "infer", "encode"]
    )
    good, bad = (attributes(span) for span in spans if span.name == example.path[1:])
    assert good["rpc.system.name"] == "grpc"
    assert good["rpc.method"] == "inference.GRPCInferenceService/ModelInfer"
    assert (good["rpc.response.status_code"], bad["rpc.response.status_code"]) == ("OK", "INVALID_ARGUMENT")
    assert good["bessemer.dialect"] == "v2_grpc"
    assert good["http.request.header.x-request-id"] == ["abc"]
    assert {span.trace_id.hex() for span in spans} == {TRACE}


@pytest.mark.slow
def test_mlflow_takes_and_shows_the_spans(tell: Any, tmp_path: Path) -> None:
    """A collector that others wrote: MLflow's tracking server takes OTLP, and wants a header."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app", "--port", str(port)]
    store = {
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{tmp_path}/store.db",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": str(tmp_path),
    }
    env = {**os.environ, **store}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: _healthy(url), "MLflow's server")
        env = {"COLLECTOR_HEADERS": "x-mlflow-experiment-id=0"}
        telemetry = {"otlp": {"endpoint": url, "headers_env": "COLLECTOR_HEADERS", "metrics": False}}
        served: Telling = tell(telemetry, env=env)
        served.predict(traceparent=SAMPLED)
        served.predict(traceparent=UNSAMPLED)
        served.end()
        address = f"{url}/api/3.0/mlflow/traces/tr-{TRACE}"
        # it has taken the spans, and writes them down in its own time
        until(lambda: patience.get(address).status_code == 200, "the trace")
        assert "tr-" + TRACE in patience.get(address).text
    finally:
        process.kill()
        process.wait()


def _healthy(url: str) -> bool:
    try:
        return patience.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """A process that does nothing meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    state = Path(f"/proc/{pid}/stat")
    until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", "its stop")
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.slow
def test_requests_that_are_scored_together_say_so(tell: Any, receiver: Receiver) -> None:
    served: Telling = tell({"otlp": {"endpoint": receiver.url, "sample": "100%", "metrics": False}})
    body = b'{"rows": [{"tenure": 8}]}'
    head = f"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    sockets = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(8)]
    for each in sockets:  # alone, so that the server knows them all
        each.sendall(head + body)
        assert each.recv(65536).startswith(b"HTTP/1.1 200")
    for _ in range(4):
        with paused(served.process.pid):  # it finds what came meanwhile all at once
            for each in sockets:
                each.sendall(head + body)
        for each in sockets:
            assert each.recv(65536).startswith(b"HTTP/1.1 200")
    for each in sockets:
        each.close()
    served.end()
    found = [attributes(span) for span in receiver.spans() if span.name == "POST /predict"]
    assert len(found) == 5 * 8
    assert {each["bessemer.rows"] for each in found} == {1}
    assert all(each["bessemer.batch.rows"] == each["bessemer.batch.requests"] for each in found)
    assert max(each["bessemer.batch.requests"] for each in found) > 1
    together = sum(1 / each["bessemer.batch.requests"] for each in found)
    assert together == pytest.approx(round(together)), "every request of a run says the same"


@pytest.mark.slow
def test_metrics_are_the_statistics(tell: Any, receiver: Receiver) -> None:
    begun = time.monotonic()
    served: Telling = tell({"otlp": {"endpoint": receiver.url, "traces": False, "interval": "200ms"}})
    for _ in range(3):
        served.predict()
    served.predict('{"tenure": 8, "désactivé": "nonsense"}'.encode())
    until(lambda: len(receiver.metrics) > 2)
    assert receiver.last_metrics()["bessemer.model.ready"].gauge.data_points[0].as_int == 1
    served.end()
    found = receiver.last_metrics()
    model = {"bessemer.model": "tiny", "bessemer.version": "1.0.0"}

    def number(name: str, **more: str) -> float:
        points = found[name].sum.data_points or found[name].gauge.data_points
        point = next(p for p in points if attributes(p) == {**model, **more})
        return float(point.as_double or point.as_int)

    assert number("bessemer.rows") == 6
    assert number("bessemer.batches") == 3
    assert number("bessemer.requests", **{"bessemer.result": "ok"}) == 3
    assert number("bessemer.requests", **{"bessemer.result": "refused"}) == 1
    assert number("bessemer.infer.time") > 0
    assert number("bessemer.requests.waiting") == 0
    assert number("bessemer.model.ready") == 0, "the last word is said when it has stopped"
    rows = found["bessemer.rows"]
    assert (rows.unit, rows.sum.is_monotonic, rows.sum.aggregation_temporality) == ("{row}", True, 2)
    assert not found["bessemer.requests.waiting"].sum.is_monotonic
    assert found["process.memory.usage"].sum.data_points[0].as_int > 10_000_000
    (duration,) = found["bessemer.request.duration"].histogram.data_points
    assert (duration.count, sum(duration.bucket_counts)) == (3, 3)
    assert list(duration.explicit_bounds) == [edge for edge in LATENCIES if math.isfinite(edge)]
    assert len(duration.bucket_counts) == len(duration.explicit_bounds) + 1
    assert attributes(duration) == model
    assert 0 < duration.sum < time.monotonic() - begun
    (sizes,) = found["bessemer.batch.rows"].histogram.data_points
    assert (sizes.count, sizes.sum, sizes.bucket_counts[1]) == (3, 6, 3)


@pytest.mark.slow
def test_the_environment_is_honoured(tell: Any, receiver: Receiver) -> None:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_SERVICE_NAME": "churn-service",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,service.version=9",
        "OTEL_TRACES_SAMPLER": "always_on",
        "OTEL_METRICS_EXPORTER": "none",
        "COLLECTOR_HEADERS": "authorization=Bearer%20token,x-tenant=me",
    }
    served: Telling = tell({"otlp": {"headers_env": "COLLECTOR_HEADERS"}}, env=env)
    served.predict(traceparent=UNSAMPLED)
    served.end()
    assert len(receiver.spans()) == 4, "always_on does not ask the client"
    assert not receiver.metrics
    resource = receiver.resource()
    assert (resource["service.name"], resource["service.version"]) == ("churn-service", "9")
    assert resource["deployment.environment.name"] == "test"
    assert len(resource["service.instance.id"]) == 36
    headers = receiver.headers[-1]
    assert (headers["authorization"], headers["x-tenant"]) == ("Bearer token", "me")
    assert headers["content-encoding"] == "gzip"


@pytest.mark.slow
def test_switched_off_by_the_environment_nothing_is_sent(tell: Any, receiver: Receiver) -> None:
    telemetry = {"otlp": {"endpoint": receiver.url, "sample": "100%", "interval": "100ms"}}
    served: Telling = tell(telemetry, env={"OTEL_SDK_DISABLED": "true"})
    served.predict()
    served.end()
    assert not receiver.headers


@pytest.mark.slow
def test_a_collector_that_is_away_holds_up_nothing(tell: Any) -> None:
    """Nor one that takes what is sent and never answers: the exporter itself would wait for an hour."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for endpoint in ("http://127.0.0.1:9", f"http://127.0.0.1:{silent.getsockname()[1]}"):
            telemetry = {"otlp": {"endpoint": endpoint, "sample": "100%"}}
            served: Telling = tell(telemetry, env={"OTEL_EXPORTER_OTLP_TIMEOUT": "3600"})
            for _ in range(50):
                assert served.predict().status_code == 200
            assert "Traceback" not in served.end()


def test_headers_that_are_not_there_are_told_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLLECTOR_HEADERS", raising=False)
    with pytest.raises(UsageError, match="COLLECTOR_HEADERS"):
        Otlp(OtlpSpec(headers_env="COLLECTOR_HEADERS"))


@pytest.mark.slow
def test_without_the_extra_the_install_command_is_said() -> None:
    code = """
import sys
sys.modules["opentelemetry"] = None
from bessemer.core.errors import MissingExtra
from bessemer.serve.telemetry.spec import TelemetrySpec
from bessemer.serve.telemetry.telemetry import Telemetry
Telemetry(TelemetrySpec(access_log=True)).close()
try:
    Telemetry(TelemetrySpec(otlp=True))
except MissingExtra as error:
    assert "bessemer[otel]" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("name", "argument", "wanted"),
    [
        ("", "", Sampling(0.01, True)),
        ("always_on", "", Sampling(1.0, False)),
        ("always_off", "", Sampling(0.0, False)),
        ("traceidratio", "0.5", Sampling(0.5, False)),
        ("traceidratio", "", Sampling(1.0, False)),
        ("parentbased_always_on", "", Sampling(1.0, True)),
        ("parentbased_always_off", "", Sampling(0.0, True)),
        ("parentbased_traceidratio", "0.25", Sampling(0.25, True)),
        ("traceidratio", "many", Sampling(1.0, False)),
        ("jaeger_remote", "", Sampling(0.01, True)),
    ],
)
def test_the_standard_samplers(name: str, argument: str, wanted: Sampling) -> None:
    env = {"OTEL_TRACES_SAMPLER": name} | ({"OTEL_TRACES_SAMPLER_ARG": argument} if argument else {})
    assert sampling_of(None, env) == wanted
    assert sampling_of(0.5, env) == Sampling(0.5, True), "the project file goes before"


def test_the_ratio_decides_as_the_sdk_does() -> None:
    import random

    from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

    rng = random.Random(7)
    theirs, ours = TraceIdRatioBased(0.3), Sampling(0.3, follows=False)
    for _ in range(2000):
        trace = rng.getrandbits(128) or 1
        decision = theirs.should_sample(None, trace, "x").decision
        assert ours.wants(f"00-{trace:032x}-{SPAN}-01") == (decision == Decision.RECORD_AND_SAMPLE)


def test_roots_are_sampled_in_their_share() -> None:
    for share in (0.0, 0.2, 1.0):
        found = sum(Sampling(share).wants("") for _ in range(20_000)) / 20_000
        assert found == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize(
    "broken",
    [
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
        SAMPLED + ", " + SAMPLED,
        "x" * 5000,
    ],
)
def test_a_broken_parent_is_none(broken: str) -> None:
    assert not Sampling(0.0, follows=True).wants(broken)
    assert Sampling(1.0, follows=True).wants(broken)
    assert Sampling(0.0, follows=True).wants(f"01-{TRACE}-{SPAN}-01-more"), "a later version may say more"


def test_runs_whose_requests_went_are_forgotten() -> None:
    """A request that was answered before its run was told leaves nothing behind."""
    import asyncio

    from opentelemetry.sdk.trace import TracerProvider

    from bessemer.serve.app import App, House
    from bessemer.serve.batching import Lane
    from bessemer.serve.telemetry.tracing import Tracing
    from bessemer.serve.wire import Request
    from bessemer.testing.dialects import repository

    tracing = Tracing(TracerProvider(shutdown_on_exit=False).get_tracer("x"), Sampling(1.0))

    async def many() -> None:
        models = repository(dialects=["plain"])
        lane = models.lanes()[0]
        models.put(Lane(lane.subject, lane.predictor, None, 1, (tracing,)))
        app = App(models, House(access=tracing))
        replies: list[int] = []
        for _ in range(100):
            request = Request("POST", "/predict", body=b'{"tenure": 8}')
            app.begin(request, lambda response: replies.append(response.status))
        while len(replies) < 100:
            await asyncio.sleep(0)
        assert set(replies) == {200}

    asyncio.run(many())
    assert not tracing._runs
    assert not tracing._older
    assert threading.active_count() < 50
