"""Metrics in Prometheus' format: parsed by its own library, checked by its own tool, scraped by the real program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from telemetry_tools import Telling

from bessemer.serve.statistics import LATENCIES, SIZES, Statistics
from bessemer.serve.telemetry.facts import ModelFacts, ServerFacts, usage
from bessemer.serve.telemetry.prometheus import COUNTERS, render
from patience import until
from prometheus_tools import asked, prometheus, scraping

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def statistics() -> Statistics:
    found = Statistics()
    found.ran(rows=5, requests=2, infer=0.25)
    found.ran(rows=20_000, requests=1, infer=0.5)
    for seconds in (0.0001, 0.0002, 100.0):
        found.took(seconds)
    found.failed, found.late, found.refused, found.explained = 3, 1, 2, 4
    found.queue_seconds, found.encode_seconds = 0.125, 0.0625
    return found


def facts() -> list[ModelFacts]:
    one = statistics().snapshot()
    return [
        ModelFacts("churn", "1.0.0", (one,), waiting=7, size=1234, learner="lightgbm", task="binary"),
        ModelFacts('an "odd"\n\\name', "2", (one, one, Statistics().snapshot()), ready=False),
    ]


SERVER = ServerFacts(
    connections=12, accepted=99, workers=3, restarts=1, refused={413: 2, 503: 5}, dropped={"access_log": 4}
)


def samples(text: bytes, parse: Callable[[str], Any]) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text.decode())
        for sample in family.samples
    }


def labels(**pairs: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pairs.items()))


@pytest.mark.parametrize(
    ("accept", "kind", "parse"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8", parse_text),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "text/plain; version=0.0.4; charset=utf-8", parse_text),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;q=0.3",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            parse_openmetrics,
        ),
        (
            "application/openmetrics-text;version=x.y",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            parse_openmetrics,
        ),
    ],
)
def test_everything_counted_is_told(accept: str, kind: str, parse: Callable[[str], Any]) -> None:
    text, content_type = render(facts(), SERVER, accept)
    assert content_type == kind
    found = samples(text, parse)
    one, odd = {"model": "churn", "version": "1.0.0"}, {"model": 'an "odd"\n\\name', "version": "2"}
    for result, count in (("ok", 3), ("failed", 3), ("refused", 2), ("late", 1)):
        assert found["bessemer_requests_total", labels(**one, result=result)] == count
        assert found["bessemer_requests_total", labels(**odd, result=result)] == 2 * count, (
            "workers are summed"
        )
    whole = statistics()
    for name, _, statistic in COUNTERS:
        assert found[f"{name}_total", labels(**one)] == getattr(whole, statistic)
        assert found[f"{name}_total", labels(**odd)] == 2 * getattr(whole, statistic)
    assert found["bessemer_requests_waiting", labels(**one)] == 7
    assert found["bessemer_model_ready", labels(**one)] == 1
    assert found["bessemer_model_ready", labels(**odd)] == 0
    assert found["bessemer_model_package_bytes", labels(**one)] == 1234
    assert found["bessemer_model_info", labels(**one, learner="lightgbm", task="binary")] == 1
    assert found["bessemer_model_last_run_timestamp_seconds", labels(**one)] == pytest.approx(
        whole.last, abs=60
    )
    server = {"bessemer_connections": 12, "bessemer_connections_accepted_total": 99, "bessemer_workers": 3}
    server |= {"bessemer_worker_restarts_total": 1, "bessemer_server_ready": 1}
    assert {name: found[name, ()] for name in server} == server
    assert found["bessemer_refused_total", labels(status="413")] == 2
    assert found["bessemer_refused_total", labels(status="503")] == 5
    assert found["bessemer_telemetry_dropped_total", labels(what="access_log")] == 4
    assert found["bessemer_process_resident_memory_bytes", labels(worker="0")] > 10_000_000


def test_histograms_are_cumulative_and_whole() -> None:
    found = samples(render(facts(), SERVER)[0], parse_text)
    one = {"model": "churn", "version": "1.0.0"}
    for name, edges in (("bessemer_request_duration_seconds", LATENCIES), ("bessemer_batch_rows", SIZES)):
        buckets = {
            float(dict(pairs)["le"]): value
            for (sample, pairs), value in found.items()
            if sample == f"{name}_bucket" and ("model", "churn") in pairs
        }
        assert list(buckets) == [float(edge) for edge in edges]
        values = list(buckets.values())
        assert values == sorted(values)
        assert values[-1] == found[f"{name}_count", labels(**one)]
    duration = "bessemer_request_duration_seconds"
    assert found[f"{duration}_bucket", labels(**one, le="0.0001")] == 1, "an edge belongs to its bucket"
    assert found[f"{duration}_bucket", labels(**one, le="10.0")] == 2
    assert found[f"{duration}_bucket", labels(**one, le="+Inf")] == 3
    assert found[f"{duration}_sum", labels(**one)] == pytest.approx(100.0003)
    assert found["bessemer_batch_rows_bucket", labels(**one, le="8.0")] == 1
    assert found["bessemer_batch_rows_sum", labels(**one)] == 20_005


def test_a_server_without_models_is_told_too() -> None:
    text = render([], ServerFacts(ready=False))[0]
    assert samples(text, parse_text)["bessemer_server_ready", ()] == 0


def test_what_a_process_uses_is_what_the_system_says(tmp_path: Path) -> None:
    found = usage(os.getpid())
    assert found is not None
    status = Path("/proc/self/status").read_text()
    kilobytes = int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])  # type: ignore[index]
    assert found.memory == pytest.approx(kilobytes * 1024, rel=0.1)
    assert found.cpu == pytest.approx(sum(os.times()[:2]), abs=1.0)
    folder = tmp_path / "7"
    (folder / "fd").mkdir(parents=True)
    (folder / "stat").write_text("7 (a ) (name) R " + " ".join(str(n) for n in range(4, 53)))
    odd = usage(7, tmp_path)
    assert odd is not None
    assert odd.cpu == (14 + 15) / os.sysconf("SC_CLK_TCK")
    assert odd.memory == 24 * os.sysconf("SC_PAGE_SIZE")
    assert usage(8, tmp_path) is None


@pytest.mark.slow
@pytest.mark.parametrize("models", [[], facts()], ids=["none", "two"])
def test_promtool_has_nothing_to_say(models: list[ModelFacts]) -> None:
    text = render(models, SERVER)[0]
    done = subprocess.run([prometheus("promtool"), "check", "metrics"], input=text, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    wrong = subprocess.run(
        [prometheus("promtool"), "check", "metrics"], input=b"bessemer_rows 1\n", capture_output=True
    )
    assert wrong.returncode != 0, "the tool finds what is wrong"


@pytest.mark.slow
def test_a_real_prometheus_scrapes_the_server(tell: Any, tmp_path: Path) -> None:
    served: Telling = tell({})
    for _ in range(5):
        assert served.predict().status_code == 200
    assert served.client.get("/monitoring/prometheus/metrics").status_code == 200
    targets = [{"targets": [f"127.0.0.1:{served.port}"]}]
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "bessemer", "static_configs": targets}],
    }
    with scraping(tmp_path / "prometheus", config) as url:
        (requests,) = until(lambda: asked(url, 'bessemer_requests_total{result="ok"}'))
        assert (requests["metric"]["model"], requests["value"][1]) == ("tiny", "5")
        until(lambda: asked(url, "up == 1"))
        (rows,) = until(lambda: asked(url, "bessemer_rows_total"))
        assert rows["value"][1] == "10"
        query = "histogram_quantile(0.5, bessemer_request_duration_seconds_bucket)"
        assert float(until(lambda: asked(url, query))[0]["value"][1]) > 0


def test_the_library_is_loaded_with_the_first_scrape() -> None:
    code = "import sys, bessemer.serve.telemetry.metrics; assert 'prometheus_client' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
