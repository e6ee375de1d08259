"""Certified boosting: where rows may be moved, the worst leaf, values that are right for it, and what it gives."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from certified_support import EPS, CertifiedLightGBM, CertifiedXGBoost, random_tree, reach_in
from hypothesis import given, settings
from hypothesis import strategies as st
from learner_support import check_killed, check_monotone, check_time_left, fit
from pydantic import ValidationError
from stage_support import make_context, put_inputs

from bessemer.core import canonical
from bessemer.core.errors import ProjectError
from bessemer.core.signature import Field, Signature
from bessemer.package.trees.codec import decode, encode
from bessemer.testing.learners import check_learner, problem, rows
from bessemer.train.certified.engine import signs, worst, worst_margins
from bessemer.train.certified.leaves import Leaves, _loss, leaves_of
from bessemer.train.certified.reach import Reach, reach_of
from bessemer.train.check import check_columns
from bessemer.train.learner import Part
from bessemer.train.learners.lightgbm import LightGBM
from bessemer.train.learners.xgboost import XGBoost
from bessemer.train.spec import TrainSpec
from bessemer.train.stage import run

LEARNERS = pytest.mark.parametrize("learner", [CertifiedLightGBM, CertifiedXGBoost])


def spec(**said: Any) -> TrainSpec:
    return TrainSpec.model_validate_json(json.dumps(said))


@pytest.mark.parametrize(
    ("learner", "task"),
    [
        (CertifiedLightGBM, "binary"),
        pytest.param(CertifiedXGBoost, "multiclass", marks=pytest.mark.slow),
        pytest.param(CertifiedLightGBM, "multiclass", marks=pytest.mark.slow),
        pytest.param(CertifiedXGBoost, "binary", marks=pytest.mark.slow),
    ],
)
def test_it_conforms(learner: Any, task: Any, tmp_path: Path) -> None:
    check_learner(learner, task, tmp_path)


@pytest.mark.slow
@LEARNERS
def test_a_killed_fit_goes_on_to_the_same_bytes(learner: Any, tmp_path: Path) -> None:
    check_killed(f"certified_support:{learner.__name__}", "binary", tmp_path, {}, "*.npz")


def test_time_runs_out(tmp_path: Path) -> None:
    check_time_left(CertifiedLightGBM, tmp_path, checkpoint=10)


def test_rows_count_what_they_weigh(tmp_path: Path) -> None:
    """Rows that contradict each other stand in the middle whatever moves; numbers have no certificate."""
    rng = np.random.default_rng(0)
    X = np.repeat(rng.integers(0, 4, (200, 3)), 2, axis=0).astype(np.float32)
    part = Part(X, np.tile([0.0, 1.0], 200), np.tile([1.0, 3.0], 200))
    of = replace(problem("binary"), reach=reach_in(X, 1e-6))
    margin = fit(LightGBM, of, part, Part(X[:0], part.y[:0]), tmp_path, rounds=30).margin(X)[:, 0]
    assert abs(1 / (1 + np.exp(-margin.mean())) - 0.75) < 0.05


@pytest.mark.slow
@LEARNERS
def test_directions_are_kept(learner: Any, tmp_path: Path) -> None:
    check_monotone(learner, problem("binary"), tmp_path, {"learning_rate": 0.3}, rounds=40)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6))
def test_moved_rows_fall_where_it_is_said_and_nowhere_else(seed: int) -> None:
    """Every leaf that is said to be within reach is reached by some row of the box, and no other is; what may be left
    out is so at each branch anew, so more is said then."""
    rng = np.random.default_rng(seed)
    tree = random_tree(rng, branches=6, features=3)
    X = rng.normal(size=(5, 3)).astype(np.float32)
    X[rng.random(X.shape) < 0.2] = np.nan
    reach = replace(reach_in(rng.normal(size=(50, 3)).astype(np.float32), 0.5), gone=rng.random(3) < 0.3)
    found = leaves_of(tree, X, reach)
    said = np.split(found.leaf, found.first[1:])
    low, high = reach.ends(X)
    for row in range(len(X)):
        choices = [_values(tree, f, X[row, f], low[row, f], high[row, f], reach.gone[f]) for f in range(3)]
        moved = np.array(np.meshgrid(*choices)).reshape(3, -1).T.astype(np.float32)
        fallen = set(_fallen(tree, moved).tolist())
        assert fallen <= set(said[row].tolist())
        assert reach.gone.any() or fallen == set(said[row].tolist())


def _values(tree: Any, f: int, own: float, low: float, high: float, gone: bool) -> list[float]:
    """All values of a feature that a tree tells apart, within reach."""
    ends = [float(v) for t in tree.threshold[tree.feature == f] for v in (t, np.nextafter(t, np.float32(9)))]
    found = [v for v in (*ends, low, high) if low <= v <= high]
    return [*found, *([float("nan")] if gone or np.isnan(own) else [])]


def _fallen(tree: Any, X: np.ndarray) -> np.ndarray:
    from bessemer.package.trees.model import leaves_of as fallen

    return fallen(tree, X)


def test_the_worst_leaf_is_the_worst() -> None:
    leaves = Leaves(np.array([0, 2, 1, 0, 1, 2]), np.array([0, 2, 3]), 3)
    value = np.array([0.5, -1.0, 2.0])
    assert leaves.worst(value, np.ones(3)).tolist() == [0, 1, 1]
    assert leaves.worst(value, -np.ones(3)).tolist() == [2, 1, 2]


def test_leaf_values_are_near_the_best_there_are() -> None:
    """The loss of the worst leaf is convex: a patient search from many starts finds little more."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(3)
    X = rng.normal(size=(300, 2)).astype(np.float32)
    sign = np.where(X[:, 0] + rng.normal(size=300) * 0.3 > 0, 1.0, -1.0)
    tree = random_tree(rng, branches=5, features=2)
    leaves = leaves_of(tree, X, reach_in(X, 0.3))
    margin, weight = rng.normal(size=300) * 0.1, np.ones(300)

    def loss(value: np.ndarray) -> float:
        now = margin + value[leaves.worst(value, sign)]
        return float(weight @ np.logaddexp(0, -sign * now)) + 0.5 * float(value @ value)

    own = leaves.fitted(margin, sign, weight, 1.0)
    best = min(
        minimize(loss, start, method="Nelder-Mead", options={"maxiter": 4000, "fatol": 1e-6}).fun
        for start in (own, np.zeros(6), rng.normal(size=6))
    )
    assert best <= loss(own) <= best + 0.02 * (loss(np.zeros(6)) - best)


def test_a_leaf_that_all_rows_may_leave_says_nothing() -> None:
    """Whoever may choose between two leaves makes them one."""
    leaves = Leaves(np.tile([0, 1], 40), np.arange(40) * 2, 2)
    sign = np.repeat([1.0, -1.0], 20)
    value = leaves.fitted(np.zeros(40), sign, np.ones(40), 1.0)
    assert np.abs(value).max() < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_no_move_is_worse_than_the_worst(task: Any, tmp_path: Path) -> None:
    part, valid = rows(task), rows(task, seed=1)
    of = replace(problem(task), reach=reach_in(part.X))
    fitted = fit(LightGBM, of, part, valid, tmp_path, rounds=25)
    assert of.reach is not None
    least = worst_margins(fitted.trees, of, valid, of.reach)
    sign, rng = signs(of, valid.y), np.random.default_rng(0)
    low, high = of.reach.ends(valid.X)
    for _ in range(20):
        moved = np.where(rng.random(low.shape) < 0.5, low, high)
        assert (sign * (fitted.margin(moved) - least)).min() > -1e-6


@pytest.mark.slow
def test_what_stands_is_more_than_without(tmp_path: Path) -> None:
    part, valid, test = (rows("binary", 800, seed) for seed in range(3))
    reach = reach_in(part.X)
    of = replace(problem("binary"), reach=reach)
    found = {}
    for name, one in (("plain", problem("binary")), ("certified", of)):
        fitted = fit(LightGBM, one, part, valid, tmp_path / name, rounds=150)
        right = test.y > 0
        surely = (worst_margins(fitted.trees, of, test, reach)[:, 0] > 0) == right
        clean = (fitted.margin(test.X)[:, 0] > 0) == right
        found[name] = (float(clean.mean()), float(surely.mean()))
    assert found["certified"][1] > found["plain"][1] + 0.1
    assert found["certified"][0] > found["plain"][0] - 0.03


def test_the_curve_is_of_the_worst_margins(tmp_path: Path) -> None:
    part, valid = rows("binary"), rows("binary", seed=1)
    of = replace(problem("binary", "accuracy"), reach=reach_in(part.X))
    fitted = fit(LightGBM, of, part, valid, tmp_path, rounds=12, early_stopping=0)
    assert of.reach is not None
    surely = (worst_margins(fitted.trees, of, valid, of.reach)[:, 0] > 0) == (valid.y > 0)
    curve = dict(fitted.curves["valid_accuracy"])
    assert curve[fitted.iterations] == pytest.approx(surely.mean())


def raw_inputs(tmp_path: Path, other: Mapping[int, str] | None = None) -> tuple[Any, Any, np.ndarray]:
    """Splits and a preprocessor over a number, a whole number, a category of two indicators, a moment and what is
    computed from several columns."""
    rng = np.random.default_rng(0)
    number, whole = rng.normal(size=200) * 10, rng.integers(0, 9, 200)
    level = rng.integers(0, 2, 200)
    X = np.column_stack([number, whole, level, 1 - level, rng.normal(size=200), number * whole])
    names = ["number", "whole", "level", "level", "moment", "both"]
    kinds = ["number", "number", "indicator", "indicator", "number", "number"]
    kinds = [(other or {}).get(i, kind) for i, kind in enumerate(kinds)]
    table = pa.table({"number": number, "whole": whole, "level": ["ab"[i] for i in level]})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    fields = (
        Field("number", "number", "float32"),
        Field("whole", "integer", "float32"),
        Field("level", "string", "string"),
        Field("moment", "datetime", "float32"),
    )
    features = [
        {"name": str(i), "group": g, "kind": k} for i, (g, k) in enumerate(zip(names, kinds, strict=True))
    ]
    ctx = make_context(tmp_path)
    store = ctx.store
    splits = store.put("splits", {"train.parquet": buffer.getvalue()}, {})
    signature = Signature(fields, (), "binary", "y")
    made = {
        "features.json": canonical.dump_bytes(features),
        "signature.json": canonical.dump_bytes(signature.to_json()),
    }
    return ctx.open(splits), ctx.open(store.put("preprocessor", made, {})), X.astype(np.float32)


def reached(tmp_path: Path, kinds: Mapping[int, str] | None = None, **said: Any) -> Reach:
    """kinds: of some features, by number, others than they have in `raw_inputs`."""
    splits, preprocessor, X = raw_inputs(tmp_path, kinds)
    return reach_of(said, splits, preprocessor, X)


def test_a_budget_is_of_raw_columns(tmp_path: Path) -> None:
    splits, preprocessor, X = raw_inputs(tmp_path)
    reach = reach_of({"eps": 0.5}, splits, preprocessor, X)
    assert reach.down[0] == reach.up[0] == pytest.approx(0.5 * X[:, 0].std(), rel=1e-5)
    assert reach.up[1] == np.floor(0.5 * X[:, 1].std())  # whole steps
    assert reach.up[2:5].tolist() == [0, 0, 0]  # another level costs 1; moments stay
    assert reach.up[5] == pytest.approx(0.5 * X[:, 5].std(), rel=1e-5)
    assert (reach.low[0], reach.high[0]) == (X[:, 0].min(), X[:, 0].max())


def test_constraints_are_those_of_the_attack(tmp_path: Path) -> None:
    limits = {
        "number": {"increase_only": True, "cost": 2.0, "max": 7.0, "missing": True},
        "whole": {"immutable": True},
        "level": {"cost": 0.5},
    }
    X = raw_inputs(tmp_path)[2]
    reach = reached(tmp_path, eps=0.5, constraints=limits)
    assert reach.down[0] == 0
    assert reach.up[0] == pytest.approx(0.25 * X[:, 0].std(), rel=1e-5)
    assert reach.high[0] == 7.0
    assert not reach.gone[0]  # to leave it out costs 2
    assert reached(tmp_path, eps=2.0, constraints=limits).gone[0]
    assert reach.up[1] == 0
    assert np.isinf(reach.up[2:4]).all()
    low, high = reach.ends(np.array([[6.9, 3, 1, 0, 0, 0]], dtype=np.float32))
    assert low[0, :4].tolist() == pytest.approx([6.9, 3, 0, 0])
    assert high[0, :4].tolist() == [7, 3, 1, 1]


def test_a_number_taken_as_a_category_becomes_anything_where_it_moves_at_all(tmp_path: Path) -> None:
    far, spread = {1: "indicator"}, raw_inputs(tmp_path)[2][:, 1].astype(np.float64).std()
    half, whole = (reached(tmp_path, far, eps=step / spread) for step in (0.99, 1.0))
    assert (half.down[1], half.up[1], half.loose[1]) == (0, 0, False)  # no whole step
    assert (whole.down[1], whole.up[1], whole.loose[1]) == (np.inf, np.inf, True)
    fixed = reached(tmp_path, far, eps=9, constraints={"whole": "immutable"})
    assert (fixed.up[1], fixed.loose[1]) == (0, False)


def test_what_is_computed_from_what_moves_may_become_anything(tmp_path: Path) -> None:
    X = np.zeros((1, 6), dtype=np.float32)
    reach = reached(tmp_path, eps=0.5)
    assert reach.loose.tolist() == [False] * 5 + [True]
    low, high = reach.sure().ends(X)
    assert (low[0, 5], high[0, 5], reach.sure().gone[5]) == (-np.inf, np.inf, True)
    assert (low[0, :5] == reach.ends(X)[0][0, :5]).all()
    fixed = dict.fromkeys(("number", "whole", "level", "moment"), "immutable")
    assert not reached(tmp_path, eps=0.5, constraints=fixed).loose.any()


def test_a_column_moves_as_levels_where_all_its_features_are_of_levels(tmp_path: Path) -> None:
    assert np.isinf(reached(tmp_path, eps=1).up[2:4]).all()
    assert reached(tmp_path, {3: "text"}, eps=1).up[2:4].tolist() == [0, 0]
    assert reached(tmp_path, {2: "rank"}, eps=1).loose.tolist() == [False, False, True, False, False, True]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6))
def test_no_raw_number_within_the_budget_is_beyond_the_ends(seed: int) -> None:
    """Also where it is far from 0 and comes near, and not a float32 itself."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=40) * 10.0 ** rng.integers(-3, 9, 40)
    far = np.where(rng.random(40) < 0.5, np.abs(raw), rng.random(40) * 10.0 ** rng.integers(-3, 9, 40))
    X = raw.astype(np.float32)[None]
    reach = replace(reach_in(np.zeros((1, 40), dtype=np.float32)), down=far, up=far)
    reach = replace(reach, low=np.full(40, -np.inf, np.float32), high=np.full(40, np.inf, np.float32))
    low, high = reach.ends(X)
    assert (low[0] <= (raw - far).astype(np.float32)).all()
    assert (high[0] >= (raw + far).astype(np.float32)).all()


def test_whole_numbers_and_what_stays_are_not_rounded() -> None:
    reach = replace(
        reach_in(np.array([[0, 0, 0], [9, 9, 9]], dtype=np.float32)), whole=np.ones(3, dtype=bool)
    )
    reach = replace(reach, down=np.array([0.0, 2.0, 2.0]), up=np.array([0.0, 2.0, 2.0]))
    low, high = reach.ends(np.array([[0.1, 4, 8]], dtype=np.float32))
    assert low[0].tolist() == [np.float32(0.1), 2, 6]
    assert high[0].tolist() == [np.float32(0.1), 6, 9]


def test_what_is_missing_stays_unless_it_may_be_filled_in() -> None:
    reach = replace(reach_in(np.eye(4, dtype=np.float32), 0.1), gone=np.array([True, False, False, False]))
    low, high = reach.ends(np.full((1, 4), np.nan, dtype=np.float32))
    assert (low[0, 0], high[0, 0]) == (0, 1)
    assert np.isnan(low[0, 1:]).all()
    assert np.isnan(high[0, 1:]).all()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"learner": "catboost", "robust": "certified"}, "has no robust training"),
        ({"learner": "lightgbm", "robust": "pgd"}, "lightgbm knows certified, not pgd"),
        ({"learner": "lightgbm", "robust": "certfied"}, "did you mean 'certified'"),
        ({"learner": "lightgbm", "robust": {"certified": {"eps": 0}}}, "greater than 0"),
        ({"learner": "lightgbm", "robust": {"certified": {"epsilon": 1}}}, "it has eps, constraints"),
        ({"learner": "network", "robust": "certified"}, "network knows pgd, trades, noise"),
    ],
)
def test_what_cannot_be_is_said(said: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        spec(**said)


def test_constraints_on_columns_that_are_not_there_are_said_at_once() -> None:
    limits = {"agee": "immutable", "plan": {"min": 1}}
    one = spec(learner="lightgbm", robust={"certified": {"constraints": limits}})
    faults = check_columns(one, {"age": "BIGINT", "plan": "VARCHAR"}, {"target": "y"})
    assert [fault.path for fault in faults] == [
        f"train.robust.certified.constraints.{name}" for name in ("agee", "plan")
    ]


def test_numbers_have_no_certificate(tmp_path: Path) -> None:
    parts = {name: rows("regression", 100, seed) for seed, name in enumerate(("train", "valid", "test"))}
    ctx = make_context(tmp_path)
    with pytest.raises(ProjectError, match="certified training is for classes"):
        run(spec(learner="lightgbm", robust="certified"), put_inputs(ctx.store, "regression", parts, []), ctx)


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["lightgbm", "xgboost"])
def test_the_price_is_told_and_stands_beside_the_model(learner: str, tmp_path: Path) -> None:
    parts = {"train": rows("binary", 400), "valid": rows("binary", 200, seed=1)}
    emitted: list[tuple[str, Any]] = []
    ctx = make_context(tmp_path, emitted)
    inputs = put_inputs(ctx.store, "binary", parts, ["no", "yes"])
    one = spec(learner=learner, rounds=30, robust={"certified": {"eps": EPS}})
    refs = run(one, inputs, ctx)
    board = {row["learner"]: row for row in ctx.open(refs["history"]).json("history.json")["leaderboard"]}
    assert board[learner]["chosen"]
    assert board[learner]["params"]["robust"]["certified"]["eps"] == EPS
    assert "robust" not in board[f"{learner} plain"]["params"]
    (note,) = [str(data) for _, data in emitted if "robust training:" in str(data)]
    assert "of the validation rows, which also chose the round" in note
    assert "surely stand, whatever is moved by 0.2, held apart at a probability of one half" in note
    model = ctx.open(refs["model"]).json("model.json")
    assert model["params"]["robust"]["certified"]["eps"] == EPS


def test_rows_that_were_learnt_from_say_nothing_of_what_stands(tmp_path: Path) -> None:
    emitted: list[tuple[str, Any]] = []
    ctx = make_context(tmp_path, emitted)
    part = rows("binary", 200)
    parts = {"train": part, "valid": Part(part.X[:0], part.y[:0])}
    inputs = put_inputs(ctx.store, "binary", parts, ["no", "yes"])
    run(spec(learner="lightgbm", rounds=5, robust="certified"), inputs, ctx)
    (note,) = [str(data) for _, data in emitted if "robust training:" in str(data)]
    assert "surely stand" not in note


@pytest.mark.slow
@LEARNERS
def test_the_same_rows_twice_give_the_same_bytes(
    learner: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads change nothing, where there are any."""
    asked: list[str] = []
    for library in ("lightgbm", "xgboost"):
        monkeypatch.setattr(
            f"bessemer.train.certified.{library}.worth_threads", lambda X: bool(asked.append("")) or True
        )
    part, valid = rows("binary", 1500), rows("binary", 200, seed=1)
    one, two = (
        fit(learner, problem("binary"), part, valid, tmp_path / str(n), rounds=12, threads=n) for n in (1, 2)
    )
    assert len(asked) == 2
    assert one.native() == two.native()
    assert (one.margin(valid.X) == two.margin(valid.X)).all()


def test_threads_of_blas_change_no_leaf() -> None:
    """The loss says which values are kept; a product of BLAS has other last digits with other threads."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    rng = np.random.default_rng(0)
    margin, weight, sign = rng.normal(size=50_000), rng.random(50_000), rng.choice([-1.0, 1.0], 50_000)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(_loss(margin, sign, weight))
    assert found[0] == found[1]


def test_what_ships_is_what_was_judged_to_the_bit(tmp_path: Path) -> None:
    """Checkpoints and packages hold leaves as float32: the trees that calibration saw have no others."""
    part, valid = rows("binary", 200), rows("binary", 100, seed=1)
    fitted = fit(CertifiedLightGBM, problem("binary"), part, valid, tmp_path, rounds=12)
    shipped = decode(encode(fitted.trees))
    assert (shipped.margin(valid.X) == fitted.trees.margin(valid.X)).all()


def test_a_tree_without_branches_counts(tmp_path: Path) -> None:
    """XGBoost has some, where no split helps; without a move the worst margin is the margin."""
    part, valid = rows("multiclass", 200), rows("multiclass", 100, seed=1)
    of = problem("multiclass")
    fitted = fit(XGBoost, of, part, valid, tmp_path, rounds=20, params={"gamma": 10.0}, early_stopping=0)
    constant = [tree for tree in fitted.trees.trees if not tree.branches]
    assert any(tree.value[0, 0] for tree in constant)
    stays = np.zeros(part.X.shape[1])
    reach = replace(reach_in(part.X), down=stays, up=stays)
    assert worst_margins(fitted.trees, of, valid, reach) == pytest.approx(fitted.margin(valid.X), abs=1e-9)


def test_one_tree_is_worst_for_its_own_output_only() -> None:
    rng = np.random.default_rng(1)
    tree = replace(random_tree(rng, branches=3, features=2), target=1)
    X = rng.normal(size=(6, 2)).astype(np.float32)
    sign = np.where(np.arange(3) == rng.integers(0, 3, 6)[:, None], 1.0, -1.0)
    found = worst(tree, X, sign, reach_in(X))
    assert (found[:, [0, 2]] == 0).all()
    assert (found[:, 1] != 0).all()
