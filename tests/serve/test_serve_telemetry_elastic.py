"""Elastic APM: what arrives at an APM server, all of it held to the published schema."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from apm_server import ApmServer, validators
from elasticapm.metrics.base_metrics import MetricsRegistry
from pydantic import ValidationError
from started import Started
from telemetry_tools import Telling

import patience
from bessemer.core.errors import UsageError
from bessemer.serve.dialect import Subject
from bessemer.serve.statistics import Statistics
from bessemer.serve.telemetry.elastic import errors as errors_module
from bessemer.serve.telemetry.elastic.agent import MOST_WAITING, scrub
from bessemer.serve.telemetry.elastic.elastic import Elastic
from bessemer.serve.telemetry.elastic.metricset import ModelMetrics, added
from bessemer.serve.telemetry.elastic.transactions import about
from bessemer.serve.telemetry.facts import ModelFacts
from bessemer.serve.telemetry.spec import ElasticSpec, TelemetrySpec
from bessemer.testing.models import tiny_signature
from patience import PATIENCE, until

PAGE = (Path(__file__).parents[2] / "docs" / "elastic.md").read_text("utf-8")
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"
BREAKS = b'{"rows": [{"tenure": 666}]}'
ALL = {"sample": "100%", "interval": "1s"}
OFTEN = {"ELASTIC_APM_API_REQUEST_TIME": "1s"}


@pytest.fixture
def apm() -> Iterator[ApmServer]:
    found = ApmServer()
    yield found
    found.close()


def elastic(apm: ApmServer, **settings: Any) -> dict[str, Any]:
    return {"elastic": {"server": apm.url, **settings}}


def test_the_settings_have_short_forms() -> None:
    assert TelemetrySpec(elastic=True).elastic == ElasticSpec()
    assert TelemetrySpec(elastic="http://apm:8200/").elastic == ElasticSpec(server="http://apm:8200")
    for wrong in (
        {"server": "apm:8200"},
        {"server": "http://a:b@c"},
        {"service": "a/b"},
        {"interval": "10ms"},
    ):
        with pytest.raises(ValidationError):
            ElasticSpec(**wrong)


def test_every_setting_is_in_the_page() -> None:
    assert not [name for name in ElasticSpec.model_fields if f"| `{name}` |" not in PAGE]


def test_every_metric_is_in_the_page() -> None:
    counted = Statistics()
    counted.ran(rows=1, requests=1, infer=0.1)
    counted.took(0.1)
    names = [name for name, _ in added({}, counted.snapshot())]
    assert len(names) == 14
    assert not [name for name in names if f"`{name}`" not in PAGE]


@pytest.mark.slow
def test_the_receiver_refuses_what_the_schema_does_not_know(apm: ApmServer) -> None:
    """The check of all others can fail."""
    meta = {"metadata": {"service": {"name": "x", "agent": {"name": "python", "version": "6"}}}}
    good = {
        "transaction": {"id": "a", "trace_id": "b", "type": "c", "duration": 1, "span_count": {"started": 0}}
    }
    broken: list[Any] = [
        {"transaction": {**good["transaction"], "duration": "1"}},
        {"transaction": {k: v for k, v in good["transaction"].items() if k != "span_count"}},
        {"transaction": {**good["transaction"], "name": "x" * 1025}},
        {"transaction": {**good["transaction"], "context": {"tags": {"a": {"b": 1}}}}},
        {"metricset": {"samples": {"a": {"values": [1]}}}},
        {"metricset": {"samples": {"a": {"type": "gauge"}}}},
        {"error": {"id": "a", "trace_id": "b"}},
        {"error": {"culprit": "b"}},
        {"gauge": {}},
        {"transaction": {**good["transaction"], "duration": float("nan")}},
    ]
    headers = {"content-type": "application/x-ndjson", "content-encoding": "deflate"}
    for number, event in enumerate([good, *broken]):
        body = zlib.compress("\n".join(map(json.dumps, [meta, good, event])).encode())
        answer = patience.post(f"{apm.url}/intake/v2/events", content=body, headers=headers)
        assert (answer.status_code, answer.json()["accepted"]) == ((202, 2) if number == 0 else (400, 1)), (
            event
        )
    assert len(apm.faults) == len(broken)
    lone = patience.post(
        f"{apm.url}/intake/v2/events", content=zlib.compress(json.dumps(good).encode()), headers=headers
    )
    assert lone.status_code == 400, "metadata comes first"


def test_events_are_scrubbed_whatever_brought_them() -> None:
    frame = {"filename": "a.py", "vars": {"password": "secret"}}
    event = {
        "context": {
            "request": {
                "method": "GET",
                "headers": {"authorization": "secret"},
                "cookies": {"a": "secret"},
                "body": "secret",
                "env": {"REMOTE_USER": "secret"},
                "url": {"pathname": "/predict", "search": "?key=secret", "full": "http://x/predict?key=secret"},
            },
            "response": {"status_code": 200, "headers": {"set-cookie": "secret"}},
        },
        "exception": {
            "stacktrace": [dict(frame)],
            "cause": [{"stacktrace": [dict(frame)], "cause": [{"stacktrace": [dict(frame)]}]}],
        },
        "log": {"stacktrace": [dict(frame)]},
        "stacktrace": [dict(frame)],
    }  # fmt: skip
    said = json.dumps(scrub(None, event))  # type: ignore[arg-type]
    assert "secret" not in said
    assert said.count("a.py") == 5
    assert '"url": {"pathname": "/predict"}' in said


def test_a_version_is_told_with_the_names_it_has_now() -> None:
    subject = Subject("churn", "1.1.0", tiny_signature("binary"))
    assert about(subject) == {"model": "churn", "version": "1.1.0"}
    subject.labels = ("canary", "next")
    assert about(subject)["tag"] == "canary,next"


def test_a_wrong_variable_of_the_environment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELASTIC_APM_SERVICE_NAME", "a/b")
    with pytest.raises(UsageError, match=r"(?s)agent cannot be set up.*SERVICE_NAME"):
        Elastic(ElasticSpec())


def test_what_was_added_is_the_difference() -> None:
    one = Statistics()
    one.ran(rows=4, requests=3, infer=0.5)
    for seconds in (0.00005, 0.0002, 99.0):
        one.took(seconds)
    before = one.snapshot()
    one.ran(rows=2, requests=1, infer=0.25)
    one.took(0.0002)
    found = dict(added(before, one.snapshot()))
    assert found["bessemer.rows"] == {"value": 2, "type": "gauge"}
    assert found["bessemer.infer.time"] == {"value": 0.25, "type": "gauge", "unit": "s"}
    assert found["bessemer.request.duration"]["counts"] == [1]
    assert found["bessemer.request.duration"]["values"] == [pytest.approx(0.000175)]
    whole = dict(added({}, before))["bessemer.request.duration"]
    assert whole["values"] == sorted(whole["values"])
    assert whole["values"][-1] == 10.0
    assert sum(whole["counts"]) == 3


def counted(*latencies: float, rows: int = 2) -> Statistics:
    found = Statistics()
    for seconds in latencies:
        found.ran(rows=rows, requests=1, infer=0.1)
        found.took(seconds)
    return found


def told(metrics: ModelMetrics, statistics: Statistics) -> dict[str, Any]:
    """The samples of the next interval, which the schema takes."""
    metrics.models = lambda: [ModelFacts("m", "1", (statistics.snapshot(),), carried=statistics.carried)]
    (found,) = metrics.collect()
    whole = json.loads(json.dumps({**found, "samples": dict(found["samples"])}))
    assert not list(validators()["metricset"].iter_errors(whole))
    assert all(each["value"] >= 0 for each in found["samples"].values() if "value" in each)
    return dict(found["samples"])


def test_what_a_process_before_has_told_is_not_told_again() -> None:
    """A worker that died was replaced: the new one's counters go on, and so do the sums over all intervals."""
    before, metrics = counted(0.001, 0.001, 0.001), ModelMetrics(MetricsRegistry(None))
    assert told(metrics, before)["bessemer.rows"]["value"] == 6
    again, metrics = Statistics(), ModelMetrics(MetricsRegistry(None))
    again.carry(before.snapshot())
    assert (again.requests, again.rows) == (3, 6)
    again.ran(rows=4, requests=1, infer=0.1)
    again.took(0.002)
    samples = told(metrics, again)
    assert (samples["bessemer.rows"]["value"], samples["bessemer.requests.ok"]["value"]) == (4, 1)
    assert samples["bessemer.request.duration"]["counts"] == [1]
    assert samples["bessemer.infer.time"]["value"] == pytest.approx(0.1)


@pytest.mark.parametrize("after", [(0.001,), (0.002, 0.002, 0.002, 0.002)])
def test_a_model_that_is_loaded_anew_begins_at_none(after: tuple[float, ...]) -> None:
    """With fewer requests than before, or with more, of another latency."""
    metrics = ModelMetrics(MetricsRegistry(None))
    told(metrics, counted(0.001, 0.001, 0.001))
    samples = told(metrics, counted(*after))
    assert samples["bessemer.rows"]["value"] == 2 * len(after)
    assert samples["bessemer.requests.ok"]["value"] == len(after)
    assert samples["bessemer.request.duration"]["counts"] == [len(after)]


@pytest.mark.slow
def test_all_events_of_real_traffic_are_valid(tell: Any, apm: ApmServer) -> None:
    """Good requests, a client's faults, a model that breaks, other routes: every one, and none says too much."""
    environment = {
        **OFTEN,
        "ELASTIC_APM_CAPTURE_HEADERS": "true",
        "ELASTIC_APM_COLLECT_LOCAL_VARIABLES": "all",
        "ELASTIC_APM_SECRET_TOKEN": "apm-token",
    }
    served: Telling = tell(
        elastic(apm, **ALL, environment="test"), env=environment, script="serve_elastic_process.py"
    )
    begun = time.time()
    secret = {"authorization": "Bearer client-secret", "cookie": "session=client-secret", "user_agent": "me"}
    for _ in range(20):
        assert served.predict(**secret).is_success
    for _ in range(3):
        assert served.predict(b'{"rows": [{"tenure": "client-secret"}]}', **secret).status_code == 400
    broke = [served.predict(BREAKS, **secret) for _ in range(2)]
    assert {answer.status_code for answer in broke} == {500}
    assert served.client.get("/docs?key=client-secret").is_success
    assert served.client.get("/nowhere/client").status_code == 404
    until(lambda: len(apm.of("metricset")) > 3)
    until(lambda: len(apm.of("transaction")) == 27 and len(apm.of("error")) == 2)
    until(lambda: added_up(apm, "ok", "failed", "refused") == 25)
    errors = served.end()

    assert apm.faults == [], "every event is valid"
    everything = json.dumps(apm.events) + json.dumps(apm.metadata)
    for word in ("client-secret", "a-local-secret", "apm-token", "cookie", "authorization", '"vars"'):
        assert word not in everything, word
    assert set(apm.authorization) == {"Bearer apm-token"}
    assert "Traceback" in errors, "the log has the break too"
    service = apm.metadata[0]["service"]
    assert (service["name"], service["environment"], service["framework"]["name"]) == (
        "bessemer",
        "test",
        "bessemer",
    )

    transactions = apm.of("transaction")
    names: dict[str, int] = {}
    for each in transactions:
        names[each["name"]] = names.get(each["name"], 0) + 1
    assert names == {"tiny 1.0.0": 20, "POST /predict": 5, "GET /docs": 1, "GET": 1}
    good = next(each for each in transactions if each["name"] == "tiny 1.0.0")
    assert (good["result"], good["outcome"], good["sample_rate"]) == ("HTTP 2xx", "success", 1.0)
    assert good["context"]["tags"] == {
        "model": "tiny", "version": "1.0.0", "outcome": "success", "dialect": "plain", "rows": 2,
        "batch_rows": 2, "batch_requests": 1, "explained": False,
    }  # fmt: skip
    request = good["context"]["request"]
    assert request == {
        "method": "POST",
        "url": {"pathname": "/predict"},
        "socket": {"remote_address": "127.0.0.1"},
    }
    assert {each["outcome"] for each in transactions if each["result"] == "HTTP 5xx"} == {"failure"}
    assert {each["outcome"] for each in transactions if each["result"] == "HTTP 4xx"} == {"success"}

    spans = [span for span in apm.of("span") if span["transaction_id"] == good["id"]]
    assert [span["name"] for span in spans] == ["queue", "infer", "encode"]
    assert good["span_count"] == {"started": 3, "dropped": 0}
    assert {span["trace_id"] for span in spans} == {good["trace_id"]}
    assert sum(span["duration"] for span in spans) <= good["duration"] + 0.01
    assert begun <= good["timestamp"] / 1e6 <= time.time()

    found = apm.of("error")
    assert len(found) == 2
    assert {error["exception"]["type"] for error in found} == {"RuntimeError"}
    assert all(frame["filename"] for frame in found[0]["exception"]["stacktrace"])
    number = found[0]["context"]["tags"]["logged"].split()[1]
    assert number in broke[0].text, "the client's number finds it"

    sets = [each for each in apm.of("metricset") if each.get("tags", {}).get("model")]
    assert {each["tags"]["version"] for each in sets} == {"1.0.0"}
    total = {
        name: sum(each["samples"][name]["value"] for each in sets)
        for name in (
            "bessemer.requests.ok",
            "bessemer.requests.failed",
            "bessemer.requests.refused",
            "bessemer.rows",
        )
    }
    assert total == {
        "bessemer.requests.ok": 20, "bessemer.requests.failed": 2, "bessemer.requests.refused": 3, "bessemer.rows": 40,
    }  # fmt: skip
    histograms = [
        each["samples"]["bessemer.request.duration"]
        for each in sets
        if "bessemer.request.duration" in each["samples"]
    ]
    assert sum(sum(each["counts"]) for each in histograms) == 20
    process = [each for each in apm.of("metricset") if not each.get("tags")]
    assert "system.process.memory.rss.bytes" in process[0]["samples"]


def added_up(apm: ApmServer, *kinds: str) -> int:
    """How many requests of some kinds all intervals have."""
    sets = [each["samples"] for each in apm.of("metricset") if each.get("tags", {}).get("model")]
    return sum(each[f"bessemer.requests.{kind}"]["value"] for each in sets for kind in kinds)


@pytest.mark.slow
def test_a_trace_of_the_client_goes_on_and_others_only_count(tell: Any, apm: ApmServer) -> None:
    served: Telling = tell(elastic(apm, sample="0%", interval="1s"), env=OFTEN)
    served.predict(traceparent=SAMPLED, tracestate="es=s:0.25")
    served.predict(traceparent=UNSAMPLED)
    served.predict(traceparent="00-nonsense")
    for _ in range(5):
        served.predict()
    until(lambda: apm.of("transaction") and added_up(apm, "ok") == 8)
    served.end()
    assert apm.faults == []
    (found,) = apm.of("transaction")
    assert (found["trace_id"], found["parent_id"], found["sample_rate"]) == (TRACE, SPAN, 0.25)
    assert added_up(apm, "ok") == 8


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["ELASTIC_APM_ENABLED", "ELASTIC_APM_RECORDING"])
def test_the_environment_can_switch_it_off(tell: Any, apm: ApmServer, variable: str) -> None:
    served: Telling = tell(elastic(apm, **ALL), env={variable: "false"}, script="serve_elastic_process.py")
    assert served.predict().is_success
    assert served.predict(BREAKS).status_code == 500
    served.end()
    assert (apm.events, apm.faults) == ([], [])


@pytest.mark.slow
def test_calls_of_grpc_are_transactions(tell: Any, apm: ApmServer) -> None:
    import grpc

    from bessemer.serve.dialects.v2_grpc import V2Grpc
    from bessemer.testing.dialects import repository

    served: Telling = tell(elastic(apm, **ALL), env=OFTEN, dialects=["plain", "v2_grpc"], grpc_port=0)
    models = repository()
    example = V2Grpc(models).example(models.get(), [{"tenure": 8}])
    with grpc.insecure_channel(f"127.0.0.1:{served.grpc_port}") as channel:
        call = channel.unary_unary(example.path)
        assert call(example.body, metadata=(("authorization", "client-secret"),), timeout=PATIENCE)
        with pytest.raises(grpc.RpcError):
            call(b"\xff\xff", timeout=PATIENCE)
    until(lambda: len(apm.of("transaction")) == 2)
    served.end()
    assert apm.faults == []
    assert "client-secret" not in json.dumps(apm.events)
    assert [(each["name"], each["result"]) for each in apm.of("transaction")] == [
        ("tiny 1.0.0", "gRPC 2xx"),
        ("inference.GRPCInferenceService/ModelInfer", "gRPC 4xx"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["away", "hanging", "refusing"])
def test_predictions_go_on_without_an_apm_server(tell: Any, how: str) -> None:
    """Nothing waits for it, what is kept for it is bounded, and the log complains once."""
    apm = ApmServer(wants="Bearer right" if how == "refusing" else "")
    settings = elastic(apm, **ALL)
    if how == "away":
        apm.close()
    elif how == "hanging":
        apm.goes_on.clear()
    began = time.monotonic()
    # small requests to the APM server, so that it is asked often
    served: Telling = tell(
        settings, env={"ELASTIC_APM_API_REQUEST_SIZE": "2kb", "ELASTIC_APM_SERVER_TIMEOUT": "1s"}
    )
    for _ in range(400):
        assert served.predict().is_success
    assert until(lambda: _lost(served)) > 0
    lasted = time.monotonic() - began
    errors = served.end()
    if how != "away":
        apm.close()
    assert 1 <= errors.count("takes no events") <= 2 + lasted // 60, "once a minute"
    assert "Traceback" not in errors
    assert errors.count("\n") < 10, errors
    if how == "refusing":
        assert apm.refused > 1
        assert "401" in errors


def test_what_waits_is_bounded(apm: ApmServer) -> None:
    apm.goes_on.clear()
    one = Elastic(ElasticSpec(server=apm.url, metrics=False))
    event = {"id": "a", "trace_id": "b", "type": "c", "duration": 1, "span_count": {"started": 0}}
    one._agent.queue("transaction", dict(event), flush=True)
    until(lambda: apm.requests == 1)  # its thread waits for the answer now
    for _ in range(MOST_WAITING + 500):
        one._agent.queue("transaction", dict(event))
    assert one.dropped == 500
    assert one._agent._transport._event_queue.qsize() == MOST_WAITING
    apm.goes_on.set()
    one.close(PATIENCE)
    assert apm.faults == []
    assert len(apm.of("transaction")) == MOST_WAITING + 1


def _lost(served: Telling) -> float:
    for line in served.client.get("/metrics").text.splitlines():
        if line.startswith('bessemer_telemetry_dropped_total{what="elastic"}'):
            return float(line.split()[-1])
    return 0.0


def test_errors_are_told_of_as_often_as_they_can_be_looked_at(
    apm: ApmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = [0.0]
    monkeypatch.setattr(errors_module, "time", SimpleNamespace(monotonic=lambda: moment[0]))
    one = Elastic(ElasticSpec(server=apm.url, metrics=False))
    log = logging.getLogger("bessemer.serve")
    for seconds in (0.0, 2.5, 3600.0):
        moment[0] += seconds
        for _ in range(30):
            log.error("something broke")
    one.close(PATIENCE)
    assert len(apm.of("error")) == 10 + 2 + 10
    assert one.dropped == 90 - 22


@pytest.mark.slow
def test_a_storm_of_errors_is_cut(tell: Any, apm: ApmServer) -> None:
    settings = elastic(apm, sample="0%", interval="1s")
    served: Telling = tell(settings, env=OFTEN, script="serve_elastic_process.py", errors=subprocess.DEVNULL)
    began = time.monotonic()
    for _ in range(300):
        assert served.predict(BREAKS).status_code == 500
    lasted, lost = time.monotonic() - began, _lost(served)
    until(lambda: len(apm.of("error")) + lost == 300, "those that were not lost")
    until(lambda: added_up(apm, "failed") == 300, "all of them count")
    served.end()
    assert apm.faults == []
    assert 10 <= len(apm.of("error")) <= 10 + lasted + 1, "ten at once, and one a second"


@pytest.mark.slow
def test_the_command_serves_with_the_environment(
    packages: dict[str, Path], apm: ApmServer, tmp_path: Path
) -> None:
    from serve_packages import write_public

    key = write_public(tmp_path / "key.pub")
    (tmp_path / "bessemer.yaml").write_text("data: d.csv\ntarget: y\nserve: {telemetry: {elastic: true}}\n")
    environment = {
        "ELASTIC_APM_SERVER_URL": apm.url,
        "ELASTIC_APM_SERVICE_NAME": "churn-service",
        "ELASTIC_APM_TRANSACTION_SAMPLE_RATE": "1.0",
        **OFTEN,
        "ELASTIC_APM_GLOBAL_LABELS": "team=growth",
    }
    arguments = [str(packages["binary"]), "--project", str(tmp_path), "--key", str(key), "--port", "0"]
    with Started({**os.environ, **environment}, *arguments) as url:
        for number in range(40):
            assert patience.post(f"{url}/predict", json={"rows": [{"tenure": number}]}).is_success
            assert patience.post(f"{url}/predict", json={"rows": [{"tenure": "x"}]}).status_code == 400
            assert patience.get(f"{url}/nowhere/{number}").status_code == 404
        until(lambda: len(apm.of("transaction")) == 120)
    assert apm.faults == []
    results = [each["result"] for each in apm.of("transaction")]
    assert (results.count("HTTP 2xx"), results.count("HTTP 4xx"), len(results)) == (40, 80, 120)
    assert apm.metadata[0]["service"]["name"] == "churn-service"
    assert apm.metadata[0]["labels"] == {"team": "growth"}
