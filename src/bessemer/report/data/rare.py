"""Without samples: no value that few rows have, wherever the page names values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from bessemer.report.data.parts import Parts
from bessemer.report.data.texts import RARE

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact

#: What stands for such a value.
NAME = "a rare value"

Common = Mapping[str, frozenset[str]]


def without_rare(view: Mapping[str, Any], splits: Artifact) -> dict[str, Any]:
    """The view without the values that fewer than `RARE` split rows have.

    They are taken out of the categories that a what-if offers and of the points of categories in explanations and
    mean errors; features that are named after one are named otherwise.
    """
    fields, features = view["whatif"]["fields"], view["features"]
    shown = set(_labels([view["explanations"], view["residuals"]]))
    wanted = {field["name"]: {*_categories(field), *shown} for field in fields if field["dtype"] == "string"}
    for feature in features:
        if feature["kind"] == "indicator":
            wanted.setdefault(feature["group"], set()).add(_value(feature))
    common = common_values(splits, wanted)
    everywhere = frozenset().union(*common.values())
    return {
        **view,
        "features": [_feature(feature, common) for feature in features],
        "explanations": _points(view["explanations"], everywhere),
        "residuals": _points(view["residuals"], everywhere),
        "whatif": {**view["whatif"], "fields": [_field(field, common) for field in fields]},
    }


def common_values(splits: Artifact, wanted: Mapping[str, set[str]]) -> Common:
    """Of each column the wanted values, as text, that `RARE` rows or more have; what is held is bounded by them."""
    import pyarrow.compute as pc

    parts = Parts(splits)
    names = [name for name in wanted if name in parts.types]
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    if names:
        for batch in parts.batches(names):
            for name in names:
                for pair in pc.value_counts(
                    batch.rows.column(batch.rows.schema.get_field_index(name))
                ).to_pylist():
                    if (text := str(pair["values"])) in wanted[name]:
                        counts[name][text] += pair["counts"]
    return {name: frozenset(v for v, n in found.items() if n >= RARE) for name, found in counts.items()}


def _categories(field: Mapping[str, Any]) -> list[str]:
    return [str(value) for value in field["domain"].get("categories") or []]


def _value(feature: Mapping[str, Any]) -> str:
    """The value that an indicator is named after (as `prepare` names it)."""
    return str(feature["name"]).removeprefix(f"{feature['group']} = ")


def _field(field: Mapping[str, Any], common: Common) -> dict[str, Any]:
    domain = dict(field["domain"])
    if "categories" in domain:
        kept = [v for v in domain["categories"] if str(v) in common.get(field["name"], frozenset())]
        domain["more"] = domain.get("more", 0) + len(domain["categories"]) - len(kept)
        domain["categories"] = kept
    return {**field, "domain": domain}


def _feature(feature: Mapping[str, Any], common: Common) -> dict[str, Any]:
    if feature["kind"] != "indicator" or _value(feature) == "(missing)":
        return dict(feature)
    group = feature["group"]
    if _value(feature) in common.get(group, frozenset()):
        return dict(feature)
    return {**feature, "name": f"{group} = {NAME}", "meaning": f"1 where {group} is {NAME}, else 0"}


def _labels(value: Any) -> Iterable[str]:
    """The names of all points of categories inside."""
    if isinstance(value, dict):
        if _of_category(value):
            yield from (point[0] for point in value["points"] if isinstance(point[0], str))
        for inner in value.values():
            yield from _labels(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _labels(inner)


def _points(value: Any, common: frozenset[str]) -> Any:
    if isinstance(value, dict):
        found = {key: _points(inner, common) for key, inner in value.items()}
        if _of_category(found):
            found["points"] = [p for p in found["points"] if not isinstance(p[0], str) or p[0] in common]
        return found
    return [_points(inner, common) for inner in value] if isinstance(value, list) else value


def _of_category(value: Mapping[str, Any]) -> bool:
    """Whether these are the points of a category: [name, figures...] each."""
    points = value.get("points")
    return (
        value.get("kind") == "category"
        and isinstance(points, list)
        and all(isinstance(point, list) and point for point in points)
    )
