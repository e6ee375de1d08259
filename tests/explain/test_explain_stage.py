"""The stage on real models whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bessemer.core.errors import BessemerError
from bessemer.explain.examples import examples
from bessemer.explain.sample import draw
from bessemer.explain.spec import ExplainSpec
from bessemer.explain.subject import open_subject
from bessemer.package.decision import Decision

MODELS = [
    ("binary", "lightgbm", "tree_path_dependent"),
    ("multiclass", "lightgbm", "tree_path_dependent"),
    ("regression", "lightgbm", "tree_path_dependent"),
    ("binary", "linear", "linear"),
    ("multiclass", "linear", "linear"),
    ("regression", "constant", "constant"),
]


@pytest.mark.parametrize(("task", "learner", "method"), MODELS)
def test_contributions_sum_to_the_score_of_the_graph(
    made: Callable[..., Any], task: str, learner: str, method: str
) -> None:
    one = made(task, learner)
    explainer, found = one.explain()
    assert explainer["method"] == method
    assert explainer["rows"] == found["rows"] == 200
    assert len(explainer["base"]) == (3 if task == "multiclass" else 1)
    scale = max(1.0, max(abs(e["score"]) for e in found["examples"]))
    assert explainer["tolerance"] <= 1e-4 * scale
    for example in found["examples"]:
        total = example["base"] + sum(example["contributions"].values())
        assert total == pytest.approx(example["score"], abs=2e-4 * scale)
        assert set(example["contributions"]) == set(explainer["groups"])


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_importance_ranks_what_the_truth_depends_on(made: Callable[..., Any], task: str) -> None:
    _, found = made(task).explain()
    shuffled = found["found"]["permutation"]["content"]["rows"]
    moved = found["found"]["contributions"]["content"]["rows"]
    assert shuffled[0]["group"] == "strong"
    assert {"strong", "both"} & {row["group"] for row in moved[:2]}
    assert [row["value"] for row in shuffled] == sorted((r["value"] for r in shuffled), reverse=True)
    assert all(row["low"] <= row["value"] <= row["high"] for row in shuffled)
    noise = next(row["value"] for row in shuffled if row["group"] == "noise")
    assert shuffled[0]["value"] > 10 * abs(noise)


def test_examples_know_the_threshold_of_the_model(made: Callable[..., Any]) -> None:
    """The probability is that of what is predicted, and borderline rows lie at the threshold that ships."""
    one = made("binary")
    model, splits = (one.store.get(one.refs[name]) for name in ("model", "splits"))
    facts = {"decision": Decision(threshold=0.15).to_json()}
    subject = open_subject(model)
    subject = replace(subject, facts={**subject.facts, **facts})
    sample = draw(splits, subject, 200, one.context())
    sample = replace(sample, said=(sample.probability[:, 1] >= 0.15).astype(np.int64))
    found = examples(subject, sample, 4)
    for row in found:
        positive = 1 / (1 + np.exp(-row["score"]))
        assert row["probability"] == pytest.approx(
            positive if row["prediction"] == "yes" else 1 - positive, abs=1e-5
        )
    border = np.log(0.15 / 0.85)
    near = [abs(row["score"] - border) for row in found if row["why"] == "borderline"]
    assert max(near) <= np.partition(np.abs(sample.score[:, 0] - border), 11)[11]


def test_permutation_is_by_raw_column_and_contributions_by_group(made: Callable[..., Any]) -> None:
    _, found = made("binary").explain()
    raw = {"strong", "weak col", "noise", "city", "seen"}
    assert {row["group"] for row in found["found"]["permutation"]["content"]["rows"]} == raw
    assert {row["group"] for row in found["found"]["contributions"]["content"]["rows"]} == raw | {"both"}


def test_same_seed_same_bytes_other_seed_other_sample(made: Callable[..., Any]) -> None:
    one = made("binary")
    assert one.explain() == one.explain()
    assert one.explain()[1]["examples"] != one.explain(seed=8)[1]["examples"]


def test_all_rows_where_the_sample_is_larger_than_the_test_part(made: Callable[..., Any]) -> None:
    one = made("binary")
    rows = one.store.get(one.refs["splits"]).meta["rows"]["test"]
    assert one.explain(rows=100_000)[1]["rows"] == rows


def test_dependence_follows_the_truth_and_counts_every_row(made: Callable[..., Any]) -> None:
    _, found = made("regression").explain()
    curves = found["dependence"]
    for curve in curves.values():
        assert sum(point[4] for point in curve["points"]) == 200
        assert all(low <= high for _, _, low, high, _ in curve["points"])
    strong = [p for p in curves["strong"]["points"] if p[0] is not None]
    assert strong[-1][1] > strong[0][1]
    city = {p[0]: p[1] for p in curves["city"]["points"]}
    assert max(city, key=lambda name: city[name]) == "Bern"
    if "noise" in curves:
        assert any(p[0] is None for p in curves["noise"]["points"])
    assert curves.get("seen", {"kind": "timestamp"})["kind"] == "timestamp"


def test_examples_are_of_every_kind_and_never_twice(made: Callable[..., Any]) -> None:
    _, found = made("binary").explain(samples=2)
    kinds: dict[str, list[Any]] = {}
    for example in found["examples"]:
        kinds.setdefault(example["why"], []).append(example)
    assert {"highest", "lowest", "borderline"} <= set(kinds)
    assert all(len(rows) == 2 for rows in kinds.values())
    assert all(e["prediction"] != e["actual"] for e in kinds.get("mistake", []))
    assert min(e["score"] for e in kinds["highest"]) > max(e["score"] for e in kinds["lowest"])
    assert all(abs(e["score"]) < abs(kinds["highest"][0]["score"]) for e in kinds["borderline"])
    assert len({str(e["row"]) for e in found["examples"]}) == len(found["examples"])
    row = found["examples"][0]["row"]
    assert row["seen"].startswith("2013-")
    assert row["city"] in {'São "Paulo"', "</script>", "Bern"}


def test_only_what_is_asked_for(made: Callable[..., Any]) -> None:
    _, found = made("binary").explain(explainers=["contributions"], samples=0)
    assert list(found["found"]) == ["contributions"]
    assert found["examples"] == []


def test_a_native_model_that_is_not_the_graphs_is_refused(made: Callable[..., Any]) -> None:
    import json

    one = made("binary", "linear")
    model = one.store.get(one.refs["model"])
    files: dict[str, Any] = {name: model.path(name) for name in model.files}
    native = json.loads(model.bytes("native/linear.json"))
    native["intercept"] = [value + 0.5 for value in native["intercept"]]
    files["native/linear.json"] = json.dumps(native).encode()
    tampered = one.store.put("model", files, model.meta)
    subject = open_subject(one.store.get(tampered))
    with pytest.raises(BessemerError, match=r"contributions differ .* by 0\.\d+"):
        draw(one.store.get(one.refs["splits"]), subject, 100, one.context())


def test_sample_is_aligned_with_its_rows(made: Callable[..., Any]) -> None:
    one = made("regression")
    splits = one.store.get(one.refs["splits"])
    sample = draw(splits, open_subject(one.store.get(one.refs["model"])), 50, one.context())
    X, y = np.load(splits.path("test.X.npy")), np.load(splits.path("test.y.npy"))
    for features, actual, row in zip(sample.features, sample.actual, sample.table.to_pylist(), strict=True):
        place = int(np.flatnonzero(y == actual)[0])
        assert np.array_equal(X[place], features, equal_nan=True)
        assert np.float32(row["strong"]) in features


def test_an_unknown_way_of_ranking_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'permutation'"):
        ExplainSpec(explainers=["permutaton"])
