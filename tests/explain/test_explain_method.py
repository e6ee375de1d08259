"""The method of the project file: it fits the model or is refused, and travels with its background."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessemer.core.errors import UsageError
from bessemer.core.signature import Task
from bessemer.explain.method import SETTINGS, parse_method
from bessemer.explain.spec import ExplainSpec
from bessemer.explain.subject import open_subject
from bessemer.package.attribution.chosen import BACKGROUND, read_background
from bessemer.package.attribution.plugins import METHODS
from bessemer.package.contributions import Contributions
from bessemer.package.natives import Weighted, encode_ensemble
from bessemer.testing.attributions import check_attribution
from bessemer.testing.learners import callbacks, problem, rows
from bessemer.train.learner import Native
from bessemer.train.params import resolved
from bessemer.train.plugins import LEARNERS

Made = Callable[..., Any]
TASKS: list[Task] = ["binary", "multiclass", "regression"]

#: Settings that keep a test short.
QUICK: dict[str, dict[str, Any]] = {
    "mlp": {"epochs": 3},
    "ebm": {"outer_bags": 2},
    "random_forest": {"trees": 10},
    "extra_trees": {"trees": 10},
}
SAMPLED = {"kernel": {"coalitions": 128, "seed": 1}, "permutation": {"rounds": 2, "seed": 1}}


def fitted(learner: str, task: Task, folder: Path) -> Native:
    kind = LEARNERS.load(learner)
    params = resolved(kind.PARAMS, {k: v for k, v in QUICK.get(learner, {}).items() if k in kind.PARAMS})
    train, valid = rows(task, 300), rows(task, 150, seed=1)
    return kind().fit(problem(task), train, valid, params, callbacks(folder, rounds=10)).native()


def facts(width: int) -> dict[str, Any]:
    """Seven features, the last two made from one column; a calibration."""
    groups = [f"c{min(i, 5)}" for i in range(width)]
    features = [{"name": f"f{i}", "group": group} for i, group in enumerate(groups)]
    return {
        "features": features,
        "groups": list(dict.fromkeys(groups)),
        "calibration": {"scale": 1.25, "offset": 0.5},
    }


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "learner",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in ("ebm", "mlp", "network") else name
        for name in LEARNERS.names()
    ],
)
def test_parts_add_up_on_every_learner(learner: str, task: Task, tmp_path: Path) -> None:
    native = fitted(learner, task, tmp_path)
    X, Z = rows(task, 12, seed=2).X, rows(task, 20, seed=3).X
    info = facts(X.shape[1])
    fits = Contributions(native.kind, native.content, info).fits()
    assert {"auto", "kernel", "permutation"} <= set(fits)
    for method in fits:
        check_attribution(method, SAMPLED.get(method, {}), native.kind, native.content, info, X, Z)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_parts_add_up_on_an_ensemble(task: Task, tmp_path: Path) -> None:
    names = ("lightgbm", "xgboost", "catboost", "linear")
    each = [fitted(name, task, tmp_path / name) for name in names]
    content = encode_ensemble([Weighted(0.25, native.kind, native.content) for native in each])
    X, Z = rows(task, 12, seed=2).X, rows(task, 20, seed=3).X
    info = facts(X.shape[1])
    for method in ("auto", "interventional", "kernel", "permutation"):
        check_attribution(method, SAMPLED.get(method, {}), "ensemble", content, info, X, Z)


@pytest.mark.parametrize(
    ("task", "learner", "method"),
    [
        ("binary", "lightgbm", "tree"),
        ("binary", "lightgbm", {"interventional": {"background": 50}}),
        ("multiclass", "lightgbm", "interventional"),
        ("multiclass", "linear", "linear"),
        ("regression", "lightgbm", {"kernel": {"background": 10, "coalitions": 64}}),
        ("regression", "linear", {"permutation": {"background": 10}}),
    ],
)
def test_the_stage_explains_by_the_method(made: Made, task: str, learner: str, method: Any) -> None:
    explainer, found = made(task, learner).explain(method=method, explainers=["contributions"])
    ((name, _),) = parse_method(method).items()
    assert explainer["method"] == explainer["attribution"]["method"] == name
    scale = max(1.0, max(abs(e["score"]) for e in found["examples"]))
    assert explainer["tolerance"] <= 1e-4 * scale
    for example in found["examples"]:
        total = example["base"] + sum(example["contributions"].values())
        assert total == pytest.approx(example["score"], abs=2e-4 * scale)
    error = found["found"]["contributions"]["error"]
    sampled = name == "permutation" and learner != "linear"
    assert error["measure"] == ("standard error" if sampled else "additivity gap")


def test_the_error_of_a_sampled_method_is_stated(made: Made) -> None:
    settings = {"permutation": {"background": 5}}
    explainer, found = made("binary").explain(method=settings, explainers=["contributions"])
    error = found["found"]["contributions"]["error"]
    assert error["measure"] == "standard error"
    assert 0 < error["value"] == explainer["standard_error"] < 2
    assert "5 training rows" in explainer["background"]


def test_the_background_travels_and_says_how_many_rows(made: Made) -> None:
    from bessemer.explain.stage import run

    one = made("binary")
    spec = ExplainSpec(rows=50, explainers=["contributions"], method={"interventional": {"background": 30}})
    refs = [run(spec, one.refs, one.context())["explainer"] for _ in range(2)]
    assert refs[0].digest == refs[1].digest, "the same run gives the same bytes"
    artifact = one.store.get(refs[0])
    told = artifact.json("explainer.json")
    assert told["attribution"]["background"] == {"file": BACKGROUND, "rows": 30}
    splits = one.store.get(one.refs["splits"])
    Z = read_background(artifact.bytes(BACKGROUND), np.load(splits.path("train.X.npy")).shape[1])
    train = {row.tobytes() for row in np.load(splits.path("train.X.npy"))}
    assert len(Z) == 30
    assert all(row.tobytes() in train for row in Z)
    subject = open_subject(one.store.get(one.refs["model"]))
    mean = subject.contributions.score(Z).mean(axis=0)
    assert told["base"] == pytest.approx(mean, abs=1e-5)


def test_a_background_larger_than_the_training_part_is_all_of_it(made: Made) -> None:
    one = made("binary")
    told, _ = one.explain(method={"interventional": {"background": 100_000}}, explainers=["contributions"])
    assert (
        told["attribution"]["background"]["rows"] == one.store.get(one.refs["splits"]).meta["rows"]["train"]
    )


@pytest.mark.parametrize(
    ("learner", "method", "fits"),
    [
        ("linear", "tree", "auto, interventional, linear, kernel"),
        ("lightgbm", "linear", "auto, tree, interv"),
    ],
)
def test_a_method_that_does_not_fit_is_a_fault_that_says_which_do(
    made: Made, learner: str, method: str, fits: str
) -> None:
    with pytest.raises(UsageError, match=f"'{method}' does not explain this model") as caught:
        made("binary", learner).explain(method=method)
    assert fits in caught.value.fix


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("shap", "did you mean|no method is called 'shap'"),
        ("interventinal", "did you mean 'interventional'"),
        ({"interventional": {"backgrond": 5}}, "it has background"),
        ({"interventional": {"background": 0}}, "greater than or equal to 1"),
        ({"tree": {"background": 5}}, "it has none"),
        ({"kernel": 5}, "are not settings of kernel"),
        ({"kernel": {}, "tree": {}}, "is not a method"),
        (5, "is not a method"),
        ([], "is not a method"),
        (None, "is not a method"),
    ],
)
def test_a_wrong_method_is_explained(value: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ExplainSpec(method=value)


def test_every_own_method_has_settings() -> None:
    own = {name for name in METHODS if METHODS.ref(name).target.startswith("bessemer.")}
    assert own == set(SETTINGS)
    assert ExplainSpec().method == {"auto": {}}
    assert ExplainSpec(method="kernel").method == {"kernel": {}}
