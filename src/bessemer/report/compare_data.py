"""What runs learned from: sources, rows, columns, and how the columns' values differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bessemer.report.data.texts import RARE

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact

#: The most columns that are listed.
COLUMNS = 200
_FACTS = ("dtype", "missing_share", "distinct", "mean", "std", "min", "max")


def data_differences(sides: Sequence[Mapping[str, Artifact]]) -> dict[str, Any]:
    """same: whether all runs saw the same rows; sources and rows of each; columns that differ, with what differs.

    A column is {name, runs: of each run the facts that differ between runs, None where it has no such column}.
    """
    raws = [artifacts.get("raw") for artifacts in sides]
    columns = _columns([_statistics(artifacts) for artifacts in sides])
    return {
        "same": len({raw.ref.digest if raw else "" for raw in raws}) == 1,
        "sources": [[_source(name, facts) for name, facts in sorted(_sources(raw).items())] for raw in raws],
        "rows": [_rows(artifacts) for artifacts in sides],
        "columns": columns[:COLUMNS],
        "left_out": max(0, len(columns) - COLUMNS),
    }


def _sources(raw: Artifact | None) -> dict[str, Any]:
    return dict(raw.meta.get("sources") or {}) if raw else {}


def _source(name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("kind", "uri", "fingerprint", "rows")
    return {"name": name, **{key: facts.get(key) for key in kept}}


def _rows(artifacts: Mapping[str, Artifact]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in ("raw", "quarantine", "labelled"):
        if kind in artifacts:
            found[kind] = artifacts[kind].meta.get("rows")
    if "labelled" in artifacts:
        found["classes"] = dict(artifacts["labelled"].meta.get("counts") or {})
    if "splits" in artifacts:
        found |= {f"{part} part": count for part, count in artifacts["splits"].meta["rows"].items()}
    return found


def _statistics(artifacts: Mapping[str, Artifact]) -> dict[str, Any]:
    if "statistics" not in artifacts:
        return {}
    found: dict[str, Any] = artifacts["statistics"].json("statistics.json")["columns"]
    return found


def _columns(each: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    names = dict.fromkeys(name for columns in each for name in columns)
    found = []
    for name in names:
        own = [_facts(columns[name]) if name in columns else None for columns in each]
        if any(facts != own[0] for facts in own):
            found.append({"name": name, "runs": _differing(own)})
    return found


def _differing(own: Sequence[dict[str, Any] | None]) -> list[dict[str, Any] | None]:
    """Without the facts that all runs with the column share; where one lacks it, the others keep theirs."""
    known = [facts for facts in own if facts is not None]
    if len(known) < len(own):
        return list(own)
    names = [
        name
        for name in dict.fromkeys(n for f in known for n in f)
        if any(f.get(name) != known[0].get(name) for f in known)
    ]
    return [{name: facts.get(name) for name in names} for facts in known]


def _facts(column: Mapping[str, Any]) -> dict[str, Any]:
    """The commonest value only where `RARE` rows or more have it: that of a unique column is one person's."""
    facts = {key: column[key] for key in _FACTS if column.get(key) is not None}
    top = column.get("top") or []
    return {**facts, "top": top[0][0]} if top and top[0][1] >= RARE else facts
