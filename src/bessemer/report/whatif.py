"""What-if: the model's graph, the inputs to change, and exact rows to start from, as the page holds them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.signature import Signature
from bessemer.package.images import shown
from bessemer.package.outliers import without_outliers
from bessemer.report.compact import Packer, UncomputableError, compact
from bessemer.report.explaining import added_names, explaining, forests_of, with_covers
from bessemer.report.rows import WorkedRow, worked_rows

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact
    from bessemer.report.spec import ReportSpec

#: Categories that a field offers; others can be typed.
OFFERED = 200
#: Nodes of the trees that are embedded where the graph is not.
NODES = 20_000
#: Contributions that the page cannot compute: they ask the model about rows that stay in the package.
COMPARING = ("interventional", "kernel", "permutation")


@dataclass(frozen=True)
class Packed:
    """The packed graph or trees, and how contributions follow from them; `why` where the graph is not there."""

    text: str | None
    explain: Any
    why: str = ""


def whatif(spec: ReportSpec, artifacts: Mapping[str, Artifact], examples: Sequence[Mapping[str, Any]]) -> Any:
    """What the page's what-if and its trees are drawn from; see docs/report.md.

    Returns:
        packed: the graph (see `report.compact`), None where the page cannot have it, and `why`, a sentence.
        forests: trees alone, packed, where there is no graph. added: names of what each forest asks besides.
        explain: how contributions are computed.
        fields: the inputs. rows: where to start. groups, group_of: what each feature speaks for. server: its URL.
    """
    model = model_facts(spec, artifacts["model"])
    columns = [field["name"] for field in model["fields"]]
    rows = worked_rows(artifacts, examples, columns, features=bool(model["forests"]))
    if (
        "explanations" in artifacts
        and artifacts["explanations"].json("explanations.json").get("method") in COMPARING
    ):
        model["explain"] = None  # the page shows one kind of contributions, or none
    return {**model, "rows": [_row(row) for row in rows], "server": spec.server}


def model_facts(spec: ReportSpec, model: Artifact) -> dict[str, Any]:
    """All of it that comes from the model alone."""
    facts, inputs = model.json("model.json"), model.json("signature.json")["inputs"]
    graph = _graph(model, facts, spec.whatif)
    groups = list(facts["groups"])
    return {
        "packed": graph.text,
        "why": graph.why,
        "added": _added(model, facts),
        "forests": None if graph.text else _forests_alone(model, facts),
        "explain": graph.explain,
        "calibration": {key: (facts.get("calibration") or {}).get(key) for key in ("scale", "offset")},
        "fields": [_field(field) for field in inputs],
        "groups": groups,
        "group_of": [groups.index(feature["group"]) for feature in facts["features"]],
    }


def _graph(model: Artifact, facts: Mapping[str, Any], kilobytes: int) -> Packed:
    import onnx

    if not kilobytes:
        return Packed(None, None, "This report was made without what-if.")
    if any(field.is_image for field in Signature.from_json(model.json("signature.json")).inputs):
        return Packed(None, None, "The model takes images, which this page cannot decode.")
    packer = Packer()
    try:
        head = compact(without_outliers(onnx.load_model_from_string(model.bytes("model.onnx"))), packer)
        explain = _explained(model, facts, head, packer)
    except UncomputableError as error:
        return Packed(None, None, f"This page cannot compute the model itself: {error}.")
    text = packer.pack(head)
    if len(text) > kilobytes * 1000:
        size = f"{len(text) / 1e6:.1f} MB compressed, more than the {kilobytes / 1e3:g} MB that this report may hold"
        return Packed(None, None, f"The model is too large for this page: {size}.")
    return Packed(text, explain)


def _explained(model: Artifact, facts: Mapping[str, Any], head: dict[str, Any], packer: Packer) -> Any:
    """How contributions follow from the graph's own trees; None where they do not."""
    native = facts["native"]
    content = model.bytes(native["file"])
    forests = forests_of(native["kind"], content)
    nodes = [node for node in head["nodes"] if node[0] == "TreeEnsembleRegressor"]
    if not with_covers(nodes, forests, packer):
        return None
    return explaining(native["kind"], content)


def _added(model: Artifact, facts: Mapping[str, Any]) -> list[list[str]] | None:
    """What each forest asks beyond the features, by name; None where none asks more."""
    native = facts["native"]
    columns = [str(feature["group"]) for feature in facts["features"]]
    found = added_names(native["kind"], model.bytes(native["file"]), columns)
    return found if any(found) else None


def _forests_alone(model: Artifact, facts: Mapping[str, Any]) -> str | None:
    """The first trees of each forest, as many as stay within `NODES`; None where the model has no trees."""
    from bessemer.report.explaining import packed_forest

    native = facts["native"]
    forests = forests_of(native["kind"], model.bytes(native["file"]))
    if not forests:
        return None
    packer = Packer()
    return packer.pack(
        {"forests": [packed_forest(trees, NODES // len(forests), packer) for trees in forests]}
    )


def _field(field: Mapping[str, Any]) -> dict[str, Any]:
    domain = dict(field.get("domain") or {})
    if "categories" in domain:
        found = list(domain["categories"])
        domain["categories"], domain["more"] = found[:OFFERED], max(0, len(found) - OFFERED)
    return {**{key: field[key] for key in ("name", "dtype", "tensor", "nullable")}, "domain": plain(domain)}


def _row(row: WorkedRow) -> dict[str, Any]:
    values = {name: shown(value) if isinstance(value, str) else value for name, value in row.values.items()}
    found = {"example": row.example, "why": row.why, "values": plain(values), "actual": plain(row.actual)}
    if row.features is not None:
        found["features"] = plain(np.asarray(row.features, dtype=np.float64).tolist())
    return found


def plain(value: Any) -> Any:
    """Values as JSON holds them exactly: times as ISO 8601, NaN as null, infinity as the page's word for it.

    >>> plain({"x": float("inf"), "y": [float("nan"), 1.5]})
    {'x': 'Infinity', 'y': [None, 1.5]}
    """
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value.isoformat() if hasattr(value, "isoformat") else value
