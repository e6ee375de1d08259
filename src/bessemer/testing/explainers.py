"""What every explainer must keep. In a plug-in's own tests, with a `model` and a `splits` artifact:

from bessemer.testing.explainers import check_explainer

def test_my_explainer(model, splits, ctx):
    check_explainer(MyExplainer, MyExplainer.Settings(), model, splits, ctx)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core import canonical
from bessemer.explain.sample import draw
from bessemer.explain.subject import open_subject

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
    '"class"?}]}',
    "curves": '{"curves": {column: {"kind": number|category|timestamp, "points": [[value, mean, low, high, rows]], '
    '"lines"?: [[row, [score at each point]]], "class"?}}, "unit"}',
    "surfaces": '{"surfaces": [{"columns": [a, b], "kinds": [kind, kind], "x": values of a, "y": values of b, '
    '"z": [[score for each y] for each x], "rows"?: [[...]], "class"?}], "unit"}',
    "interactions": '{"pairs": [{"columns": [a, b], "value", "low"?, "high"?}], "unit"}, the strongest first',
    "rules": '{"rows": [{"row", "conditions": [{"column", "operator", "value"}], "precision", "low", "high", '
    '"coverage", "prediction"}]}',
    "counterfactuals": '{"rows": [{"row", "prediction", "wanted", "found": [{"changes": {column: [from, to]}, '
    '"prediction", "probability"?, "distance"}], "why"?}]}',
    "influence": '{"rows": [{"row", "helpful": [{"row": {column: value}, "actual", "influence"}], '
    '"harmful": [the same]}]}',
    "prototypes": '{"prototypes": [{"row": {column: value}, "prediction", "share", "class"?}], '
    '"criticisms": [{"row": {column: value}, "prediction"}]}',
    "surrogate": '{"nodes": [{"column"?, "operator"?, "value"?, "yes"?, "no"?, "score", "share"}], "fidelity"}; '
    "node 0 is the root",
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


def _attributions(found: Explanation, subject: Subject, sample: Sample) -> None:
    """Additive: base and contributions sum to the score within the stated error, or within 1e-3 of its size."""
    for row in found.content["rows"]:
        assert 0 <= row["row"] < len(sample)
        total = row["base"] + sum(row["contributions"].values())
        allowed = max(1e-3 * max(1.0, abs(row["score"])), found.error.value or 0.0)
        assert abs(total - row["score"]) <= allowed
        assert set(row["contributions"]) <= {*subject.groups, *subject.columns}


def _curves(found: Explanation, subject: Subject, sample: Sample) -> None:
    for column, curve in found.content["curves"].items():
        assert column in {*subject.groups, *subject.columns}
        assert curve["kind"] in ("number", "category", "timestamp")
        assert all(len(point) == 5 for point in curve["points"])


def _pairs(found: Explanation, subject: Subject, sample: Sample) -> None:
    values = [pair["value"] for pair in found.content["pairs"]]
    assert values == sorted(values, reverse=True)
    assert all(len(set(pair["columns"])) == 2 for pair in found.content["pairs"])


def _surfaces(found: Explanation, subject: Subject, sample: Sample) -> None:
    for surface in found.content["surfaces"]:
        assert len(surface["z"]) == len(surface["x"])
        assert all(len(line) == len(surface["y"]) for line in surface["z"])


_CHECKS: Mapping[str, Callable[[Explanation, Subject, Sample], None]] = {
    "importance": _importance,
    "attributions": _attributions,
    "curves": _curves,
    "interactions": _pairs,
    "surfaces": _surfaces,
}
