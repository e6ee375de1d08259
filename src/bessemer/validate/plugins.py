"""The expectations there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.validate.protocol import Expectation

_HERE = "bessemer.validate.expectations"

EXPECTATIONS: PluginTable[Expectation] = PluginTable(
    "bessemer.expectations",
    {
        "sql": PluginRef(f"{_HERE}.sql:Sql", summary="a condition over columns that each row keeps"),
        "unique": PluginRef(f"{_HERE}.unique:Unique", summary="no two rows with the same key"),
        "reference": PluginRef(f"{_HERE}.reference:Reference", summary="keys that stand in another table"),
        "increasing": PluginRef(f"{_HERE}.increasing:Increasing", summary="values that grow from row to row"),
        "no_gaps": PluginRef(f"{_HERE}.no_gaps:NoGaps", summary="numbers without one left out"),
        "row_count": PluginRef(f"{_HERE}.row_count:RowCount", summary="how many rows there may be"),
        "freshness": PluginRef(f"{_HERE}.freshness:Freshness", summary="how old the newest value may be"),
        "distribution": PluginRef(
            f"{_HERE}.distribution:Distribution", summary="columns distributed as in the accepted snapshot"
        ),
        "personal": PluginRef(f"{_HERE}.personal:Personal", summary="no personal data in clear"),
    },
)
