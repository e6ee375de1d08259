"""LightGBM and its ONNX twin take the same branch for every float32."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bessemer.package.trees.onnx import to_onnx as trees_to_onnx
from bessemer.testing.learners import run_head
from bessemer.train.learners.lightgbm_text import floor_float32, parse
from bessemer.train.learners.lightgbm_trees import to_trees


def to_onnx(model: Any, features: int) -> Any:
    return trees_to_onnx(to_trees(model, features))


EDGES = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 1e-35, -1e-35, 1e-38, 3.4e38, -3.4e38, 0.1, 1.0],
    dtype=np.float32,
)


def train(X: np.ndarray, y: np.ndarray, rounds: int = 20, **params: Any) -> str:
    settings_ = {"verbosity": -1, "min_data_in_leaf": 3, "num_leaves": 15, "num_threads": 1, **params}
    data = lightgbm.Dataset(X, y, params=settings_)
    return lightgbm.train(settings_, data, rounds).model_to_string()


def table(missing: bool, n: int = 800) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    X = rng.normal(size=(n, 4)).astype(np.float32)
    X[:, 1] = np.round(X[:, 1] * 3) / 10
    X[:, 2] *= np.float32(1e-36)
    X[rng.random(n) < 0.3, 3] = 0
    if missing:
        X[rng.random(X.shape) < 0.2] = np.nan
    signal = np.nan_to_num(X[:, 0]) + np.nan_to_num(X[:, 1]) * 4 + 2 * np.isnan(X[:, 3]) + (X[:, 3] == 0)
    return X, signal + rng.normal(size=n) * 0.1


def probes(text: str, X: np.ndarray) -> np.ndarray:
    """The rows, the edges of float32, and every threshold with its neighbours."""
    found = [X]
    for feature in range(X.shape[1]):
        cuts = [
            t.numbers("threshold", np.float64)[t.numbers("split_feature", int) == feature]
            for t in parse(text).trees
        ]
        near = np.unique(np.concatenate(cuts)).astype(np.float32)
        values = np.concatenate(
            [EDGES, near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))]
        )
        rows = np.repeat(X[:1], len(values), axis=0)
        rows[:, feature] = values
        found.append(rows)
    return np.concatenate(found)


@pytest.mark.parametrize("missing", [False, True], ids=["no NaN in training", "NaN in training"])
@pytest.mark.parametrize("params", [{}, {"use_missing": False}], ids=["nan", "none"])
def test_the_same_leaf_for_every_row(missing: bool, params: dict[str, Any]) -> None:
    X, y = table(missing)
    text = train(X, y, **params)
    rows = probes(text, X)
    native = lightgbm.Booster(model_str=text)
    leaves = native.predict(rows, pred_leaf=True)
    # one graph a tree: the leaf is known by its value
    for number, tree in enumerate(parse(text).trees):
        one = type(parse(text))(parse(text).header, (tree,), 1)
        score = run_head(to_onnx(one, X.shape[1]), rows)[:, 0]
        expected = tree.leaves[leaves[:, number]]
        gaps = np.diff(np.unique(tree.leaves))
        assert np.max(np.abs(score - expected)) < max(1e-6, gaps.min() / 2)
    np.testing.assert_allclose(
        run_head(to_onnx(parse(text), X.shape[1]), rows)[:, 0],
        native.predict(rows, raw_score=True),
        rtol=1e-5,
        atol=1e-5,
    )


def test_multiclass_targets() -> None:
    X, y = table(True)
    text = train(X, np.digitize(y, [-1, 0, 1]).astype(float), objective="multiclass", num_class=4)
    rows = probes(text, X)
    expected = lightgbm.Booster(model_str=text).predict(rows, raw_score=True)
    np.testing.assert_allclose(run_head(to_onnx(parse(text), 4), rows), expected, rtol=1e-5, atol=1e-5)


def test_trees_with_one_leaf() -> None:
    X = np.zeros((50, 2), dtype=np.float32)
    text = train(X, np.arange(50.0), rounds=3)
    assert run_head(to_onnx(parse(text), 2), X[:3]).tolist() == [[24.5]] * 3
    # a class that never occurs has one leaf a round, among trees of other classes
    X, y = table(False)
    text = train(X, (y > 0).astype(float), objective="multiclass", num_class=3)
    expected = lightgbm.Booster(model_str=text).predict(X, raw_score=True)
    np.testing.assert_allclose(run_head(to_onnx(parse(text), 4), X), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@given(hnp.arrays(np.float64, 20, elements=st.floats(allow_nan=False, allow_infinity=False)))
@settings(max_examples=200, deadline=None)
def test_a_floored_threshold_decides_alike(thresholds: np.ndarray) -> None:
    exact = floor_float32(thresholds)
    with np.errstate(over="ignore"):
        near = thresholds.astype(np.float32)
    for x in (near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf)), exact):
        np.testing.assert_array_equal(x.astype(np.float64) <= thresholds, x <= exact)


def test_the_text_survives_reading_cutting_and_joining() -> None:
    X, y = table(True)
    text = train(X, y)
    model = parse(text)
    whole = lightgbm.Booster(model_str=text)
    joined = model.head(8).followed_by(model.trees[8:])
    np.testing.assert_array_equal(
        lightgbm.Booster(model_str=joined.text()).predict(X), whole.predict(X), strict=True
    )
    np.testing.assert_array_equal(
        lightgbm.Booster(model_str=model.head(5).text()).predict(X), whole.predict(X, num_iteration=5)
    )
    assert parse(joined.text()) == joined
    assert "num_threads" not in joined.text()


def test_categorical_trees_are_refused() -> None:
    X, y = table(False)
    X[:, 1] = np.arange(len(X)) % 5
    text = train(X, (X[:, 1] % 2) + y * 0.01, categorical_feature=[1])
    with pytest.raises(ValueError, match="categorical"):
        parse(text)
