"""The table of methods that find outliers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.train.outliers.method import Method

OUTLIERS: PluginTable[Method] = PluginTable(
    "bessemer.outliers",
    {
        "isolation_forest": PluginRef(
            "bessemer.train.outliers.isolation_forest:IsolationForest",
            requires=("sklearn",),
            summary="how few random cuts part a row from the others",
        ),
        "ecod": PluginRef(
            "bessemer.train.outliers.ecod:Ecod",
            summary="how far out a row lies in the tails of each feature, added up",
        ),
    },
)

#: What `outliers: true` means.
USUAL = "isolation_forest"
