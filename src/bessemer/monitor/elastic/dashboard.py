"""The dashboard of Kibana: what is served, what was found, how good it is; as saved objects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from bessemer.core.elastic.templates import KINDS
from bessemer.monitor.elastic.lens import CORE, LENS, Chart, Measure, data_view, data_view_id

#: Columns of Kibana's grid.
WIDTH = 48

_COUNT = Measure("predictions", "count")
_FOUND = "kind : finding"

#: Rows of panels: how high they are, and the charts that share the width.
ROWS: Sequence[tuple[int, Sequence[Chart]]] = (
    (
        6,
        (
            Chart("total", "Predictions", "predictions", [_COUNT], shape="metric"),
            Chart(
                "found", "Findings", "findings", [Measure("findings", "count")], shape="metric", where=_FOUND
            ),
            Chart("labelled", "Labels", "labels", [Measure("labels", "count")], shape="metric"),
            Chart(
                "now",
                "Performance, as last measured",
                "windows",
                [Measure("measured", "last_value", "performance.measured", "performance.measured : *")],
                shape="metric",
            ),
        ),
    ),
    (
        12,
        (
            Chart(
                "versions",
                "Predictions by version",
                "predictions",
                [_COUNT],
                "bar_stacked",
                split="model.version",
            ),
            Chart("classes", "Classes", "predictions", [_COUNT], "bar_percentage_stacked", split="class"),
        ),
    ),
    (
        12,
        (
            Chart(
                "performance",
                "Performance: on the test rows, measured with labels, estimated without",
                "windows",
                [
                    Measure("test rows", "average", "performance.reference"),
                    Measure("measured", "average", "performance.measured"),
                    Measure("estimated", "average", "performance.estimated"),
                ],
            ),
            Chart(
                "latency",
                "Latency, microseconds",
                "predictions",
                [
                    Measure("average", "average", "latency_us"),
                    Measure("95 of 100", "percentile", "latency_us"),
                ],
            ),
        ),
    ),
    (
        12,
        (
            Chart(
                "findings",
                "Findings by detector",
                "findings",
                [Measure("findings", "count")],
                "bar_stacked",
                split="detector",
                where=_FOUND,
            ),
            Chart(
                "drift",
                "How far inputs have moved (Kolmogorov-Smirnov)",
                "tests",
                [Measure("distance", "max", "value")],
                split="column",
                where="detector : kolmogorov_smirnov and of : input",
            ),
        ),
    ),
    (
        14,
        (
            Chart(
                "columns",
                "What was found",
                "findings",
                [Measure("times", "count"), Measure("last", "last_value", "value")],
                shape="table",
                rows=["model.name", "column", "detector", "severity"],
                where=_FOUND,
                most=25,
            ),
        ),
    ),
)
_CONTROLS = (("model.name", "Model"), ("model.version", "Version"))


def charts() -> Iterator[Chart]:
    for _, row in ROWS:
        yield from row


def saved_objects(prefix: str) -> list[dict[str, Any]]:
    """The data views, the charts and the dashboard, in the order in which they need each other."""
    return [
        *(data_view(prefix, kind) for kind in KINDS),
        *(chart.saved(prefix) for chart in charts()),
        _dashboard(prefix),
    ]


def to_ndjson(objects: Sequence[dict[str, Any]]) -> str:
    """The file that Kibana imports: an object a line."""
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects)


def _dashboard(prefix: str) -> dict[str, Any]:
    panels, references = [], []
    for name, grid in _places():
        panels.append(
            {
                "type": "lens",
                "panelIndex": name,
                "gridData": {**grid, "i": name},
                "embeddableConfig": {"enhancements": {}},
                "panelRefName": f"panel_{name}",
                "version": LENS,
            }
        )
        references.append({"type": "lens", "id": f"{prefix}-{name}", "name": f"{name}:panel_{name}"})
    controls, more = _controls(prefix)
    search = {"query": {"query": "", "language": "kuery"}, "filter": []}
    return {
        "type": "dashboard",
        "id": f"{prefix}-models",
        "managed": False,
        "coreMigrationVersion": CORE,
        "typeMigrationVersion": "8.9.0",
        "attributes": {
            "title": f"{prefix}: models in production",
            "description": "What models are asked and say, what was found, and how good they are.",
            "timeRestore": True,
            "timeFrom": "now-7d",
            "timeTo": "now",
            "refreshInterval": {"pause": False, "value": 60_000},
            "optionsJSON": json.dumps({"useMargins": True, "syncColors": True, "hidePanelTitles": False}),
            "panelsJSON": json.dumps(panels),
            "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(search)},
            "controlGroupInput": controls,
        },
        "references": references + more,
    }


def _places() -> Iterator[tuple[str, dict[str, int]]]:
    """Where each chart stands in the grid."""
    y = 0
    for height, row in ROWS:
        width = WIDTH // len(row)
        for number, chart in enumerate(row):
            yield chart.name, {"x": number * width, "y": y, "w": width, "h": height}
        y += height


def _controls(prefix: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Menus for the model and the version, and what they refer to."""
    panels, references = {}, []
    for order, (field, title) in enumerate(_CONTROLS):
        name = f"control{order}"
        panels[name] = {
            "type": "optionsListControl",
            "order": order,
            "width": "medium",
            "grow": True,
            "explicitInput": {
                "id": name,
                "fieldName": field,
                "title": title,
                "selectedOptions": [],
                "enhancements": {},
            },
        }
        references.append(
            {
                "type": "index-pattern",
                "id": data_view_id(prefix, "predictions"),
                "name": f"controlGroup_{name}:optionsListDataView",
            }
        )
    ignored = dict.fromkeys(("ignoreFilters", "ignoreQuery", "ignoreTimerange", "ignoreValidations"), False)
    group = {
        "controlStyle": "oneLine",
        "chainingSystem": "HIERARCHICAL",
        "panelsJSON": json.dumps(panels),
        "ignoreParentSettingsJSON": json.dumps(ignored),
    }
    return group, references
