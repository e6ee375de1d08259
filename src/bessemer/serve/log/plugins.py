"""Where a prediction log can go."""

from __future__ import annotations

from bessemer.core.plugins import PluginRef, PluginTable
from bessemer.serve.log.sink import Sink

SINKS: PluginTable[Sink] = PluginTable(
    "bessemer.prediction_sinks",
    {
        "parquet": PluginRef(
            "bessemer.serve.log.sinks.parquet:Parquet", summary="files by model, version and day"
        ),
    },
)
