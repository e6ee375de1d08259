"""The explainable boosting machine: interpret's own scores, what a curve and a surface become, weights, kills."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from learner_support import check_killed, check_monotone, check_weights, fit, summary, table

from bessemer.package.trees.codec import decode
from bessemer.stats.calibration import softmax
from bessemer.testing.learners import callbacks, check_learner, problem, rows, run_head
from bessemer.train.learner import Part
from bessemer.train.learners.ebm import EBM
from bessemer.train.params import Param, resolved

pytest.importorskip("interpret")
TASKS = pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
INTERPRETS_WARNINGS = pytest.mark.filterwarnings(
    "ignore:All-NaN slice:RuntimeWarning", "ignore:Missing values:UserWarning"
)
#: Two small bags; what is tested does not depend on how well they learn.
QUICK = {"outer_bags": 2, "max_rounds": 40, "learning_rate": 0.1, "max_bins": 64}


class Quick(EBM):
    """The same learner, in a hurry."""

    PARAMS: ClassVar[dict[str, Param]] = {
        **EBM.PARAMS,
        **{name: Param(value, type(value), "quick") for name, value in QUICK.items()},
    }


@pytest.mark.slow
@TASKS
def test_it_conforms(task: Any, tmp_path: Path) -> None:
    check_learner(Quick, task, tmp_path)


@pytest.mark.slow
@INTERPRETS_WARNINGS
@TASKS
def test_margins_are_the_mean_of_interprets_own(task: Any, tmp_path: Path) -> None:
    """Also for missing values, for values nobody has seen, and for those exactly on a cut."""
    from bessemer.train.learners.ebm_bags import Interpret, _chosen

    train, test = rows(task), rows(task, 200, seed=2)
    of, place = problem(task), callbacks(tmp_path)
    params = _chosen(of, train.X.shape[1], resolved(EBM.PARAMS, QUICK))
    learner = Interpret(of, train, params, place)
    first = learner.fitted(0, None, 40)
    pairs = [features for features in first.term_features_ if len(features) > 1]
    models = [first, learner.fitted(1, pairs, 40)]
    X = test.X.copy()
    cuts = models[0].bins_[0][0]
    X[: len(cuts), 0] = cuts
    X[100] = np.nan
    X[101], X[102] = -1e30, 1e30

    def own(model: Any) -> np.ndarray:
        score = model.predict(X) if task == "regression" else model.decision_function(X)
        return np.asarray(score, dtype=np.float64).reshape(len(X), -1)

    fitted = fit(EBM, of, train, Part(X[:0], X[:0, 0]), tmp_path, QUICK)
    mean = np.mean([own(model) for model in models], axis=0)
    margin = fitted.margin(X)
    if task == "multiclass":
        mean, margin = softmax(mean), softmax(margin)
    else:
        assert len(pairs) == 21
    np.testing.assert_allclose(margin, mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(fitted.trees.margin(X), fitted.margin(X), rtol=1e-9, atol=1e-9)
    assert fitted.iterations == 2


def test_a_curve_is_its_own_explanation(tmp_path: Path) -> None:
    """Without pairs a contribution is the curve minus its mean over the training rows."""
    train = rows("binary")
    fitted = fit(EBM, problem("binary"), train, train, tmp_path, {**QUICK, "interactions": 0})
    each = fitted.contributions(train.X)[:, 0]
    np.testing.assert_allclose(each[:, :-1].mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(each[:, -1], fitted.margin(train.X).mean(), atol=1e-4)
    moved = train.X.copy()
    moved[:, 0] = rows("binary", seed=5).X[:, 0]
    np.testing.assert_allclose(fitted.contributions(moved)[:, 0, 1:], each[:, 1:], atol=1e-5)


def test_infinity_and_the_largest_numbers_go_where_the_graph_sends_them(tmp_path: Path) -> None:
    train = rows("regression")
    fitted = fit(EBM, problem("regression"), train, train, tmp_path, QUICK)
    X = np.tile(train.X[:1], (6, 1))
    X[:, 5] = [np.inf, 3.4e38, -3.4e38, -np.inf, np.nan, 0]
    margin = fitted.margin(X)
    np.testing.assert_allclose(run_head(fitted.to_onnx(), X), margin, rtol=1e-6)
    np.testing.assert_allclose(decode(fitted.native().content).margin(X), margin, rtol=1e-6)
    assert margin[0] == margin[1] != margin[4]


def test_a_class_without_rows_is_possible_but_rare(tmp_path: Path) -> None:
    train = rows("multiclass")
    for present in ([0, 2, 3], [1, 3], [2]):
        part = train.take(np.isin(train.y, present))
        fitted = fit(EBM, problem("multiclass"), part, part, tmp_path / str(present), QUICK)
        share = softmax(fitted.margin(train.X))
        absent = [k for k in range(4) if k not in present]
        assert (share[:, absent] < 0.05).all()
        if len(present) > 1:
            found = share.argmax(axis=1)[np.isin(train.y, present)]
            assert np.mean(found == part.y) > 1.3 / len(present)


@pytest.mark.slow
def test_it_learns_real_tables(tmp_path: Path) -> None:
    """About as well as boosted trees of any depth on the same rows."""
    from sklearn.metrics import roc_auc_score

    from bessemer.train.learners.lightgbm import LightGBM

    params = {"outer_bags": 2, "learning_rate": 0.1, "interactions": 10}
    train, valid, test = thirds("adult", "income")
    own, trees = (
        fit(learner, problem("binary"), train, valid, tmp_path / learner.NAME, given, rounds=200)
        for learner, given in ((EBM, params), (LightGBM, {}))
    )
    auc = [roc_auc_score(test.y, fitted.margin(test.X)[:, 0]) for fitted in (own, trees)]
    assert auc[0] > auc[1] - 0.01
    train, valid, test = thirds("california", "median_house_value")
    own, trees = (
        fit(learner, problem("regression"), train, valid, tmp_path / f"{learner.NAME} 2", given, rounds=200)
        for learner, given in ((EBM, params), (LightGBM, {}))
    )
    assert np.std(own.margin(test.X)[:, 0] - test.y) < 1.1 * np.std(trees.margin(test.X)[:, 0] - test.y)


def thirds(name: str, target: str) -> list[Part]:
    """Rows to learn from, to stop by, and to judge by."""
    of = table(name, target, rows=5500)
    return [of.take(np.arange(*part)) for part in ((0, 2500), (2500, 3000), (3000, 5500))]


@pytest.mark.parametrize("count", [1, 2, 5])
@TASKS
def test_few_rows(task: Any, count: int, tmp_path: Path) -> None:
    part = rows(task).take(np.arange(count))
    for valid in (part, part.take(np.arange(0))):
        fitted = fit(EBM, problem(task), part, valid, tmp_path / str(len(valid)), QUICK)
        X = rows(task, 20).X
        np.testing.assert_allclose(run_head(fitted.to_onnx(), X), fitted.margin(X), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_a_wide_table_ends_in_time_too(tmp_path: Path) -> None:
    """Its pairs alone would take longer to rank than there is time. How much it learns is the machine's to say.

    Counted in CPU time, of which the whole fit takes 13 seconds: others on the machine decide nothing.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 200)).astype(np.float32)
    part = Part(X, (X[:, :5].sum(axis=1) > 0).astype(np.float64))
    end = time.process_time() + 1
    fitted = fit(EBM, problem("binary"), part, part, tmp_path, time_left=lambda: end - time.process_time())
    assert time.process_time() < end + 5
    assert np.isfinite(fitted.margin(X)).all()


def test_weights_count(tmp_path: Path) -> None:
    check_weights(EBM, tmp_path, QUICK)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_monotone_constraints_are_kept(task: Any, tmp_path: Path) -> None:
    check_monotone(EBM, problem(task), tmp_path, QUICK)


def test_it_ends_in_time(tmp_path: Path) -> None:
    """Without time one short bag; after it no bag that there is no time for."""
    train, valid = rows("binary"), rows("binary", seed=1)
    none = fit(EBM, problem("binary"), train, valid, tmp_path / "none", time_left=lambda: 0.0)
    assert none.iterations == 1
    margin = none.margin(valid.X)
    assert np.isfinite(margin).all()
    assert 0 < np.ptp(margin) < 1
    left = iter([1e6] * 300)
    some = fit(
        EBM, problem("binary"), train, valid, tmp_path / "some", QUICK, time_left=lambda: next(left, 0.0)
    )
    assert 1 <= some.iterations <= 2


def test_interpret_stops_when_the_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a bag; its flags are interpret's own again afterwards."""
    import interpret.glassbox._ebm._ebm as engine

    from bessemer.train.learners.ebm_stop import Stop

    before = engine.SharedMemoryManager
    train, left = rows("binary", 4000), iter([1e6] * 500)
    endless = {"outer_bags": 2, "learning_rate": 1e-5, "interactions": 0}
    answers: list[bool] = []
    asked = Stop._asked
    monkeypatch.setattr(Stop, "_asked", lambda *given: answers.append(asked(*given)) or answers[-1])
    fitted = fit(EBM, problem("binary"), train, train, tmp_path, endless, time_left=lambda: next(left, 0.0))
    assert len(answers) > 100
    assert answers.index(True) == len(answers) - 1, "it went on when it was told to end"
    assert fitted.iterations == 1
    assert np.isfinite(fitted.margin(train.X)).all()
    assert engine.SharedMemoryManager is before


@INTERPRETS_WARNINGS
def test_a_bag_that_was_cut_short_does_not_count(tmp_path: Path) -> None:
    from bessemer.train.learners.ebm_bags import Interpret, _chosen

    of, train = problem("binary"), rows("binary", 200)
    params = _chosen(of, train.X.shape[1], resolved(EBM.PARAMS, QUICK))
    learner = Interpret(of, train, params, callbacks(tmp_path))
    assert learner.bag(1, []) is not None
    learner.stop.stopped = True
    assert learner.bag(1, []) is None
    assert learner.bag(0, []) is not None


def test_more_bags_than_are_needed_are_not_made(tmp_path: Path) -> None:
    train = rows("binary", 200)
    params = {**QUICK, "outer_bags": 30, "max_rounds": 3}
    fitted = fit(EBM, problem("binary"), train, rows("binary", 100, 1), tmp_path, params, early_stopping=2)
    values = [value for _, value in fitted.curves["valid_log_loss"]]
    assert int(np.argmin(values)) == len(values) - 3 < 29


def test_the_model_does_not_depend_on_the_threads(tmp_path: Path) -> None:
    part = rows("regression")
    found = {
        summary(fit(EBM, problem("regression"), part, part, tmp_path / str(n), QUICK, threads=n))
        for n in (1, 2)
    }
    assert len(found) == 1


@pytest.mark.slow
def test_a_killed_fit_gives_the_same_model(tmp_path: Path) -> None:
    params = {**QUICK, "outer_bags": 40, "max_rounds": 5}
    check_killed("bessemer.train.learners.ebm:EBM", "binary", tmp_path, params, "ebm.npz")
