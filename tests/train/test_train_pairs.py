"""Pairs of categories: found where two columns say together what neither says alone, and one graph all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessemer.core.errors import FormatError
from bessemer.package.natives import open_native
from bessemer.package.pairs import decode_paired, encode_paired
from bessemer.testing.learners import callbacks, check_contributions, check_twin, problem
from bessemer.train.automl.pairs import categories, fit_pairs, with_features
from bessemer.train.learner import Part
from bessemer.train.learners.lightgbm import LightGBM
from bessemer.train.native_model import restored
from bessemer.train.paired import PairedModel
from bessemer.train.params import resolved

#: A number, a column of three levels as indicators, one of 40 levels by rank, one that says nothing.
FEATURES = [
    {"name": "x", "group": "x", "kind": "number"},
    *({"name": f"few = {i}", "group": "few", "kind": "indicator"} for i in range(3)),
    {"name": "many: frequency", "group": "many", "kind": "frequency"},
    {"name": "many: rank", "group": "many", "kind": "rank"},
    *({"name": f"noise = {i}", "group": "noise", "kind": "indicator"} for i in range(4)),
]
LEVELS = {"few": 3, "many": 40, "noise": 4}


def made(task: str, n: int = 4000, seed: int = 0) -> Part:
    """The target turns on whether `few` and `many` agree: neither alone says a thing."""
    rng = np.random.default_rng(seed)
    few, many, noise = (rng.integers(0, levels, n) for levels in LEVELS.values())
    number = rng.normal(size=n)
    number[rng.random(n) < 0.1] = np.nan
    signal = 3.0 * ((few + many) % 3 == 0) - 1.0
    X = np.column_stack([number, np.eye(3)[few], np.full(n, 1 / 40), many, np.eye(4)[noise]])
    X[rng.random(n) < 0.02, 1:4] = 0  # unseen levels
    if task == "regression":
        return Part(X.astype(np.float32), signal + 0.1 * rng.normal(size=n))
    classes = 2 if task == "binary" else 4
    edges = np.linspace(-1.5, 2.5, classes + 1)[1:-1]
    return Part(X.astype(np.float32), np.searchsorted(edges, signal + rng.normal(size=n)).astype(np.float64))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_model_of_pairs_keeps_the_laws_of_a_model(task: Any, tmp_path: Path) -> None:
    part, valid, test = made(task), made(task, seed=1), made(task, seed=2)
    found = fit_pairs(problem(task), part, categories(FEATURES, part.X), np.random.default_rng(0))
    assert found is not None
    encoder, told = found
    assert told.shape == (len(part), len(FEATURES) + encoder.features)
    assert encoder.owners[0].tolist() == [1, 5], "the pair that matters comes first"
    learner = LightGBM()
    inner = learner.fit(
        problem(task),
        Part(told, part.y),
        Part(encoder.added(valid.X), valid.y),
        resolved(LightGBM.PARAMS, {}),
        callbacks(tmp_path / "pairs", rounds=60),
    )
    model = PairedModel(encoder, inner)
    check_twin(model, test.X)
    check_contributions(model, test.X)
    native = model.native()
    again = restored(native, model.params, model.iterations, {})
    np.testing.assert_allclose(again.margin(test.X), model.margin(test.X), atol=1e-6)
    opened = open_native(native.kind, native.content, 1)
    base, each = opened.contributions(test.X[:40])
    np.testing.assert_allclose(base + each.sum(axis=1), model.margin(test.X[:40]), atol=1e-5)
    plain = learner.fit(
        problem(task),
        part,
        valid,
        resolved(LightGBM.PARAMS, {"num_leaves": 4}),
        callbacks(tmp_path / "p", rounds=60),
    )
    judge = problem(task).metric
    from bessemer.train.metrics import output_of

    value, without = (judge(test.y, output_of(task, m.margin(test.X))) for m in (model, plain))
    assert value < without


def test_a_row_s_own_target_is_not_in_its_feature() -> None:
    part = made("regression", 600)
    found = categories(FEATURES, part.X)
    one = fit_pairs(problem("regression"), part, found, np.random.default_rng(0))
    changed = part.y.copy()
    changed[17] += 1e6
    other = fit_pairs(problem("regression"), Part(part.X, changed), found, np.random.default_rng(0))
    assert one is not None
    assert other is not None
    first, second = (
        dict(zip(map(tuple, e.owners.tolist()), t[17, 10:], strict=True)) for e, t in (one, other)
    )
    shared = set(first) & set(second)
    assert shared
    for pair in shared:
        assert first[pair] == pytest.approx(second[pair], rel=1e-4)


def test_no_pairs_where_there_are_none() -> None:
    part = made("binary", 300)
    numbers = [{**f, "kind": "number"} for f in FEATURES]
    assert categories(numbers, part.X) == ()
    assert (
        fit_pairs(problem("binary"), part, categories(FEATURES[:4], part.X), np.random.default_rng(0)) is None
    )


def test_somebody_else_s_indicators_of_several_levels_are_no_category() -> None:
    part = made("binary", 50)
    X = part.X.copy()
    X[:, 1:4] = 1
    assert len(categories(FEATURES, X)) == 2


def test_constraints_do_not_hold_the_pairs() -> None:
    from dataclasses import replace

    constrained = replace(problem("regression"), monotone=(1, 0))
    assert with_features(constrained, 2).monotone == (1, 0, 0, 0)
    assert with_features(problem("regression"), 2).monotone is None


def test_what_is_not_a_model_of_pairs_is_refused() -> None:
    part = made("binary", 300)
    found = fit_pairs(problem("binary"), part, categories(FEATURES, part.X), np.random.default_rng(0))
    assert found is not None
    for content in (b"", b"{}\n", b"[1]\nx", encode_paired(found[0], "ensemble", b"")):
        with pytest.raises(FormatError):
            decode_paired(content)


@pytest.mark.slow
def test_automl_tries_pairs_and_keeps_them_where_they_help(train_stage: Any) -> None:
    parts = {name: made("regression", 1500, seed) for seed, name in enumerate(("train", "valid", "test"))}
    settings = {"budget": 600, "learners": ["lightgbm"], "search": "none", "folds": 2}
    _, history, _ = train_stage("regression", parts=parts, automl=settings, rounds=40, features=FEATURES)
    board = {row["learner"]: row for row in history.json("history.json")["leaderboard"]}
    paired = [name for name in board if name.endswith(", pairs")]
    assert paired
    assert sum(board[name]["weight"] for name in paired) > 0
