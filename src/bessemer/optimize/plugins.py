"""The ways to optimise a package."""

from __future__ import annotations

from bessemer.core.plugins import PluginRef, PluginTable
from bessemer.optimize.variant import Way

_HERE = "bessemer.optimize.ways"

WAYS: PluginTable[Way] = PluginTable(
    "bessemer.optimizations",
    {
        "folded": PluginRef(f"{_HERE}.folded:Folded", summary="what never changes is computed once"),
        "fewer_trees": PluginRef(f"{_HERE}.fewer_trees:FewerTrees", summary="the first trees alone"),
        "student": PluginRef(
            f"{_HERE}.student:Student",
            "lightgbm",
            ("lightgbm",),
            summary="a few trees that learn what the model says; needs rows",
        ),
        "int8": PluginRef(f"{_HERE}.int8:Int8", summary="a network's products in whole numbers of 8 bits"),
        "weights16": PluginRef(
            f"{_HERE}.weights16:Weights16", summary="a network's weights in half the space"
        ),
    },
)
