"""Partial dependence and ICE beside scikit-learn's, on a model of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import partial_dependence
from truth_support import Explained

from bessemer.explain.subject import Subject

NAMES = ["a", "b", "c"]


class Scores(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The graph that ships, as scikit-learn sees a model."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def fit(self, X: Any, y: Any) -> Scores:
        self.fitted_ = True
        return self

    def predict(self, X: Any) -> Any:
        return self.subject.scored(pa.table(dict(zip(NAMES, np.asarray(X).T, strict=True))))[:, 0]


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Explained:
    rng = np.random.default_rng(1)
    a, b, c = rng.normal(size=(3, 1000))
    table = pa.table({"a": a, "b": b, "c": c, "y": np.sin(2 * a) + a * b + 0.1 * rng.normal(size=1000)})
    return Explained(tmp_path_factory.mktemp("numbers")).fit(table, learner="lightgbm")


@pytest.mark.slow
def test_curves_are_those_of_scikit_learn(numbers: Explained) -> None:
    subject, sample = numbers.opened()
    X = np.stack([sample.table[name].to_numpy() for name in NAMES], axis=1)
    model = Scores(subject).fit(X, None)
    curves = numbers.explain("partial_dependence", rows=10_000, columns=NAMES, points=8).content["curves"]
    lines = numbers.explain("ice", rows=10_000, columns=NAMES, lines=20, points=8).content["curves"]
    for place, name in enumerate(NAMES):
        values = [point[0] for point in curves[name]["points"]]
        theirs = partial_dependence(
            model, X, [place], custom_values={place: np.array(values)}, kind="both", method="brute"
        )
        assert [point[1] for point in curves[name]["points"]] == pytest.approx(theirs["average"][0], abs=1e-5)
        assert [point[1] for point in lines[name]["points"]] == pytest.approx(theirs["average"][0], abs=1e-5)
        for row, line in lines[name]["lines"]:
            assert line == pytest.approx(theirs["individual"][0][row], abs=1e-5)


def test_surfaces_are_those_of_scikit_learn(numbers: Explained) -> None:
    subject, sample = numbers.opened()
    X = np.stack([sample.table[name].to_numpy() for name in NAMES], axis=1)
    model = Scores(subject).fit(X, None)
    found = numbers.explain("partial_dependence_2d", rows=10_000, pairs=[["a", "b"]], points=5)
    entry = found.content["surfaces"][0]
    theirs = partial_dependence(
        model, X, [0, 1], custom_values={0: np.array(entry["x"]), 1: np.array(entry["y"])}, method="brute"
    )
    assert np.abs(np.array(entry["z"]) - theirs["average"][0]).max() < 1e-5
