"""How unusual a row is, from a package: the same every way it is asked, and not computed where it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import bessemer.package.session as session_module
from bessemer.core.errors import UsageError
from bessemer.core.signature import Field, Signature
from bessemer.package import keys
from bessemer.package.card import model_card
from bessemer.package.feeds import to_feeds
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.model import load
from bessemer.package.session import GraphSession
from bessemer.package.trees.onnx import to_onnx
from bessemer.package.write import write_package
from bessemer.testing.models import ROWS, tiny_graph, tiny_model
from bessemer.testing.outliers import unusual_members, unusual_model, unusual_signature, usual_rows
from bessemer.train.assemble import add_outliers
from bessemer.train.outliers.fit import scored
from bessemer.train.outliers.isolation_forest import ForestSettings, IsolationForest, _trees
from bessemer.train.outliers.plugins import OUTLIERS
from bessemer.train.outliers.rank import ranked

TASKS = ("binary", "multiclass", "regression")


def plainly(model: bytes, feeds: dict[str, np.ndarray]) -> np.ndarray:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    found: np.ndarray = ort.InferenceSession(model, options).run(["outlier"], feeds)[0]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("method", list(OUTLIERS))
@pytest.mark.parametrize("task", TASKS)
def test_every_way_of_asking_gives_onnxruntimes_bits(task: Any, method: str) -> None:
    model, table = unusual_model(task, method), usual_rows(700, 5)
    expected = plainly(unusual_members(task, method)["model.onnx"], to_feeds(table, model.signature.inputs))
    found = model.predict(table, outliers=True)
    np.testing.assert_array_equal(found["outlier"].to_numpy(), expected, strict=True)
    listed = model.predict_rows(table.to_pylist(), outliers=True)
    assert [row["outlier"] for row in listed] == expected.tolist()
    parts = [table.slice(0, 1), table.slice(1, 3), table.slice(4)]
    batches = list(model.predict_batches(parts, outliers=True, columns=["outlier"]))
    assert np.concatenate([batch["outlier"].to_numpy() for batch in batches]).tolist() == expected.tolist()
    assert model.predict(table.slice(0, 0), outliers=True)["outlier"].to_pylist() == []


def test_it_stands_beside_what_else_is_asked_for() -> None:
    model, plain = unusual_model("binary"), tiny_model("binary")
    both, without = model.predict(ROWS, explain=True, outliers=True), plain.predict(ROWS, explain=True)
    assert both.column_names[:4] == ["prediction", "probability", "outlier", "score"]
    assert both.drop_columns(["outlier"]) == without
    assert model.predict(ROWS) == plain.predict(ROWS)
    assert "outlier" not in model.columns()


def test_a_model_without_says_so_and_what_to_do() -> None:
    for ask in (tiny_model("binary").predict, tiny_model("binary").predict_rows):
        with pytest.raises(UsageError, match="cannot say how unusual") as told:
            ask(list(ROWS), outliers=True)
        assert "outliers: true" in told.value.fix


def test_a_package_keeps_it(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    facts = {
        "name": "tiny",
        "version": "1",
        "created": "2026-01-01T00:00:00Z",
        "task": "binary",
        "target": "y",
    }
    write_package(tmp_path / "tiny.bsm", unusual_members("binary"), **facts, key=key)
    model = load(tmp_path / "tiny.bsm", trust=[keys.public_of(key)])
    assert model.signature == unusual_signature("binary")
    assert model.predict(ROWS, outliers=True) == unusual_model("binary").predict(ROWS, outliers=True)


def test_a_signature_without_has_the_bytes_it_had() -> None:
    plain = Signature((), ())
    assert set(plain.to_json()) == {"inputs", "outputs", "task", "target", "classes"}
    assert Signature.from_json(unusual_signature("binary").to_json()) == unusual_signature("binary")


def two_forests(learner: bool) -> tuple[bytes, tuple[Field, ...], bytes]:
    """A graph over four numbers whose score is a forest or a sum, with a judge beside it; and that without a judge."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4)).astype(np.float32)
    judge = IsolationForest(ForestSettings(trees=20)).fit(X, 1)
    made = []
    for judged in (True, False):
        g = GraphBuilder("model")
        fields = tuple(Field(name, "number", "float32") for name in "abcd")
        features = g.op(
            "Concat", [g.input(f.name, "float32", ("N", 1)) for f in fields], axis=1, name="features"
        )
        if learner:
            from sklearn.ensemble import IsolationForest as Forest

            trees = to_onnx(_trees(Forest(n_estimators=9, random_state=3).fit(X), 256, 4))
            margin = g.embed(trees, {"features": features}, "learner/")["score"]
        else:
            margin = g.op("ReduceSum", [features, g.constant(np.array([1], dtype=np.int64))], keepdims=1)
        score = g.op("Identity", [margin], name="score")
        flat = g.op("Squeeze", [score, g.constant(np.array([1], dtype=np.int64))], name="prediction")
        g.output(flat, "float32", ("N",))
        g.output(score, "float32", ("N", 1))
        if judged:
            add_outliers(g, ranked(judge.graph, scored(judge, X[:300])), "features")
        made.append(serialize(g.model()))
    return made[0], fields, made[1]


class Watching:
    """Remembers how many operators of trees each session of onnxruntime was opened with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trees: list[int] = []
        for module in (session_module, "bessemer.package.head"):
            monkeypatch.setattr(
                f"{module if isinstance(module, str) else module.__name__}.open_session", self._opened
            )

    def _opened(self, model: bytes, threads: int) -> Any:
        from bessemer.package.runtime import open_session

        nodes = onnx.load_model_from_string(model).graph.node
        self.trees.append(sum(node.op_type == "TreeEnsembleRegressor" for node in nodes))
        return open_session(model, threads)


@pytest.mark.parametrize("learner", [True, False], ids=["trees", "sum"])
def test_who_does_not_ask_does_not_pay(learner: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither are the judge's trees loaded nor walked; and the sessions are those of the model without a judge."""
    judged, fields, plain = two_forests(learner)
    X = np.random.default_rng(1).normal(size=(300, 4)).astype(np.float32)
    opened: list[list[int]] = []
    found = []
    for model in (plain, judged):
        watching = Watching(monkeypatch)
        session = GraphSession(model, fields)
        found.append(session.run_matrix(X, ["prediction", "score"]))
        opened.append(list(watching.trees))
        if session._two is not None:
            assert session._two._aside is None
    assert opened[0] == opened[1]
    for name in found[0]:
        np.testing.assert_array_equal(found[0][name], found[1][name], strict=True)
    asked = session.run_matrix(X, ["outlier", "prediction"])
    assert sum(watching.trees) > sum(opened[1]), "the judge has trees, and they are loaded now"
    feeds = {field.name: X[:, i : i + 1] for i, field in enumerate(fields)}
    np.testing.assert_array_equal(asked["outlier"], plainly(judged, feeds), strict=True)
    np.testing.assert_array_equal(asked["prediction"], found[1]["prediction"], strict=True)
    assert list(asked) == ["outlier", "prediction"]


def test_onnxruntime_alone_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    judged, fields, _ = two_forests(True)
    X = np.random.default_rng(1).normal(size=(300, 4)).astype(np.float32)
    ours = GraphSession(judged, fields).run_matrix(X, ["outlier", "score"])
    monkeypatch.setenv("BESSEMER_TREES", "onnxruntime")
    theirs = GraphSession(judged, fields).run_matrix(X, ["outlier", "score"])
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], strict=True)


def test_a_heavy_graph_has_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "HEAVY", 1)
    judged, fields, _ = two_forests(False)
    X = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    feeds = {field.name: X[:, i : i + 1] for i, field in enumerate(fields)}
    session = GraphSession(judged, fields)
    made = session.run_matrix(X, ["outlier", "features"])
    assert session._two is not None
    np.testing.assert_array_equal(made["outlier"], plainly(judged, feeds), strict=True)
    np.testing.assert_array_equal(made["features"], X)


def test_values_that_are_strange_have_a_rank() -> None:
    model = unusual_model("binary", "ecod")
    odd = [float("nan"), float("inf"), -float("inf"), 3.4e38, -3.4e38, 0.0]
    made = model.predict_rows([{"tenure": 1, "monthly charges": value} for value in odd], outliers=True)
    ranks = [row["outlier"] for row in made]
    assert all(0 <= rank <= 1 for rank in ranks)
    assert ranks[3] == ranks[4] == 1.0 or min(ranks[3], ranks[4]) > ranks[5]


def test_the_card_says_so() -> None:
    facts = {
        "name": "m",
        "version": "1",
        "description": "",
        "evaluation": {},
        "explanations": {},
        "explainer": {},
    }
    told = {"learner": "linear", "outliers": {"method": "ecod", "held_out": 1234}}
    for info in (told, {"learner": "linear"}):
        card = model_card(
            signature=unusual_signature("binary"),
            model_json=info,
            splits={},
            parity={},
            gates_ignored=False,
            **facts,
        )
        assert ("- Outliers: ecod, ranked among 1,234 rows that were held out" in card) == (
            "outliers" in info
        )


def test_ecod_and_a_tiny_graph_share_no_names() -> None:
    """The judge's values stand under a prefix of their own: those of the model keep theirs."""
    known = {
        name for node in onnx.load_model_from_string(tiny_graph("binary")).graph.node for name in node.output
    }
    whole = onnx.load_model_from_string(unusual_members("binary", "ecod")["model.onnx"])
    names = [name for node in whole.graph.node for name in node.output]
    assert len(names) == len(set(names))
    assert known < set(names)
