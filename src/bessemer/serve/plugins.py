"""The protocols a server can speak."""

from __future__ import annotations

from bessemer.core.plugins import PluginRef, PluginTable
from bessemer.serve.dialect import Dialect

DIALECTS: PluginTable[Dialect] = PluginTable(
    "bessemer.dialects",
    {
        "plain": PluginRef("bessemer.serve.dialects.plain:Plain", summary="rows of JSON: POST /predict"),
        "v2": PluginRef(
            "bessemer.serve.dialects.v2:V2", summary="Open Inference Protocol, binary tensors too"
        ),
        "kserve_v1": PluginRef("bessemer.serve.dialects.kserve_v1:KServeV1", summary="KServe V1: instances"),
    },
)
