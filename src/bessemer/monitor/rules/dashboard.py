"""A dashboard for Grafana, as the JSON model that it imports (schema version 39: Grafana 10.4 and later)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bessemer.monitor.rules.recording import BUDGET_LEFT, bad_share
from bessemer.monitor.slo import WINDOWS, SloSpec, span

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_MODEL = 'model=~"$model", version=~"$version"'
_RATE = "$__rate_interval"
_WIDTH = 24


@dataclass(frozen=True)
class Panel:
    """queries: expressions and what a line of each is called. width: of 24. kind: of Grafana's panels."""

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    height: int = 7
    about: str = ""
    options: dict[str, Any] = field(default_factory=dict)


def _rates(series: str, by: str, *, only: str = _MODEL) -> str:
    return f"sum by ({by}) (rate({series}{{{only}}}[{_RATE}]))"


def _quantile(share: float, series: str) -> str:
    return f"histogram_quantile({share:g}, {_rates(f'{series}_bucket', 'le, model, version')})"


_NAMED = "{{model}} {{version}}"
_DURATION = "bessemer_request_duration_seconds"
_FAILED = f'{_MODEL}, result=~"failed|late"'

_OVERVIEW = (
    Panel(
        "Requests a second",
        [(_rates("bessemer_requests_total", "model"), "{{model}}")],
        "reqps",
        "stat",
        6,
        4,
    ),
    Panel(
        "Failed or late",
        [
            (
                f"{_rates('bessemer_requests_total', 'model', only=_FAILED)} / "
                f"{_rates('bessemer_requests_total', 'model')}",
                "{{model}}",
            )
        ],
        *("percentunit", "stat", 6, 4),
    ),
    Panel("99th percentile", [(_quantile(0.99, _DURATION), _NAMED)], "s", "stat", 6, 4),
    Panel("Ready", [("bessemer_server_ready", "{{instance}}")], "bool_yes_no", "stat", 6, 4),
)
_TRAFFIC = (
    Panel(
        "Requests",
        [(_rates("bessemer_requests_total", "model, version, result"), f"{_NAMED} {{{{result}}}}")],
        "reqps",
    ),
    Panel(
        "By protocol",
        [
            (
                _rates("bessemer_dialect_requests_total", "dialect", only=f'{_MODEL}, dialect=~"$dialect"'),
                "{{dialect}}",
            )
        ],
        "reqps",
    ),
    Panel("Rows", [(_rates("bessemer_rows_total", "model, version"), _NAMED)], "ops"),
    Panel(
        "Refused before a model saw them",
        [(f"sum by (status) (rate(bessemer_refused_total[{_RATE}]))", "{{status}}")],
        "reqps",
        about="By status: 413 too large, 429 too many, 503 full.",
    ),
    Panel(
        "Deployments",
        [
            (f"max by (model, version) (bessemer_model_traffic_share{{{_MODEL}}})", f"{_NAMED} share"),
            (f"max by (model, version) (bessemer_model_canary{{{_MODEL}}}) > 0", f"{_NAMED} canary"),
            (f"max by (model, version) (bessemer_model_shadow{{{_MODEL}}}) > 0", f"{_NAMED} shadow"),
        ],
        "percentunit",
    ),
    Panel(
        "Explained rows",
        [(_rates("bessemer_explained_rows_total", "model, version"), _NAMED)],
        "ops",
    ),
)
_LATENCY = (
    Panel(
        "Time of an answer",
        [(_quantile(share, _DURATION), f"{_NAMED} p{share * 100:g}") for share in (0.5, 0.95, 0.99)],
        "s",
    ),
    Panel(
        "Distribution",
        [(_rates(f"{_DURATION}_bucket", "le"), "{{le}}")],
        *("s", "heatmap"),
        options={"calculate": False, "yAxis": {"unit": "s"}},
    ),
    Panel(
        "Where time goes, a request",
        [
            (
                f"sum(rate(bessemer_{part}_seconds_total{{{_MODEL}}}[{_RATE}])) / "
                f"sum(rate({_DURATION}_count{{{_MODEL}}}[{_RATE}]))",
                part,
            )
            for part in ("decode", "queue")
        ]
        + [
            (
                f"sum(rate(bessemer_{part}_seconds_total{{{_MODEL}}}[{_RATE}])) / "
                f"sum(rate(bessemer_batches_total{{{_MODEL}}}[{_RATE}]))",
                f"{part} (a run)",
            )
            for part in ("infer", "encode")
        ],
        "s",
    ),
    Panel(
        "Waiting",
        [(f"sum by (model, version) (bessemer_requests_waiting{{{_MODEL}}})", _NAMED)],
        about="Requests that are read and not answered yet.",
    ),
    Panel(
        "Rows in a run",
        [
            (
                f"{_rates('bessemer_rows_total', 'model')} / {_rates('bessemer_batches_total', 'model')}",
                "mean {{model}}",
            ),
            (_quantile(0.95, "bessemer_batch_rows"), f"p95 {_NAMED}"),
        ],
    ),
    Panel(
        "Failing",
        [(_rates("bessemer_failed_seconds_total", "model, version"), _NAMED)],
        "percentunit",
        about="Seconds a second that go into requests which fail.",
    ),
)
_PROCESSES = (
    Panel(
        "CPU",
        [
            (
                f"sum by (instance, worker) (rate(bessemer_process_cpu_seconds_total[{_RATE}]))",
                "{{instance}} {{worker}}",
            )
        ],
        "percentunit",
    ),
    Panel("Memory", [("bessemer_process_resident_memory_bytes", "{{instance}} {{worker}}")], "bytes"),
    Panel(
        "CPU of 1,000 rows",
        [
            (
                f"1000 * sum(rate(bessemer_process_cpu_seconds_total[{_RATE}])) / "
                f"sum(rate(bessemer_rows_total[{_RATE}]))",
                "all models",
            )
        ],
        "s",
    ),
    Panel(
        "Connections",
        [
            ("bessemer_connections", "{{instance}} open"),
            (f"rate(bessemer_connections_accepted_total[{_RATE}])", "{{instance}} new a second"),
        ],
    ),
    Panel(
        "Starts",
        [
            ("bessemer_cold_start_seconds", "{{instance}} start"),
            (f"bessemer_model_load_seconds{{{_MODEL}}}", f"{_NAMED} load"),
        ],
        "s",
    ),
    Panel(
        "Workers",
        [
            ("bessemer_workers", "{{instance}}"),
            (f"increase(bessemer_worker_restarts_total[{_RATE}])", "{{instance}} started again"),
        ],
    ),
    Panel("Open files", [("bessemer_process_open_files", "{{instance}} {{worker}}")]),
    Panel(
        "Lost records",
        [(f"sum by (what) (increase(bessemer_telemetry_dropped_total[{_RATE}]))", "{{what}}")],
        about="Predictions and lines of the access log that could not be written.",
    ),
    Panel("Size of the package", [(f"bessemer_model_package_bytes{{{_MODEL}}}", _NAMED)], "bytes"),
)
_MONITOR = (
    Panel(
        "Findings of the last window", [(f"bessemer_monitor_findings{{{_MODEL}}}", f"{_NAMED} {{{{kind}}}}")]
    ),
    Panel(
        "Performance",
        [
            (f"bessemer_monitor_performance{{{_MODEL}}}", "{{metric}} {{source}}"),
            (f"bessemer_monitor_performance_low{{{_MODEL}}}", "{{metric}} {{source}} low"),
            (f"bessemer_monitor_performance_high{{{_MODEL}}}", "{{metric}} {{source}} high"),
        ],
        about="Measured where labels have come, estimated where they have not; 95 % intervals.",
    ),
    Panel(
        "Statistics",
        [(f"bessemer_monitor_statistic{{{_MODEL}}}", "{{column}} {{detector}}")],
        about="What each detector says of each column, found or not.",
    ),
    Panel(
        "How sure",
        [(f"bessemer_monitor_p_value{{{_MODEL}}}", "{{column}} {{detector}}")],
        about="p-values: the smaller, the less likely by chance.",
    ),
    Panel(
        "Rows of the last window",
        [
            (f"bessemer_monitor_rows{{{_MODEL}}}", f"{_NAMED} rows"),
            (f"bessemer_monitor_labelled_share{{{_MODEL}}}", f"{_NAMED} labelled"),
        ],
    ),
    Panel(
        "Age of the last window",
        [(f"time() - bessemer_monitor_window_end_timestamp_seconds{{{_MODEL}}}", _NAMED)],
        "s",
    ),
    Panel(
        "Cost of 1,000 rows",
        [(f"bessemer_monitor_cost_per_1000_rows{{{_MODEL}}}", f"{_NAMED} {{{{currency}}}}")],
    ),
)


def _slo_panels(slo: SloSpec) -> tuple[Panel, ...]:
    burning = [
        (
            f'{bad_share(seconds)}{{model=~"$model", slo="{each.label}"}} / {each.budget:.9g}',
            f"{each.label} {span(seconds)}",
        )
        for each in slo.objectives()
        for seconds in WINDOWS
    ]
    return (
        Panel(
            "Budget that is left",
            [(f'{BUDGET_LEFT}{{model=~"$model"}}', "{{model}} {{slo}}")],
            "percentunit",
            "gauge",
        ),
        Panel("Pace at which it is spent", burning, width=16, about="1: it lasts just as long as it must."),
        Panel(
            "Budget over time",
            [
                (f'{BUDGET_LEFT}{{model=~"$model"}}', "{{model}} {{slo}}"),
                (f"bessemer_monitor_slo_budget_left{{{_MODEL}}}", "{{model}} {{slo}} (monitor)"),
            ],
            *("percentunit", "timeseries", 24),
        ),
    )


def dashboard(slo: SloSpec | None) -> dict[str, Any]:
    """The dashboard, with a row of objectives where there are any."""
    rows: list[tuple[str, Sequence[Panel]]] = [("Overview", _OVERVIEW)]
    if slo is not None:
        rows.append(("Objectives", _slo_panels(slo)))
    rows += [("Traffic", _TRAFFIC), ("Time", _LATENCY), ("Processes", _PROCESSES), ("Model", _MONITOR)]
    return {
        "title": "Bessemer",
        "uid": "bessemer",
        "description": "Models that are served: traffic, time, processes, objectives, and what the monitor says.",
        "tags": ["bessemer"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": list(_variables())},
        "panels": list(_laid_out(rows)),
    }


def _variables() -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    yield _variable("model", "Model", "label_values(bessemer_requests_total, model)")
    yield _variable("version", "Version", 'label_values(bessemer_requests_total{model=~"$model"}, version)')
    yield _variable(
        "dialect", "Protocol", 'label_values(bessemer_dialect_requests_total{model=~"$model"}, dialect)'
    )


def _variable(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all", "selected": True},
    }


def _laid_out(rows: Sequence[tuple[str, Sequence[Panel]]]) -> Iterator[dict[str, Any]]:
    """Panels from left to right, as many as fit, under the head of their row."""
    number = y = 0
    for title, panels in rows:
        number += 1
        place = {"h": 1, "w": _WIDTH, "x": 0, "y": y}
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "gridPos": place,
            "panels": [],
        }
        y, x, tall = y + 1, 0, 0
        for panel in panels:
            if x + panel.width > _WIDTH:
                y, x, tall = y + tall, 0, 0
            number += 1
            yield _drawn(panel, number, {"h": panel.height, "w": panel.width, "x": x, "y": y})
            x, tall = x + panel.width, max(tall, panel.height)
        y += tall


def _drawn(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    heatmap = panel.kind == "heatmap"
    targets = [
        {
            "refId": chr(ord("A") + i),
            "datasource": _SOURCE,
            "expr": expression,
            "legendFormat": legend,
            "range": True,
            **({"format": "heatmap"} if heatmap else {}),
        }
        for i, (expression, legend) in enumerate(panel.queries)
    ]
    drawn: dict[str, Any] = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": panel.options,
        "targets": targets,
    }
    return drawn | ({"description": panel.about} if panel.about else {})
