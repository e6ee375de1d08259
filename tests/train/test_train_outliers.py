"""Outlier methods: exact twins of what they are made of, honest ranks, and a model that is the same without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.ensemble import IsolationForest as Forest
from sklearn.metrics import roc_auc_score
from stage_support import make_context

from bessemer.core.errors import DataError, PackageError
from bessemer.core.signature import Field, Signature
from bessemer.monitor.watchers.outliers import OutliersSettings
from bessemer.package.session import GraphSession
from bessemer.package.trees.model import Trees
from bessemer.prepare.spec import PrepareSpec
from bessemer.prepare.stage import run as prepare
from bessemer.report.spec import ReportSpec
from bessemer.report.whatif import model_facts
from bessemer.testing.learners import rows
from bessemer.train.learner import Part
from bessemer.train.outliers import fit as fit_module
from bessemer.train.outliers.ecod import Ecod, EcodSettings
from bessemer.train.outliers.isolation_forest import ForestSettings, IsolationForest
from bessemer.train.outliers.method import Judge
from bessemer.train.outliers.plugins import OUTLIERS
from bessemer.train.outliers.rank import KNOTS, ranking
from bessemer.train.outliers.steps import steps
from bessemer.train.parity import run_graph
from bessemer.train.spec import TrainSpec
from bessemer.train.stage import run as train


def mixed(n: int, seed: int, gaps: float = 0.1) -> np.ndarray:
    """Features of several kinds, some missing: normal, skewed, whole, an indicator, a constant, one always missing."""
    rng = np.random.default_rng(seed)
    X = np.stack(
        [
            rng.normal(size=n),
            rng.lognormal(size=n),
            rng.integers(0, 5, n),
            rng.random(n) < 0.03,
            np.ones(n),
            np.full(n, np.nan),
        ],
        axis=1,
    ).astype(np.float32)
    X[:, :3][rng.random((n, 3)) < gaps] = np.nan
    return X


def scores(judge: Judge, X: np.ndarray) -> np.ndarray:
    return run_graph(judge.graph, {"features": X}, ["score"])[0][:, 0]


@pytest.mark.parametrize("gaps", [0.0, 0.2])
@pytest.mark.parametrize(("trees", "samples"), [(100, 256), (30, 16), (1, 2), (7, 5000)])
def test_the_isolation_forest_is_scikit_learns_on_every_row(trees: int, samples: int, gaps: float) -> None:
    X = mixed(2000, 1, gaps)
    judge = IsolationForest(ForestSettings(trees=trees, samples=samples)).fit(X, seed=5)
    theirs = Forest(n_estimators=trees, max_samples=min(samples, 2000), random_state=5).fit(X)
    asked = np.concatenate([X, mixed(3000, 2, 0.4) * np.float32(3), np.full((1, 6), np.nan, np.float32)])
    np.testing.assert_allclose(2.0 ** scores(judge, asked), -theirs.score_samples(asked), rtol=0, atol=1e-6)


def test_the_score_is_that_of_the_paper_at_its_ends() -> None:
    """A forest that cannot cut anything parts no row: its score is a half, of -1 as a logarithm to the base 2."""
    judge = IsolationForest(ForestSettings()).fit(np.ones((500, 2), dtype=np.float32), seed=0)
    np.testing.assert_array_equal(scores(judge, np.zeros((3, 2), dtype=np.float32)), np.float32([-1, -1, -1]))


def ecod_by_hand(X: np.ndarray, row: np.ndarray) -> float:
    """The paper's algorithm 1 for one row, by counting; the row counts as one of the training rows."""
    sums = np.zeros(3)
    for x, value in zip(X.T, row, strict=True):
        there = x[~np.isnan(x)]
        if np.isnan(value):
            sums -= np.log((len(x) - len(there) + 1) / (len(x) + 1))
            continue
        left = -np.log(((there <= value).sum() + 1) / (len(there) + 1))
        right = -np.log(((there >= value).sum() + 1) / (len(there) + 1))
        skewness = ((there - there.mean(dtype=float)) ** 3).sum()
        sums += (left, right, left if skewness < 0 else right)
    return float(sums.max())


def test_ecod_is_the_paper_where_every_value_has_a_step_of_its_own() -> None:
    rng = np.random.default_rng(0)
    X = np.stack([rng.integers(0, 9, 400), 9 - rng.integers(0, 4, 400) ** 2, rng.random(400) < 0.1], axis=1)
    X = X.astype(np.float32)
    X[rng.random(X.shape) < 0.1] = np.nan
    judge = Ecod(EcodSettings()).fit(X, seed=0)
    asked = np.concatenate([X[:100], np.float32([[-5, 0, 0], [99, 99, 1], [np.nan, np.nan, np.nan]])])
    np.testing.assert_allclose(scores(judge, asked), [ecod_by_hand(X, row) for row in asked], rtol=1e-5)


def test_few_steps_keep_ecods_order() -> None:
    """Of 5,000 different values 64 steps rank rows much as 1,024 do."""
    X = mixed(5000, 3)[:, :3]
    few, all_values = (scores(Ecod(EcodSettings(bins=bins)).fit(X, 0), X[:2000]) for bins in (64, 1024))
    order = [np.argsort(np.argsort(each)) for each in (few, all_values)]
    assert np.corrcoef(*order)[0, 1] > 0.99


floats = st.floats(-100, 100, width=32)


@settings(max_examples=100, deadline=None)
@given(st.sets(floats, max_size=40), st.lists(floats, min_size=1, max_size=30), st.booleans())
def test_steps_are_what_searching_gives(cuts: set[float], asked: list[float], gaps: bool) -> None:
    thresholds, x = np.array(sorted(cuts), dtype=np.float32), np.array(asked, dtype=np.float32)
    thresholds = np.unique(thresholds)
    values = np.arange(len(thresholds) + 1.0)[:, None]
    tree = steps(0, thresholds, values, np.array([-7.0]) if gaps else None)
    made = Trees((tree,), np.zeros(1), 1).margin(x[:, None])[:, 0]
    np.testing.assert_array_equal(made, np.searchsorted(thresholds, x, side="left"))
    if gaps:
        missing = np.full((1, 1), np.nan, dtype=np.float32)
        assert Trees((tree,), np.zeros(1), 1).margin(missing).tolist() == [[-7.0]]


@pytest.mark.parametrize("values", [5, 10**6], ids=["ties", "none"])
@pytest.mark.parametrize("n", [1, 2, 700, KNOTS, 50_000])
def test_a_rank_is_the_share_of_scores_below(n: int, values: int) -> None:
    rng = np.random.default_rng(n)
    held = (rng.integers(0, values, n) / 7).astype(np.float32)
    asked = np.concatenate([rng.choice(held, 2000), np.float32([-1e9, 1e9])])
    rank = ranking(held).margin(asked[:, None])[:, 0]
    exact = np.searchsorted(np.sort(held), asked, side="left") / n
    if n <= KNOTS or values == 5:
        np.testing.assert_allclose(rank, exact, atol=1e-12)
        return
    assert (rank <= exact + 1e-12).all()
    more_unusual = 1 - exact
    assert ((exact - rank) <= 0.02 * more_unusual + 1.5 / n).all()
    assert rank[asked == asked.max()].tolist() == [1.0] * int((asked == asked.max()).sum())


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["lightgbm", "linear", "constant", "random_forest", "hist_boosting"])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_every_learner_and_task_has_it_and_predicts_as_without(
    train_stage: Any, task: str, learner: str
) -> None:
    asked = {"learner": learner, "rounds": 20}
    plain, _, _ = train_stage(task, folder="plain", **asked)
    model, _, _ = train_stage(task, folder="with", outliers=True, **asked)
    X = rows(task, 400, seed=5).X  # type: ignore[arg-type]
    signature = Signature.from_json(model.json("signature.json"))
    assert [f.name for f in signature.on_request] == ["outlier"]
    names = [f.name for f in signature.outputs]
    matrix = np.ascontiguousarray(X)
    one, other = (GraphSession(each.bytes("model.onnx"), signature.inputs) for each in (plain, model))
    before, after = one.run_matrix(matrix, names), other.run_matrix(matrix, [*names, "outlier"])
    for name in names:
        np.testing.assert_array_equal(before[name], after[name], strict=True)
    feeds = {f"column {i}": X[:, i : i + 1] for i in range(X.shape[1])}
    plainly = run_graph(model.bytes("model.onnx"), feeds, ["outlier"])[0]
    np.testing.assert_array_equal(after["outlier"], plainly, strict=True)
    assert after["outlier"].shape == (400,)
    assert 0.4 < after["outlier"].mean() < 0.6, "rows of the same kind have every rank alike"
    assert after["outlier"].min() >= 0
    assert after["outlier"].max() <= 1


@pytest.mark.slow
def test_the_page_of_a_report_is_of_the_model_alone(train_stage: Any) -> None:
    """What-if in the page: neither do the judge's trees make it larger nor do they pass for the model's."""
    made = [
        model_facts(ReportSpec(), train_stage("binary", learner="lightgbm", rounds=9, folder=name, **more)[0])
        for name, more in (("plain", {}), ("with", {"outliers": True}))
    ]
    assert made[0]["packed"]
    assert made[0]["explain"]
    assert made[0] == made[1]


def test_a_model_without_says_nothing_of_it(train_stage: Any) -> None:
    model, _, _ = train_stage("binary", learner="linear")
    assert "on_request" not in model.json("signature.json")
    assert "outliers" not in model.json("model.json")
    assert b"outlier" not in model.bytes("model.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("method", list(OUTLIERS))
def test_two_runs_give_the_same_bytes(train_stage: Any, method: str) -> None:
    one, other = (
        train_stage("binary", learner="linear", outliers=method, folder=folder)[0] for folder in ("a", "b")
    )
    for name in ("model.onnx", "model.json", "signature.json"):
        assert one.bytes(name) == other.bytes(name)
    told = one.json("model.json")["outliers"]
    assert (told["method"], told["rows"], told["held_out"]) == (method, 1500, 1500)


@pytest.mark.parametrize("valid", [0, 150])
def test_without_validation_rows_training_rows_are_held_out(train_stage: Any, valid: int) -> None:
    parts = {name: rows("binary", 1000, seed) for seed, name in enumerate(("train", "valid", "test"))}
    few = parts["valid"]
    parts["valid"] = Part(few.X[:valid], few.y[:valid], None)
    model, _, emitted = train_stage("binary", parts, learner="constant", outliers=True)
    told = model.json("model.json")["outliers"]
    assert (told["rows"], told["held_out"]) == (800, 200)
    assert any("ranked among 200 that it did not see" in str(data) for _, data in emitted)


def many_texts(n: int, seed: int) -> pa.Table:
    """Few rows of each of 120 texts, which say something of the target."""
    rng = np.random.default_rng(seed)
    text, x = rng.integers(0, 120, n), rng.normal(size=n)
    y = rng.random(n) < 1 / (1 + np.exp(-2 * (text % 7 - 3)))
    columns = {"x": x, "skewed": rng.lognormal(size=n), "text": [f"text {k}" for k in text]}
    return pa.table({**columns, "y": ["yes" if each else "no" for each in y]})


def shipped(folder: Path, table: pa.Table) -> GraphSession:
    """What the real stages make of it, with an outlier score, where there are few validation rows."""
    ctx = make_context(folder)
    pq.write_table(table, folder / "data.parquet")
    meta = {"rows": len(table), "unlabelled": 0, "target": "y", "task": "binary", "classes": ["no", "yes"]}
    refs = {
        "labelled": ctx.store.put(
            "labelled", {"data.parquet": folder / "data.parquet"}, {**meta, "counts": {}}
        )
    }
    columns = {"text": {"as": "categorical", "encode": ["target_mean"]}}
    spec = PrepareSpec.model_validate({"columns": columns, "split": {"valid": 0.1, "test": 0.05}})
    refs |= prepare(spec, refs, ctx)
    model = ctx.open(train(TrainSpec(learner="constant", outliers=True), refs, ctx)["model"])
    return GraphSession(model.bytes("model.onnx"), Signature.from_json(model.json("signature.json")).inputs)


@pytest.mark.slow
def test_usual_rows_rank_no_higher_than_they_should_where_texts_are_encoded_by_their_target(
    tmp_path: Path,
) -> None:
    """Held-out rows have the features that the graph gives to those who ask, not those that training learnt from."""
    shares = []
    for seed in range(8):
        session = shipped(tmp_path / str(seed), many_texts(700, seed))
        rank = session.run(many_texts(2000, 100 + seed).drop_columns(["y"]), ["outlier"])["outlier"]
        shares.append([(rank >= least).mean() for least in (0.5, 0.8, 0.9)])
    # held-out rows had a part in the means of their texts, which makes them a little odder than rows to come
    half, fifth, tenth = np.mean(shares, axis=0)
    assert 0.35 < half < 0.55
    assert 0.13 < fifth < 0.22
    assert 0.06 < tenth < 0.11


def test_a_column_of_that_name_is_refused(tmp_path: Any) -> None:
    taken = [Field("outlier", "number", "float32")]
    with pytest.raises(DataError, match="a column is named 'outlier'"):
        fit_module.fit_outliers({"ecod": {}}, None, None, taken, None)  # type: ignore[arg-type]


def test_a_graph_that_says_something_else_is_refused() -> None:
    X = mixed(300, 1)
    judge = Ecod(EcodSettings()).fit(X, 0)
    with pytest.raises(PackageError, match="differ by"):
        fit_module.scored(Judge(judge.graph, lambda rows: judge.score(rows) * 1.001), X)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("isolation", "isolation_forest"),
        ({"isolation_forest": {"tree": 3}}, "it has trees, samples"),
        ({"isolation_forest": {"trees": 0}}, "greater than or equal to 1"),
        ({"isolation_forest": {}, "ecod": {}}, "one method at a time"),
        (7, "is not a list of"),
    ],
)
def test_wrong_words_are_told_with_the_right_ones(said: Any, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        TrainSpec(outliers=said)


def test_every_method_and_setting_is_on_the_page() -> None:
    text = (Path(__file__).parents[2] / "docs" / "outliers.md").read_text("utf-8")
    named = [*OUTLIERS, *(f for name in OUTLIERS for f in OUTLIERS.load(name).Settings.model_fields)]
    named += list(OutliersSettings.model_fields)
    assert not [name for name in named if f"| `{name}` |" not in text]


def test_what_may_be_said() -> None:
    assert TrainSpec(outliers=False).outliers is None
    assert TrainSpec().outliers is None
    assert TrainSpec(outliers=True).outliers == {"isolation_forest": {}}
    assert TrainSpec(outliers={"ecod": {"bins": 8}}).outliers == {"ecod": {"bins": 8}}


@pytest.mark.parametrize("method", list(OUTLIERS))
def test_planted_outliers_rank_high(train_stage: Any, method: str) -> None:
    """Of 1,000 usual rows and 100 with three values far out, the rank tells which, and no worse than the score does."""
    model, _, _ = train_stage("binary", learner="constant", outliers=method)
    usual = np.nan_to_num(rows("binary", 1000, 9).X)
    rng = np.random.default_rng(0)
    planted = np.array(usual[:100])
    for row in planted:
        row[rng.choice(planted.shape[1], 3, replace=False)] += rng.choice([-6, 6], 3) * usual.std()
    X = np.concatenate([usual, planted]).astype(np.float32)
    feeds = {f"column {i}": X[:, i : i + 1] for i in range(X.shape[1])}
    graph = onnx.load_model_from_string(model.bytes("model.onnx"))
    graph.graph.output.append(onnx.helper.make_tensor_value_info("outlier_score", 1, ["N", 1]))
    rank, score = run_graph(graph, feeds, ["outlier", "outlier_score"])
    truth = np.arange(1100) >= 1000
    found, finest = roc_auc_score(truth, rank), roc_auc_score(truth, score[:, 0])
    assert found > 0.9
    assert finest - found < 0.02
