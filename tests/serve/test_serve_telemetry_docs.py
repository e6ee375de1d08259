"""The page of telemetry names all there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from bessemer.serve.telemetry.facts import ModelFacts, ServerFacts
from bessemer.serve.telemetry.lines import line, lost
from bessemer.serve.telemetry.observed import WithHistograms, observe
from bessemer.serve.telemetry.prometheus import render
from bessemer.serve.telemetry.spec import AccessLogSpec, OtlpSpec, TelemetrySpec

PAGE = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text("utf-8")


@pytest.mark.parametrize("spec", [TelemetrySpec, AccessLogSpec, OtlpSpec])
def test_every_setting_is_named(spec: type[BaseModel]) -> None:
    assert not [name for name in spec.model_fields if f"| `{name}` |" not in PAGE]


def test_every_metric_is_named_with_its_kind() -> None:
    server = ServerFacts(refused={503: 1}, dropped={"access_log": 1})
    text = render([ModelFacts("m", "1", ({},))], server)[0].decode()
    kinds = {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in text_string_to_metric_families(text)
    }
    assert len(kinds) > 25
    assert not [name for name, kind in kinds.items() if f"| `{name}` | {kind} |" not in PAGE]


def test_every_field_of_the_access_log_is_named() -> None:
    import json

    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    fields = {*json.loads(line((0.0, "GET", "/", 200, 1, 0.1, "c", "a", "i", "u", trace, "throttle")))}
    fields |= {*json.loads(lost(0.0, 1))}
    assert len(fields) == 13
    assert not [name for name in fields if f"`{name}`" not in PAGE]


def test_every_opentelemetry_metric_is_named() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    facts = [ModelFacts("m", "1", ({},))]
    observe(provider.get_meter("bessemer.serve"), lambda: facts)
    data = reader.get_metrics_data()
    assert data is not None
    names = {m.name for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics}
    from opentelemetry.sdk.metrics.export import ConsoleMetricExporter

    names |= {metric.name for metric in WithHistograms(ConsoleMetricExporter(), lambda: facts)._histograms()}
    assert len(names) == 14
    assert not [name for name in names if f"`{name}`" not in PAGE]
    provider.shutdown()
