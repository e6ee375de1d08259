"""Sums of pairs of numbers: found where a border runs across two columns, exact everywhere, and one graph still."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.errors import FormatError
from bessemer.package.natives import open_native
from bessemer.package.pair_sums import SumPairs
from bessemer.package.pairs import decode_paired, encode_paired
from bessemer.testing.learners import callbacks, check_contributions, check_twin, problem
from bessemer.train.automl.folds import resample
from bessemer.train.automl.pairs import categories, fit_pairs, with_features
from bessemer.train.automl.sums import SLOPES, fit_sums, numbers
from bessemer.train.leaderboard import surely_better
from bessemer.train.learner import Part
from bessemer.train.learners.lightgbm import LightGBM
from bessemer.train.metrics import Metric, output_of
from bessemer.train.native_model import restored
from bessemer.train.paired import PairedModel
from bessemer.train.params import resolved

#: Four numbers, one of few values; a category; a number with an indicator beside it.
FEATURES = [
    *({"name": n, "group": n, "kind": "number"} for n in ("east", "north", "noise", "few")),
    *({"name": f"town = {i}", "group": "town", "kind": "indicator"} for i in range(3)),
    {"name": "odd", "group": "odd", "kind": "number"},
    {"name": "odd: missing", "group": "odd", "kind": "indicator"},
]


def made(task: str, n: int = 3000, seed: int = 0) -> Part:
    """What counts is on which side of a slanted border a row lies; `east` and `north` are of other units."""
    rng = np.random.default_rng(seed)
    east, north, noise = rng.normal(size=(3, n))
    side = np.floor(2 * (east + 2 * north)) % 2
    few = rng.integers(0, 5, n)
    X = np.column_stack(
        [1000 * east, north / 50, noise, few, np.eye(3)[rng.integers(0, 3, n)], noise, few > 3]
    )
    X[rng.random(n) < 0.05, 0] = np.nan
    y = 2 * side + 0.3 * noise
    if task == "regression":
        return Part(X.astype(np.float32), y + 0.1 * rng.normal(size=n))
    edges = np.quantile(y, np.linspace(0, 1, 3 if task == "binary" else 4)[1:-1])
    return Part(X.astype(np.float32), np.searchsorted(edges, y).astype(np.float64))


def fitted(task: Any, tmp_path: Path) -> tuple[PairedModel, Any]:
    part, valid = made(task), made(task, seed=1)
    encoder = fit_sums(problem(task), part, numbers(FEATURES, part.X, None), np.random.default_rng(0))
    assert encoder is not None
    learner, params = LightGBM(), resolved(LightGBM.PARAMS, {"num_leaves": 15})
    told = [Part(encoder.added(one.X), one.y) for one in (part, valid)]
    inner = learner.fit(problem(task), *told, params, callbacks(tmp_path / "sums", rounds=60))
    plain = learner.fit(problem(task), part, valid, params, callbacks(tmp_path / "plain", rounds=60))
    return PairedModel(encoder, inner), plain


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_model_of_sums_keeps_the_laws_of_a_model(task: Any, tmp_path: Path) -> None:
    model, plain = fitted(task, tmp_path)
    test = made(task, seed=2)
    assert isinstance(model.encoder, SumPairs)
    assert model.encoder.owners[0].tolist() == [0, 1], "the pair that matters comes first"
    check_twin(model, test.X)
    check_contributions(model, test.X)
    native = model.native()
    again = restored(native, model.params, model.iterations, {})
    np.testing.assert_allclose(again.margin(test.X), model.margin(test.X), atol=1e-6)
    base, each = open_native(native.kind, native.content, 1).contributions(test.X[:40])
    np.testing.assert_allclose(base + each.sum(axis=1), model.margin(test.X[:40]), atol=1e-5)
    metric = problem(task).metric
    found = [metric(test.y, output_of(task, one.margin(test.X))) for one in (model, plain)]
    assert metric.better(found[0], than=found[1])


def test_only_whole_columns_of_numbers_that_no_constraint_holds() -> None:
    X = made("binary").X
    assert numbers(FEATURES, X, None) == (0, 1, 2)
    assert numbers(FEATURES, X, (0, 1, *[0] * 7)) == (0, 2)
    assert fit_sums(problem("binary"), made("binary"), (1,), np.random.default_rng(0)) is None


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=2),
    st.integers(-20, 20),
    st.integers(-20, 20),
)
def test_fused_operations_change_nothing(row: list[float], first: int, second: int) -> None:
    """A product with a power of two has no rounding, so a sum that is rounded once is what any machine computes."""
    x = np.clip(np.float32([row]), -1e20, 1e20)
    x[np.abs(x) < 1e-20] = 0
    weights = np.float32([[[2.0**first, -(2.0**second)]]])
    found = SumPairs(np.array([[0, 1]]), weights).added(x)[0, 2]
    wide = x.astype(np.float64) * weights[0, 0].astype(np.float64)
    assert found == np.float32(wide.sum())


def test_scales_are_powers_of_two_and_slopes_are_told_apart() -> None:
    part = made("regression")
    encoder = fit_sums(problem("regression"), part, (0, 1), np.random.default_rng(0))
    assert encoder is not None
    assert (np.frexp(np.abs(encoder.weights))[0] == 0.5).all()
    assert encoder.width == len(SLOPES) == len(np.unique(encoder.weights[0], axis=0))
    sums = encoder.added(part.X)[:, part.X.shape[1] :]
    assert 0.3 < np.nanstd(sums[:, 0]) < 3, "both columns count, whatever their units"


def test_missing_numbers_and_constants_make_no_fault() -> None:
    part = made("regression", 500)
    X = part.X.copy()
    X[:, 0], X[:, 1] = np.nan, 7
    encoder = fit_sums(problem("regression"), Part(X, part.y), (0, 1, 2), np.random.default_rng(0))
    assert encoder is not None
    assert np.isnan(encoder.weights).sum() == 0


def test_rows_that_count_nothing_choose_nothing() -> None:
    """Half the rows have the border elsewhere, and a weight of nothing."""
    part = made("regression")
    rng = np.random.default_rng(1)
    other = replace(part, y=np.where(part.X[:, 2] * rng.normal(size=len(part)) > 0, 50.0, -50.0))
    X, y = np.concatenate([part.X, other.X]), np.concatenate([part.y, other.y])
    weight = np.repeat([1.0, 0.0], len(part))
    encoder = fit_sums(problem("regression"), Part(X, y, weight), (0, 1, 2), np.random.default_rng(0))
    assert encoder is not None
    assert encoder.owners[0].tolist() == [0, 1]


def test_pairs_of_categories_may_stand_before_sums_and_no_other_way() -> None:
    part = made("binary", 300)
    sums = fit_sums(problem("binary"), part, (0, 1), np.random.default_rng(0))
    two = [*FEATURES[4:7], *({"name": f"few = {i}", "group": "few", "kind": "indicator"} for i in range(2))]
    X = np.column_stack([part.X[:, 4:7], part.X[:, 0] > 0, ~(part.X[:, 0] > 0)]).astype(np.float32)
    found = fit_pairs(problem("binary"), Part(X, part.y), categories(two, X), np.random.default_rng(0))
    assert sums is not None
    assert found is not None
    inner = encode_paired(sums, "trees", b"x")
    assert decode_paired(encode_paired(found[0], "pairs", inner))[1:] == ("pairs", inner)
    for wrong in (
        encode_paired(sums, "pairs", inner),
        encode_paired(found[0], "pairs", encode_paired(found[0], "trees", b"x")),
        encode_paired(found[0], "pairs", b"[]"),
        encode_paired(replace(sums, weights=sums.weights * np.float32(np.inf)), "trees", b"x"),
    ):
        with pytest.raises(FormatError):
            decode_paired(wrong)


def test_pairs_of_categories_around_sums_keep_the_laws_too(tmp_path: Path) -> None:
    names = [*FEATURES[:3], *({"name": f"t = {i}", "group": "t", "kind": "indicator"} for i in range(3))]
    names += [{"name": f"u = {i}", "group": "u", "kind": "indicator"} for i in range(2)]
    part, judge = (made("regression", 1500, seed) for seed in (0, 1))
    parts = []
    for one in (part, judge):
        rng = np.random.default_rng(len(parts))
        t, u = rng.integers(0, 3, len(one)), rng.integers(0, 2, len(one))
        X = np.column_stack([one.X[:, :3], np.eye(3)[t], np.eye(2)[u]]).astype(np.float32)
        parts.append(Part(X, one.y + ((t + u) % 2)))
    kind = problem("regression")
    found = fit_pairs(kind, parts[0], categories(names, parts[0].X), np.random.default_rng(0))
    sums = fit_sums(kind, parts[0], (0, 1, 2), np.random.default_rng(0))
    assert found is not None
    assert sums is not None
    learn = Part(sums.added(found[1]), parts[0].y)
    valid = Part(sums.added(found[0].added(parts[1].X)), parts[1].y)
    wide = with_features(kind, found[0].features + sums.features)
    params = resolved(LightGBM.PARAMS, {})
    inner = LightGBM().fit(wide, learn, valid, params, callbacks(tmp_path, rounds=40))
    model = PairedModel(found[0], PairedModel(sums, inner))
    check_twin(model, parts[1].X)
    check_contributions(model, parts[1].X)
    assert {"pairs", "sums"} <= set(model.params)
    native = model.native()
    again = restored(native, model.params, model.iterations, {})
    assert again.params == model.params
    assert decode_paired(native.content)[0].names([f["group"] for f in names]) == ["t with u"]


def test_what_is_surely_better() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=2000)
    good, bad = y + 0.5 * rng.normal(size=2000), y + 0.6 * rng.normal(size=2000)
    metric = Metric("regression", "rmse")
    blocks = np.arange(2000) % 10
    assert surely_better(metric, y, good, bad, blocks)
    assert not surely_better(metric, y, bad, good, blocks)
    assert not surely_better(metric, y, good, good, blocks)
    assert not surely_better(metric, y, good, bad, blocks % 2)
    for count in (3, 5, 10):
        lucky = [
            surely_better(
                metric, t, t + rng.normal(size=400), t + rng.normal(size=400), np.arange(400) % count
            )
            for t in rng.normal(size=(200, 400))
        ]
        assert np.mean(lucky) < 0.07


def test_groups_stay_in_one_block() -> None:
    """Rows of a group share what a model gets wrong: told apart at random, two equal models would differ surely."""
    rng = np.random.default_rng(0)
    pool = Part(np.zeros((1000, 1), np.float32), rng.normal(size=1000))
    groups = np.repeat(np.arange(20), 50)
    folds = resample(pool, 5, rng, classes=0, groups=groups)
    assert len(np.unique(folds.blocks)) == 5
    assert all(len(np.unique(folds.blocks[groups == one])) == 1 for one in range(20))
    later = resample(pool, 1, rng, classes=0, judges=300)
    assert (np.diff(later.blocks) >= 0).all()
    assert len(np.unique(later.blocks)) == 10


@pytest.mark.slow
def test_automl_tells_all_trees_of_sums_where_they_help(train_stage: Any) -> None:
    parts = {name: made("regression", 1500, seed) for seed, name in enumerate(("train", "valid", "test"))}
    settings = {"budget": 600, "learners": ["lightgbm", "xgboost", "linear"], "search": "random", "trials": 2}
    _, history, _ = train_stage(
        "regression", parts=parts, automl={**settings, "folds": 2}, rounds=40, features=FEATURES
    )
    board = {row["learner"]: row for row in history.json("history.json")["leaderboard"]}
    assert {"lightgbm, sums", "lightgbm (small leaves), sums", "xgboost, sums"} <= set(board)
    assert {"constant", "linear", "lightgbm"} <= set(board), "the floor is as it was"
    assert all(name.endswith(", sums") for name in board if "#" in name and "linear" not in name)
    assert sum(row["weight"] for name, row in board.items() if name.endswith(", sums")) > 0.9


@pytest.mark.slow
def test_automl_leaves_them_where_they_do_not(train_stage: Any) -> None:
    """Each column counts by itself."""
    rng = np.random.default_rng(0)
    parts = {}
    for name in ("train", "valid", "test"):
        X = rng.normal(size=(1200, len(FEATURES))).astype(np.float32)
        parts[name] = Part(X, np.abs(X).sum(axis=1) + 0.3 * rng.normal(size=1200))
    settings = {"budget": 600, "learners": ["lightgbm", "xgboost"], "search": "none", "folds": 2}
    _, history, _ = train_stage("regression", parts=parts, automl=settings, features=FEATURES)
    said = history.json("history.json")
    told = [row["learner"] for row in said["leaderboard"]]
    assert "xgboost" in told
    assert not any(name.endswith(", sums") for name in told)
    why = {row["learner"]: row["why"] for row in said["automl"]["skipped"]}
    assert why["lightgbm, sums"] == "it did not help in the first folds"
