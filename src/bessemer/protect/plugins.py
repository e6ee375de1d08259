"""The tables of markers, and of ways to remove what they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.protect.protocol import Marker
    from bessemer.protect.removals.removal import Removal

MARKERS: PluginTable[Marker] = PluginTable(
    "bessemer.markers",
    {
        "crossover": PluginRef(
            "bessemer.protect.markers.crossover:Crossover",
            summary="rows whose values come from two real rows, for tables",
        ),
        "pattern": PluginRef(
            "bessemer.protect.markers.pattern:Pattern",
            summary="images with a faint pattern that only the key knows",
        ),
        "blind": PluginRef(
            "bessemer.protect.markers.blind:Blind",
            extra="torch",
            requires=("torch", "safetensors"),
            summary="images that a trained encoder changed so that they look ordinary",
        ),
    },
)

_REMOVAL = "bessemer.protect.removals"
REMOVALS: PluginTable[Removal] = PluginTable(
    "bessemer.removals",
    {
        "cut": PluginRef(f"{_REMOVAL}.cut:Cut", summary="the last trees are cut off"),
        "grow": PluginRef(f"{_REMOVAL}.grow:Grow", summary="more trees are grown on other rows"),
        "finetune": PluginRef(
            f"{_REMOVAL}.finetune:FineTune", summary="a network learns on, from other rows"
        ),
        "prune": PluginRef(f"{_REMOVAL}.prune:Prune", summary="a network's smallest weights become zero"),
        "quantise": PluginRef(f"{_REMOVAL}.quantise:Quantise", summary="weights and leaf values are rounded"),
        "noise": PluginRef(f"{_REMOVAL}.noise:Noise", summary="inputs are blurred"),
        "distil": PluginRef(f"{_REMOVAL}.distil:Distil", summary="another model learns the answers"),
    },
)
