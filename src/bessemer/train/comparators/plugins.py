"""The table of comparators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.train.comparators.comparator import Comparator

COMPARATORS: PluginTable[Comparator] = PluginTable(
    "bessemer.comparators",
    {
        "h2o": PluginRef(
            "bessemer.train.comparators.h2o:H2O",
            extra="h2o",
            requires=("h2o",),
            summary="H2O's AutoML, whose free edition does not export models",
        ),
    },
)


def compared_only(name: str) -> str:
    """What to say to somebody who wants to ship a comparator, or '' where the name is not one."""
    if name not in COMPARATORS:
        return ""
    why = f" is {summary}:" if (summary := COMPARATORS.ref(name).summary) else ":"
    return (
        f"'{name}'{why} it can be compared with, but there would be nothing to package\n"
        f"leave it out here, and write `train: {{compare: {{{name}: 2m}}}}`"
    )
