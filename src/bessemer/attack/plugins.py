"""The table of attacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.attack.protocol import Attack

ATTACKS: PluginTable[Attack] = PluginTable(
    "bessemer.attacks",
    {
        "pgd": PluginRef(
            "bessemer.attack.attacks.pgd:PGD",
            extra="attack",
            requires=("art", "torch"),
            summary="networks: steps along the gradient",
        ),
        "apgd": PluginRef(
            "bessemer.attack.attacks.apgd:APGD",
            extra="attack",
            requires=("art", "torch"),
            summary="networks: the same with steps that tune themselves",
        ),
        "square": PluginRef(
            "bessemer.attack.attacks.square:Square",
            extra="attack",
            requires=("art", "torch"),
            summary="networks: random squares of pixels, from scores",
        ),
        "hop_skip_jump": PluginRef(
            "bessemer.attack.attacks.hop_skip_jump:HopSkipJump",
            extra="attack",
            requires=("art", "torch"),
            summary="networks: along the border between answers, from answers alone",
        ),
        "boundary": PluginRef(
            "bessemer.attack.attacks.boundary:Boundary",
            extra="attack",
            requires=("art", "torch"),
            summary="networks: a random walk along the border, from answers alone",
        ),
        "zoo": PluginRef(
            "bessemer.attack.attacks.zoo:Zoo",
            extra="attack",
            requires=("art", "torch"),
            summary="networks: a gradient measured from scores",
        ),
        "transfer": PluginRef(
            "bessemer.attack.attacks.transfer:Transfer",
            extra="attack",
            requires=("art", "torch"),
            summary="networks: what fools the linear baseline, shown to the model",
        ),
        "smoothing": PluginRef(
            "bessemer.attack.attacks.smoothing:Smoothing",
            summary="networks: a certificate, from the answers to noisy copies",
        ),
        "query_search": PluginRef(
            "bessemer.attack.attacks.query_search:QuerySearch",
            summary="tables: raw columns changed by questions alone, of any model",
        ),
        "moeva": PluginRef(
            "bessemer.attack.attacks.moeva:Moeva",
            extra="attack",
            requires=("pymoo",),
            summary="tables: raw columns evolved from scores, of any model",
        ),
        "capgd": PluginRef(
            "bessemer.attack.attacks.capgd:CAPGD",
            extra="attack",
            requires=("torch",),
            summary="networks over tables: raw columns along a gradient, under the constraints",
        ),
        "minimal": PluginRef(
            "bessemer.attack.attacks.minimal:Minimal",
            summary="trees: the nearest row that is answered otherwise, exactly",
        ),
        "interval": PluginRef(
            "bessemer.attack.attacks.interval:Interval",
            summary="trees: a certificate, from the leaves that can be reached",
        ),
        "membership": PluginRef(
            "bessemer.attack.attacks.membership:Membership",
            extra="flow",
            requires=("sklearn",),
            summary="privacy: how well answers tell training rows from others, of any model",
        ),
        "extraction": PluginRef(
            "bessemer.attack.attacks.extraction:Extraction",
            extra="flow",
            requires=("sklearn",),
            summary="a copy of the model, learnt from its answers",
        ),
        "poisoning": PluginRef(
            "bessemer.attack.attacks.poisoning:Poisoning",
            extra="flow",
            requires=("sklearn",),
            summary="what wrong labels among the training rows would do",
        ),
    },
)
