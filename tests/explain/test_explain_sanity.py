"""The sanity checks of Adebayo et al. (2018, "Sanity checks for saliency maps"): an explanation that does not change
when the model, or what it learnt, is made random says nothing of the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from bessemer.package.attribution.chosen import Chosen
from bessemer.package.attribution.plugins import METHODS
from bessemer.package.contributions import Contributions
from bessemer.package.trees.codec import decode, encode
from bessemer.testing.learners import callbacks, problem
from bessemer.train.learner import Native, Part
from bessemer.train.params import resolved
from bessemer.train.plugins import LEARNERS

FEATURES = 8
INFO = {
    "features": [{"name": f"x{i}", "group": f"x{i}"} for i in range(FEATURES)],
    "groups": [f"x{i}" for i in range(FEATURES)],
}
SETTINGS = {"kernel": {"coalitions": 256}, "permutation": {"rounds": 2}}


def part(seed: int, n: int = 1500) -> Part:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, FEATURES)).astype(np.float32)
    signal = 2 * X[:, 0] - 1.5 * X[:, 1] + X[:, 2] * X[:, 3] + np.abs(X[:, 4])
    y = (signal + rng.normal(size=n) * 0.5 > 0.5).astype(np.float64)
    return Part(X, y)


def shuffled(of: Part) -> Part:
    return Part(of.X, np.random.default_rng(99).permutation(of.y))


def fitted(learner: str, train: Part, valid: Part, folder: object) -> Native:
    kind = LEARNERS.load(learner)
    place = callbacks(folder, rounds=60, early_stopping=1000)  # type: ignore[arg-type]
    return kind().fit(problem("binary"), train, valid, resolved(kind.PARAMS, {}), place).native()


def parts_of(native: Native, method: str, X: np.ndarray) -> np.ndarray:
    background = part(5, 20).X if METHODS.load(method).draws else None
    chosen = Chosen(method, SETTINGS.get(method, {}), background)
    return Contributions(native.kind, native.content, INFO, chosen=chosen).compute(X)[1][:, :, 0]


def alike(one: np.ndarray, other: np.ndarray, by_row: bool = False) -> float:
    """The mean rank correlation of the rows' parts, over the columns; or of the columns' sizes, over the rows."""
    both = zip(np.abs(one), np.abs(other), strict=True) if by_row else zip(one.T, other.T, strict=True)
    found = [spearmanr(a, b).statistic if np.ptp(a) > 0 < np.ptp(b) else 0.0 for a, b in both]
    return float(np.mean(found))


def with_random_leaves(native: Native) -> Native:
    """The same trees, with the leaves' values dealt out anew."""
    trees, rng = decode(native.content), np.random.default_rng(1)
    values = rng.permutation(np.concatenate([tree.value for tree in trees.trees]))
    cuts = np.cumsum([len(tree.value) for tree in trees.trees])[:-1]
    own = zip(trees.trees, np.split(values, cuts), strict=True)
    return replace(native, content=encode(replace(trees, trees=tuple(replace(t, value=v) for t, v in own))))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Native]:
    folder = tmp_path_factory.mktemp("sanity")
    train, valid = part(0), part(1, 500)
    made = {}
    for learner in ("lightgbm", "linear"):
        made[learner] = fitted(learner, train, valid, folder / learner)
        made[f"{learner}, other rows"] = fitted(learner, part(2), valid, folder / f"{learner}2")
        made[f"{learner}, random labels"] = fitted(
            learner, shuffled(train), shuffled(valid), folder / f"{learner}3"
        )
    made["lightgbm, random leaves"] = with_random_leaves(made["lightgbm"])
    return made


CASES = [
    ("lightgbm", "tree", ["random leaves", "random labels"]),
    ("lightgbm", "interventional", ["random leaves", "random labels"]),
    ("lightgbm", "kernel", ["random leaves", "random labels"]),
    ("lightgbm", "permutation", ["random leaves", "random labels"]),
    ("linear", "linear", ["random labels"]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("learner", "method", "changes"), CASES)
def test_parts_collapse_with_the_model(
    models: dict[str, Native], learner: str, method: str, changes: list[str]
) -> None:
    """The order of the rows in each column that matters; of a linear model the order of each row's columns."""
    X, by_row = part(7, 120).X, learner == "linear"
    true = parts_of(models[learner], method, X)
    again = parts_of(models[f"{learner}, other rows"], method, X)
    matter = list(range(FEATURES)) if by_row else [0, 1, 4]
    assert alike(true[:, matter], again[:, matter], by_row) > 0.7, "the same truth is explained alike"
    for change in changes:
        other = parts_of(models[f"{learner}, {change}"], method, X)
        assert abs(alike(true[:, matter], other[:, matter], by_row)) < 0.5, change
        if change == "random labels":
            assert np.abs(other).mean() < 0.5 * np.abs(true).mean()
            sizes = (np.abs(parts).mean(axis=0) for parts in (true, other))
            strong, weak = (size[:2].sum() / size.sum() for size in sizes)
            assert weak < 0.7 * strong, "the strong columns are strong no more"


def test_an_explanation_of_the_data_alone_would_fail(models: dict[str, Native]) -> None:
    """The check can fail: parts that only look at the rows, as an edge detector does, stay what they are."""

    X = part(7, 120).X

    def of_the_rows(model: Native) -> np.ndarray:
        return X - X.mean(axis=0) if model.content else X

    true, other = (of_the_rows(models[name]) for name in ("lightgbm", "lightgbm, random leaves"))
    assert alike(true, other) > 0.8
