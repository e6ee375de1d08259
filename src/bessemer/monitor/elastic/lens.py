"""Charts of Kibana's Lens as saved objects: what is counted or averaged, over what, split by what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

#: The versions of saved objects since which these forms hold; Kibana brings older ones up to its own.
CORE, LENS = "8.8.0", "8.9.0"
_LAYER = "layer"
_RECORDS = "___records___"

Operation = Literal["count", "average", "max", "percentile", "last_value"]
Series = Literal["line", "bar_stacked", "bar_percentage_stacked", "area_stacked"]


@dataclass(frozen=True)
class Measure:
    """A number of a chart. field: none for `count`. where: KQL that its documents match."""

    label: str
    operation: Operation
    field: str = ""
    where: str = ""
    percentile: int = 95

    def column(self) -> dict[str, Any]:
        own: dict[str, dict[str, Any]] = {
            "percentile": {"percentile": self.percentile},
            "last_value": {"sortField": "@timestamp", "showArrayValues": False},
        }
        column: dict[str, Any] = {
            "label": self.label,
            "customLabel": True,
            "dataType": "number",
            "operationType": self.operation,
            "isBucketed": False,
            "scale": "ratio",
            "sourceField": self.field or _RECORDS,
            "params": own.get(self.operation, {"emptyAsNull": True}),
        }
        return {**column, "filter": {"query": self.where, "language": "kuery"}} if self.where else column


@dataclass(frozen=True)
class Chart:
    """What a panel shows.

    kind: the kind of documents (see `core.elastic.templates.KINDS`). rows: fields, of a table. split: a field by whose
    most frequent values series are told apart. where: KQL.
    """

    name: str
    title: str
    kind: str
    measures: Sequence[Measure]
    series: Series = "line"
    shape: Literal["xy", "metric", "table"] = "xy"
    split: str = ""
    rows: Sequence[str] = ()
    where: str = ""
    most: int = 10

    def columns(self) -> dict[str, dict[str, Any]]:
        """The columns of the chart's one layer, by their ids: what it is split by first."""
        found: dict[str, dict[str, Any]] = {}
        first = "measure0"
        if self.shape == "xy":
            if self.split:
                found["split"] = _terms(self.split, self.most, first)
            found["time"] = _time()
        for number, field in enumerate(self.rows):
            found[f"row{number}"] = _terms(field, self.most, first)
        return found | {f"measure{number}": each.column() for number, each in enumerate(self.measures)}

    def saved(self, prefix: str) -> dict[str, Any]:
        """The saved object."""
        columns = self.columns()
        layer = {"columnOrder": list(columns), "columns": columns, "incompleteColumns": {}, "sampling": 1}
        return {
            "type": "lens",
            "id": f"{prefix}-{self.name}",
            "managed": False,
            "coreMigrationVersion": CORE,
            "typeMigrationVersion": LENS,
            "attributes": {
                "title": self.title,
                "description": "",
                "visualizationType": {"xy": "lnsXY", "metric": "lnsMetric", "table": "lnsDatatable"}[
                    self.shape
                ],
                "state": {
                    "datasourceStates": {"formBased": {"layers": {_LAYER: layer}}},
                    "visualization": self._visualization(columns),
                    "query": {"query": self.where, "language": "kuery"},
                    "filters": [],
                    "internalReferences": [],
                    "adHocDataViews": {},
                },
            },
            "references": [
                {
                    "type": "index-pattern",
                    "id": data_view_id(prefix, self.kind),
                    "name": f"indexpattern-datasource-layer-{_LAYER}",
                }
            ],
        }

    def _visualization(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        measures = [name for name in columns if name.startswith("measure")]
        if self.shape == "metric":
            return {"layerId": _LAYER, "layerType": "data", "metricAccessor": measures[0]}
        if self.shape == "table":
            shown = [{"columnId": name, "isTransposed": False} for name in columns]
            return {"layerId": _LAYER, "layerType": "data", "columns": shown}
        layer = {
            "layerId": _LAYER,
            "layerType": "data",
            "seriesType": self.series,
            "xAccessor": "time",
            "accessors": measures,
            **({"splitAccessor": "split"} if self.split else {}),
        }
        axes = {"x": True, "yLeft": True, "yRight": True}
        return {
            "legend": {"isVisible": True, "position": "right"},
            "valueLabels": "hide",
            "fittingFunction": "None",
            "axisTitlesVisibilitySettings": {"x": False, "yLeft": False, "yRight": True},
            "tickLabelsVisibilitySettings": axes,
            "gridlinesVisibilitySettings": axes,
            "preferredSeriesType": self.series,
            "layers": [layer],
        }


def data_view_id(prefix: str, kind: str) -> str:
    return f"{prefix}-{kind}"


def data_view(prefix: str, kind: str) -> dict[str, Any]:
    """The data view of all indices of a kind."""
    return {
        "type": "index-pattern",
        "id": data_view_id(prefix, kind),
        "managed": False,
        "coreMigrationVersion": CORE,
        "typeMigrationVersion": "8.0.0",
        "attributes": {
            "title": f"{prefix}-{kind}-*",
            "name": f"{prefix} {kind}",
            "timeFieldName": "@timestamp",
            "allowNoIndex": True,
        },
        "references": [],
    }


def _time() -> dict[str, Any]:
    return {
        "label": "@timestamp",
        "dataType": "date",
        "operationType": "date_histogram",
        "isBucketed": True,
        "scale": "interval",
        "sourceField": "@timestamp",
        "params": {"interval": "auto", "includeEmptyRows": False, "dropPartials": False},
    }


def _terms(field: str, most: int, by: str) -> dict[str, Any]:
    return {
        "label": field,
        "customLabel": True,
        "dataType": "string",
        "operationType": "terms",
        "isBucketed": True,
        "scale": "ordinal",
        "sourceField": field,
        "params": {
            "size": most,
            "orderBy": {"type": "column", "columnId": by},
            "orderDirection": "desc",
            "otherBucket": False,
            "missingBucket": False,
            "parentFormat": {"id": "terms"},
        },
    }
