"""Where a prediction log can go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.serve.log.sink import Sink

SINKS: PluginTable[Sink] = PluginTable(
    "bessemer.prediction_sinks",
    {
        "parquet": PluginRef(
            "bessemer.serve.log.sinks.parquet:Parquet", summary="files by model, version and day"
        ),
        "elasticsearch": PluginRef(
            "bessemer.serve.log.sinks.elasticsearch:Elasticsearch",
            extra="elastic",
            requires=("elasticsearch",),
            summary="a document a prediction, and a label",
        ),
    },
)
