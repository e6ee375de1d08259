"""What every explainer must keep. In a plug-in's own tests, with a `model` and a `splits` artifact:

from bessemer.testing.explainers import check_explainer

def test_my_explainer(model, splits, ctx):
    check_explainer(MyExplainer, MyExplainer.Settings(), model, splits, ctx)
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core import canonical
from bessemer.explain.sample import draw
from bessemer.explain.subject import open_subject
from bessemer.explain.values import plain

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact
    from bessemer.core.stage import Context
    from bessemer.explain.explanation import Explanation
    from bessemer.explain.plugins import Explainer
    from bessemer.explain.sample import Sample
    from bessemer.explain.subject import Subject

#: What the content of each kind holds. A `row` is a position in the sample; a `class` is named in multiclass only.
CONTENT: Mapping[str, str] = {
    "importance": '{"rows": [{"group", "value", "low"?, "high"?, "by_class"?}], "unit"}, the most important first',
    "attributions": '{"rows": [{"row", "score", "base", "contributions": {group: value}, "error"?: {group: value}, '
    '"fidelity"?, "class"?}]}',
    "curves": '{"curves": {column: {"kind": number|category|timestamp, "points": [[value, mean, low, high, rows]], '
    '"lines"?: [[row, [score at each point]]], "class"?}}, "unit"}',
    "surfaces": '{"surfaces": [{"columns": [a, b], "kinds": [kind, kind], "x": values of a, "y": values of b, '
    '"z": [[score for each y] for each x], "rows"?: [[...]], "class"?}], "unit"}',
    "interactions": '{"pairs": [{"columns": [a, b], "value", "low"?, "high"?}], "unit"}, the strongest first',
    "rules": '{"rows": [{"row", "conditions": [{"column", "operator": =|<=|>|is missing, "value"}], "precision", '
    '"low", "high", "coverage", "prediction", "within"?}]}; no conditions: whatever the row',
    "counterfactuals": '{"rows": [{"row", "prediction", "wanted", "found": [{"changes": {column: [from, to]}, '
    '"prediction", "probability"?, "distance"}], "why"?}]}',
    "influence": '{"rows": [{"row", "helpful": [{"row": {column: value}, "actual", "influence"}], '
    '"harmful": [the same]}]}',
    "prototypes": '{"prototypes": [{"row": {column: value}, "prediction", "share", "class"?}], '
    '"criticisms": [{"row": {column: value}, "prediction"}]}',
    "surrogate": '{"nodes": [{"column"?, "operator"?, "value"?, "yes"?, "no"?, "missing"?: yes|no, "score", '
    '"share", "class"?}], "fidelity", "low"?, "high"?}; node 0 is the root, yes and no are numbers of nodes',
    "maps": '{"rows": [{"row", "column", "shape": [channels, height, width], "image": [0 to 255, channels first], '
    '"map": [-127 to 127, one a pixel], "scale": what 1 in the map is, "raised", "lowered", "part": '
    'the sums above 0, below 0 and of all, "class"?}]}',
}
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "importance": ("rows", "unit"),
    "attributions": ("rows",),
    "curves": ("curves", "unit"),
    "surfaces": ("surfaces", "unit"),
    "interactions": ("pairs", "unit"),
    "rules": ("rows",),
    "counterfactuals": ("rows",),
    "influence": ("rows",),
    "prototypes": ("prototypes", "criticisms"),
    "surrogate": ("nodes", "fidelity"),
    "maps": ("rows",),
}


def check_explainer(
    kind: type[Explainer], settings: Any, model: Artifact, splits: Artifact, ctx: Context, *, rows: int = 200
) -> Explanation:
    """Explain a real model and hold the explanation to the protocol; gives it back for more tests.

    It states its baseline and its error, has the content its kind says, is plain JSON, changes nothing that it was
    given, and comes out the same, byte for byte, a second time.
    """
    subject = open_subject(model)
    sample = draw(splits, subject, rows, ctx)
    explainer = kind(settings)
    assert explainer.refuses(subject) == "", explainer.refuses(subject)
    before = [sample.features.tobytes(), sample.score.tobytes(), sample.contributions.tobytes()]
    found = explainer.explain(subject, sample, ctx, lambda: None)
    assert before == [sample.features.tobytes(), sample.score.tobytes(), sample.contributions.tobytes()]
    check_explanation(found, subject, sample)
    assert found.kind == kind.kind
    again = kind(settings).explain(subject, sample, ctx, lambda: None)
    assert canonical.dump_bytes(found.to_json()) == canonical.dump_bytes(again.to_json())
    return found


def check_explanation(found: Explanation, subject: Subject, sample: Sample) -> None:
    """The explanation is complete, finite and of its kind."""
    assert found.baseline.text, "says what it is measured against"
    assert found.error.measure, "names the measure of its error"
    assert found.error.text, "says what its error means"
    assert found.error.value is None or np.isfinite(found.error.value)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False)) == found.to_json(), "is plain JSON"
    for key in _NEEDED[found.kind]:
        assert key in found.content, f"{found.kind} has {CONTENT[found.kind]}"
    if check := _CHECKS.get(found.kind):
        check(found, subject, sample)


def _importance(found: Explanation, subject: Subject, sample: Sample) -> None:
    values = [row["value"] for row in found.content["rows"]]
    assert values == sorted(values, reverse=True)
    assert {row["group"] for row in found.content["rows"]} <= {*subject.groups, *subject.columns}
    assert all(row["low"] <= row["value"] <= row["high"] for row in found.content["rows"] if "low" in row)


def _attributions(found: Explanation, subject: Subject, sample: Sample) -> None:
    """Additive: base and contributions sum to the score within the stated error, or within 1e-3 of its size."""
    for row in found.content["rows"]:
        assert 0 <= row["row"] < len(sample)
        total = row["base"] + sum(row["contributions"].values())
        allowed = max(1e-3 * max(1.0, abs(row["score"])), found.error.value or 0.0)
        allowed *= 1 + 1e-9  # the same numbers in another order
        assert abs(total - row["score"]) <= allowed
        assert set(row["contributions"]) <= {*subject.groups, *subject.columns}


def _curves(found: Explanation, subject: Subject, sample: Sample) -> None:
    for column, curve in found.content["curves"].items():
        assert column in {*subject.groups, *subject.columns}
        assert curve["kind"] in ("number", "category", "timestamp")
        assert curve["points"]
        for value, mean, low, high, count in curve["points"]:
            assert low <= high
            assert 0 <= count <= len(sample)
            assert np.isfinite(mean)
            assert value is None or isinstance(value, str | bool) or curve["kind"] == "number"
        values = [point[0] for point in curve["points"] if point[0] is not None]
        assert curve["kind"] == "category" or values == sorted(set(values)), "ascending"
        assert sum(point[4] for point in curve["points"]) <= len(sample)
        for row, line in curve.get("lines", []):
            assert 0 <= row < len(sample)
            assert len(line) == len(curve["points"])
        _class(curve, subject)


def _pairs(found: Explanation, subject: Subject, sample: Sample) -> None:
    values = [pair["value"] for pair in found.content["pairs"]]
    assert values == sorted(values, reverse=True)
    assert all(len(set(pair["columns"])) == 2 for pair in found.content["pairs"])
    assert len({frozenset(pair["columns"]) for pair in found.content["pairs"]}) == len(values), (
        "each pair once"
    )
    assert all(set(pair["columns"]) <= {*subject.groups, *subject.columns} for pair in found.content["pairs"])
    assert all(pair["low"] <= pair["high"] for pair in found.content["pairs"] if "low" in pair)


def _surfaces(found: Explanation, subject: Subject, sample: Sample) -> None:
    for surface in found.content["surfaces"]:
        assert len(surface["z"]) == len(surface["x"])
        assert all(len(line) == len(surface["y"]) for line in surface["z"])
        if "rows" in surface:
            assert [len(line) for line in surface["rows"]] == [len(line) for line in surface["z"]]
            assert sum(map(sum, surface["rows"])) <= len(sample)
        _class(surface, subject)


def _surrogate(found: Explanation, subject: Subject, sample: Sample) -> None:
    """A tree: every node but the root is the child of one, further on in the list; shares are of the parent's rows."""
    nodes = found.content["nodes"]
    children = []
    for i, node in enumerate(nodes):
        _class(node, subject)
        if "column" in node:
            pair = [node["yes"], node["no"]]
            assert all(i < child < len(nodes) for child in pair)
            assert abs(sum(nodes[child]["share"] for child in pair) - node["share"]) < 1e-4
            children += pair
    assert sorted(children) == list(range(1, len(nodes)))
    assert nodes[0]["share"] == 1
    assert found.content["fidelity"] <= 1


def _rules(found: Explanation, subject: Subject, sample: Sample) -> None:
    """Every condition is true of the row that it explains."""
    for rule in found.content["rows"]:
        row = {name: plain(value) for name, value in _raw(sample, rule["row"]).items()}
        assert all(_holds(row[one["column"]], one["operator"], one["value"]) for one in rule["conditions"])
        assert 0 <= rule["low"] <= rule["precision"] <= rule["high"] <= 1
        assert 0 <= rule["coverage"] <= 1


def _holds(own: Any, operator: str, value: Any) -> bool:
    if operator == "is missing":
        return own in (None, "", "nan", "inf", "-inf") and value is None
    return bool({"=": own == value, "<=": own <= value, ">": own > value}[operator])


def _counterfactuals(found: Explanation, subject: Subject, sample: Sample) -> None:
    """The graph says of each row with its changes what the explanation says, and another thing than of the row."""
    import pyarrow as pa

    for answer in found.content["rows"]:
        assert answer["found"] or answer["why"]
        row = _raw(sample, answer["row"])
        for one in answer["found"]:
            assert one["changes"]
            assert all(
                plain(row[name]) == before != after for name, (before, after) in one["changes"].items()
            )
            assert 0 < one["distance"] <= 1
            values = {**row, **{name: after for name, (_, after) in one["changes"].items()}}
            columns = [_column(values[field.name], field.type) for field in sample.table.schema]
            table = pa.table(columns, schema=sample.table.schema)
            said = subject.session.run(table, ["prediction"])["prediction"].tolist()[0]
            assert said == one["prediction"] != answer["prediction"]
            assert not subject.classes or said == answer["wanted"]


def _raw(sample: Sample, row: int) -> dict[str, Any]:
    values: dict[str, Any] = sample.table.slice(row, 1).to_pylist()[0]
    return values


def _column(value: Any, kind: Any) -> Any:
    import pyarrow as pa

    if isinstance(value, str) and pa.types.is_timestamp(kind):
        value = dt.datetime.fromisoformat(value)
    return pa.array([value], type=kind)


def _influence(found: Explanation, subject: Subject, sample: Sample) -> None:
    for answer in found.content["rows"]:
        helpful, harmful = ([one["influence"] for one in answer[side]] for side in ("helpful", "harmful"))
        assert helpful == sorted(helpful, reverse=True)
        assert harmful == sorted(harmful)
        assert min(helpful, default=1) > 0 > max(harmful, default=-1)
        assert all(
            set(one["row"]) <= set(subject.columns) for one in [*answer["helpful"], *answer["harmful"]]
        )


def _prototypes(found: Explanation, subject: Subject, sample: Sample) -> None:
    shares = [one["share"] for one in found.content["prototypes"]]
    assert shares == sorted(shares, reverse=True)
    assert abs(sum(shares) - 1) < 1e-6
    rows = [json.dumps(one["row"], sort_keys=True) for side in found.content.values() for one in side]
    assert all(set(json.loads(row)) <= set(subject.columns) for row in rows)


def _class(entry: Mapping[str, Any], subject: Subject) -> None:
    """A class is named in multiclass, and only there."""
    assert ("class" in entry) == (subject.task == "multiclass")
    assert entry.get("class") in [None, *subject.classes]


_CHECKS: Mapping[str, Callable[[Explanation, Subject, Sample], None]] = {
    "importance": _importance,
    "attributions": _attributions,
    "curves": _curves,
    "interactions": _pairs,
    "surfaces": _surfaces,
    "surrogate": _surrogate,
    "rules": _rules,
    "counterfactuals": _counterfactuals,
    "influence": _influence,
    "prototypes": _prototypes,
}
